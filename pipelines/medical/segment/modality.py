"""Whether the images of a case are of the kind that the model was trained on, as far as files tell it."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.medical.data.record import Volume
from pipelines.medical.plan.fingerprint import CT_BELOW


def modality_warnings(channels: Sequence[Volume], trained_on: str) -> list[str]:
    """What speaks against the images being of the model's kind, in words for the user; empty if nothing does.

    trained_on: the plan's modality, `CT`, `MR` or another; nothing is said if it is empty. Formats that name
    no modality are judged by their numbers, as the plan judged the training images: those of CT are HU, in
    which air lies far below CT_BELOW, and MR hardly ever goes that far below 0.
    """
    told = sorted({one.modality for one in channels} - {""})
    reaches_air = min(float(one.array.min()) for one in channels) < CT_BELOW
    if trained_on and told and trained_on not in told:
        reason = f"this image says that it is {' and '.join(told)}"
    elif trained_on == "CT" and not reaches_air:
        reason = f"no value of this image lies below {CT_BELOW:g}, as air does in HU"
    elif trained_on == "MR" and not told and reaches_air:
        reason = f"values of this image lie below {CT_BELOW:g}, as in CT"
    else:
        return []
    return [f"the model was trained on {trained_on}, and {reason}: the mask may be wrong throughout"]

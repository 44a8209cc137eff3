"""Which frames of a polyp are looked at, and who says where the lesion is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Final

from pipelines.polyp.data import Camera, FrameListing, FrameRef, PolypError, without_labels
from pipelines.polyp.data.thinning import spread
from pipelines.polyp.size.config import PredictConfig
from pipelines.polyp.size.items import Item

MOST_NAMED: Final = 200  # frames without a box that a polyp lists one by one
NO_BOX: Final = "no box and no mask is given for it"
NO_WAY: Final = "there is no model that finds lesions: give --boxes, --masks or --finder"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The frames of a polyp that are looked at. refs: in order of time. bare: frames that no label marks.
    by_finder: whether the finder finds the lesions, since they are not marked. boxes_from: where boxes come
    from."""

    refs: list[FrameRef]
    bare: list[FrameRef]
    by_finder: bool
    boxes_from: str


def choose(item: Item, listing: FrameListing, config: PredictConfig, *, finder: bool, marks: str) -> Chosen:
    """The frames of a polyp. finder: whether there is one. marks: `boxes` or `masks` where the user gave
    them, else `labels`.

    Labels count where there are any; where there are none, or they are to be ignored, the finder looks.
    Raises PolypError if nobody says where the lesion is.
    """
    most = config.frames_per_polyp
    marked = [one for one in listing.frames if _marked(one)] if item.labelled else []
    if marks != "labels" or (marked and not config.ignore_labels):
        bare = [one for one in listing.frames if not _marked(one)]
        return Chosen(spread(marked, most), bare, False, marks)
    if not finder:
        before = "no frame of it has a box or a mask, and " if item.labelled and not marked else ""
        raise PolypError(before + NO_WAY)
    refs = [without_labels(one) for one in listing.frames]
    return Chosen(spread(refs, most), [], True, "finder")


def fingerprint(chosen: Chosen, camera: Camera | None) -> str:
    """Of the files and boxes that a row follows from."""
    from pipelines.polyp.train.store import frame_state  # it comes with torch

    content = [
        [frame_state(one) for one in chosen.refs],
        None if camera is None else asdict(camera),
        chosen.boxes_from,
    ]
    return blake2b(json.dumps(content, default=str).encode(), digest_size=12).hexdigest()


def _marked(frame: FrameRef) -> bool:
    """Whether something is said of a lesion in the frame, even if it cannot be used."""
    return frame.box is not None or frame.mask is not None or bool(frame.others) or bool(frame.notes)

"""What a run may be told to raise an alarm about."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError, bundled_models, find_model, read_config

NOVEL = "novel"


def alarm_names(wanted: Sequence[str], model: str = "auto") -> tuple[str, ...]:
    """The names in `wanted` as the model spells them: `novel` or classes of the model.

    Raises UserError for a name that the model cannot give, since such an alarm would never be raised.
    """
    if not wanted:
        return ()
    folders = chosen_models(model)
    labels = {label for folder in folders for label in read_config(folder, task="wafer").get("labels", [])}
    spelled = {name.casefold(): name for name in (NOVEL, *sorted(labels))}
    return tuple(_spelled(name, spelled) for name in wanted)


def chosen_models(model: str) -> list[Path]:
    """The model folders that a run with `--model model` uses, unread. Raises ModelError if there is none."""
    if model != "auto":
        return [find_model("wafer", model)]
    bundled = bundled_models("wafer")
    if not bundled:
        raise ModelError("no model is bundled here; name a model folder with --model")
    return bundled


def _spelled(name: str, spelled: dict[str, str]) -> str:
    if name.casefold() in spelled:
        return spelled[name.casefold()]
    near = get_close_matches(name.casefold(), spelled, 1)
    hint = f"did you mean {spelled[near[0]]}? " if near else ""
    raise UserError(f"no map can be found to be {name!r}: {hint}allowed are {', '.join(spelled.values())}")

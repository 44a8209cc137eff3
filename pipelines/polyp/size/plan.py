"""What a run would do, said without measuring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.polyp.data import frames_of
from pipelines.polyp.size.choose import choose
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.items import Item
from pipelines.polyp.size.predict import Predictor
from pipelines.polyp.size.run import about_the_model, find, marks_of


def foresee(paths: Sequence[Path], predictor: Predictor, config: SizeConfig, out: Path) -> dict[str, Any]:
    """Polyps with the number of their frames; opens labels and headers of videos. Raises UserError as a run
    would."""
    inputs = find(paths, predictor, config)
    return {
        "items": [_item(item, predictor, config) for item in inputs.items],
        "skipped": len(inputs.skipped),
        "notes": [*about_the_model(predictor), *inputs.notes],
        "out": str(out),
        "model": predictor.model.name,
        "network": predictor.model.plan.backbone,
        "device": str(predictor.model.device),
        "config": config.model_dump(mode="json"),
    }


def _item(item: Item, predictor: Predictor, config: SizeConfig) -> dict[str, Any]:
    about: dict[str, Any] = {"polyp": item.polyp.id, "source": item.source, "frames": 0, "looked": 0}
    try:
        listing = frames_of(item.polyp)
        about["frames"] = len(listing.frames) + len(listing.failed)
        chosen = choose(item, listing, config, finder=predictor.finder is not None, marks=marks_of(config))
    except UserError as error:
        return about | {"boxes_from": "", "problem": str(error)}
    return about | {"looked": len(chosen.refs), "boxes_from": chosen.boxes_from, "problem": ""}

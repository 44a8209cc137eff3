"""What a run would do, said without counting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.items import Item, list_items
from pipelines.crowd.count.job import check
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.data.images import image_size
from pipelines.crowd.data.record import CrowdError
from pipelines.crowd.data.video import Video


def foresee(paths: Sequence[Path], predictor: Predictor, config: CountConfig, out: Path) -> dict[str, Any]:
    """Images and videos with their sizes, from headers alone. Raises UserError if there is none, or if zones
    or ground are wrong."""
    check(predictor, config)
    items, skipped = list_items(paths)
    if not items:
        raise UserError(f"there is no image and no video in {', '.join(map(str, paths))}")
    return {
        "items": [_item(item, predictor, config) for item in items],
        "skipped": len(skipped),
        "out": str(out),
        "model": predictor.model.name,
        "network": predictor.model.plan.name,
        "device": str(predictor.model.device),
        "config": config.model_dump(mode="json"),
    }


def _item(item: Item, predictor: Predictor, config: CountConfig) -> dict[str, Any]:
    about: dict[str, Any] = {"source": str(item.source), "name": item.name, "kind": item.kind}
    try:
        width, height, frames = _header(item, config)
    except CrowdError as error:
        return about | {"size": "", "work": "", "problem": str(error).removeprefix(f"{item.source}: ")}
    parts = len(predictor.tiles(height, width))
    work = f"{-(-frames // config.stride):,} frames" if frames else "1 image" if item.kind == "image" else "?"
    work += f", in {parts} tiles" if parts > 1 else ""
    return about | {"size": f"{width} x {height}", "work": work, "problem": ""}


def _header(item: Item, config: CountConfig) -> tuple[int, int, int | None]:
    if item.problem:
        raise CrowdError(item.problem)
    if item.kind == "image":
        width, height, _ = image_size(item.source, max_pixels=config.max_pixels)
        return width, height, None
    with Video(item.source, max_pixels=config.max_pixels) as video:
        return video.width, video.height, video.frame_count

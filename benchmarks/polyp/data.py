"""Rendered polyps to train on and to test on, kept in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.cache import cache_folder
from pipelines.polyp.data import Polyp, read_dataset
from pipelines.polyp.render import render_dataset

Say = Callable[[str], None]
TRAINING, TEST = ("first", 0), ("second", 1)  # style and seed: shapes and textures of the test are new


def rendered(
    style: str, seed: int, polyps: int, *, frames: int, size: int, workers: int, say: Say, cache: Path | None
) -> Sequence[Polyp]:
    """Polyps of a style, rendered now as far as they are not there yet. size: px of a frame."""
    folder = cache_folder("polyp", cache) / f"{style}-{seed}-{frames}x{size}"
    say(f"rendering {polyps} polyps of the style {style}")
    render_dataset(folder, polyps=polyps, frames=frames, seed=seed, style=style, size=size, workers=workers)
    found = read_dataset(folder).polyps
    return found[:polyps]

"""`python -m benchmarks.polyp.depth --out DIR`: the bundled estimator of depths, from rendered frames."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch counts its threads when it is loaded
    from pipelines.polyp.depth.config import DepthConfig

NAME = "depth"
CLIPS = ("first", 2)  # style and seed: no polyp that sizes are learnt from or tested on
COMMAND = "python -m benchmarks.polyp.depth --out DIR"
TERMS = "frames rendered by the project itself, free to use; nobody was filmed"
NOTES = """**Data**: clips of rendered colons of the style `first`, seen from 5 to 60 mm, with the depth of
each pixel and the camera known exactly. **No frame of a patient was seen.**"""
Say = Callable[[str], None]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polyp.depth", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model folder goes")
    parser.add_argument("--polyps", type=int, default=1200, help="rendered to train on (default 1200)")
    parser.add_argument("--frames", type=int, default=6, help="of each (default 6)")
    parser.add_argument("--size", type=int, default=192, help="px of a frame (default 192)")
    parser.add_argument("--steps", type=int, default=12000, help="of the training (default 12000)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    if min(given.polyps, given.frames, given.size, given.steps, given.threads) < 1:
        parser.error("numbers must be at least 1")
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)
    folder = trained_depth(
        polyps=given.polyps,
        frames=given.frames,
        size=given.size,
        steps=given.steps,
        threads=given.threads,
        workers=1,
        say=partial(print, file=sys.stderr, flush=True),
    )
    target = given.out / NAME
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)


def trained_depth(
    *,
    polyps: int,
    frames: int = 6,
    size: int,
    steps: int,
    threads: int,
    workers: int,
    say: Say,
    cache: Path | None = None,
) -> Path:
    """The model folder of the estimator, trained now or in an earlier run. size: px of a frame."""
    from benchmarks.cache import cache_folder
    from benchmarks.polyp.data import rendered
    from pipelines.common.models import METRICS
    from pipelines.polyp.depth.run import train_depth

    config = depth_recipe(steps, threads)
    facts = [CLIPS, polyps, frames, size, config.model_dump(mode="json", exclude={"data_terms", "notes"})]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    folder = cache_folder("polyp", cache) / f"depth-{key}" / NAME
    if (folder / METRICS).is_file():
        return folder
    clips = rendered(*CLIPS, polyps, frames=frames, size=size, workers=workers, say=say, cache=cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    train_depth(
        clips,
        folder,
        config,
        name="rendered polyps",
        resume=True,
        overwrite=True,
        command=COMMAND,
        progress=lambda text: say(f"depth: {text}"),
    )
    return folder


def depth_recipe(steps: int, threads: int) -> DepthConfig:
    """The settings of the training, in as many epochs of 100 steps as there are, 1 at least."""
    from pipelines.polyp.depth.config import DepthConfig

    epochs = max(1, steps // 100)
    return DepthConfig(
        threads=threads,
        epochs=epochs,
        steps_per_epoch=max(1, steps // epochs),
        data_terms=TERMS,
        notes=NOTES,
    )


if __name__ == "__main__":
    main()

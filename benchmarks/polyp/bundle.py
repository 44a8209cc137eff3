"""`python -m benchmarks.polyp.bundle --out DIR`: the bundled model of sizes, trained on rendered polyps."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.polyp.depth import NAME as DEPTH
from benchmarks.polyp.depth import TERMS

if TYPE_CHECKING:  # torch counts its threads when it is loaded
    from pipelines.polyp.data import Polyp

NAME = "polyp"
FORGOTTEN = 0.4  # of the frames are seen without a camera: most users have no calibration
COMMAND = "python -m benchmarks.polyp.bundle --out DIR"
NOTES = """**Data**: clips of rendered colons in two styles, with polyps of 1 to 25 mm, seen from 5 to 60 mm.
Size was known exactly there. **No frame of a patient was seen, and no size of a real polyp was ever compared
with what this model says.** Held-out polyps are of the same two styles; on a style that it was not trained on
the same network is wrong by more."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polyp.bundle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model folder goes")
    parser.add_argument("--polyps", type=int, default=600, help="of the first style (default 600)")
    parser.add_argument("--others", type=int, default=180, help="of the second style (default 180)")
    parser.add_argument("--frames", type=int, default=8, help="of each (default 8)")
    parser.add_argument("--size", type=int, default=384, help="px of a frame (default 384)")
    parser.add_argument("--steps", type=int, default=2400, help="of the training (default 2400)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    if min(given.polyps, given.others, given.frames, given.size, given.steps, given.threads) < 1:
        parser.error("numbers must be at least 1")
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.polyp.data import TEST, TRAINING, rendered

    say = partial(print, file=sys.stderr, flush=True)
    look = partial(rendered, frames=given.frames, size=given.size, workers=1, say=say, cache=None)
    polyps = [
        named(one, style)
        for (style, seed), count in ((TRAINING, given.polyps), (TEST, given.others))
        for one in look(style, seed, count)
    ]
    write_bundle(given.out / NAME, polyps, given.steps, given.threads)


def write_bundle(
    out: Path, polyps: Sequence[Polyp], steps: int, threads: int, *, depth_model: str = DEPTH
) -> None:
    """Train and write the model folder; a training that was stopped goes on."""
    from benchmarks.polyp.recipe import Contestant, recipe
    from pipelines.polyp.train.run import train

    chosen = {
        "depth_model": depth_model,
        "forget_camera": FORGOTTEN,
        "data_terms": TERMS,
        "notes": NOTES,
    }
    train(
        polyps,
        out,
        recipe(
            Contestant("sparse-resnet", "open gates", "estimated depth"), steps=steps, seed=0, threads=threads
        ).model_copy(update=chosen),
        name="rendered polyps",
        resume=True,
        overwrite=True,
        command=COMMAND,
        progress=partial(print, file=sys.stderr, flush=True),
    )


def named(polyp: Polyp, style: str) -> Polyp:
    """Names of the two styles are the same, and mean other polyps."""
    return replace(
        polyp, id=f"{style}/{polyp.id}", patient=f"{style}/{polyp.patient}", video=f"{style}/{polyp.video}"
    )


if __name__ == "__main__":
    main()

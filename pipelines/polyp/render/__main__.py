"""python -m pipelines.polyp.render OUT --polyps N --frames N --seed S --workers W"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipelines.common.errors import UserError
from pipelines.polyp.render.dataset import render_dataset
from pipelines.polyp.render.styles import STYLES


def main(words: list[str] | None = None) -> int:
    """Render, say what is done on standard error, and return the exit code: 0, or 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.polyp.render",
        description="Render colonoscopy clips of polyps of known size. A run that was stopped goes on.",
    )
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--polyps", type=int, default=30, help="how many, one video each (default 30)")
    parser.add_argument("--frames", type=int, default=8, help="of each video (default 8)")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other polyps (default 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--style", choices=list(STYLES), default="first", help="which shapes and textures")
    parser.add_argument("--size", type=int, default=384, help="height of the frames in px (default 384)")
    parser.add_argument("--one-camera", action="store_true", help="the same intrinsics for all videos")
    given = parser.parse_args(words)
    try:
        names = render_dataset(
            given.out,
            polyps=given.polyps,
            seed=given.seed,
            frames=given.frames,
            style=given.style,
            size=given.size,
            one_camera=given.one_camera,
            workers=given.workers,
            done=lambda name: print(name, file=sys.stderr, flush=True),
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(names)} videos in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

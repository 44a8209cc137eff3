"""`python -m benchmarks.crowd.bundle --out DIR`: the bundled model, trained on photographs and drawings."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from benchmarks.crowd.__main__ import SHARED

NAME = "crowd"
DRAWN = 160  # images
COMMAND = "python -m benchmarks.crowd.bundle --out DIR"
TERMS = """for research, as their makers say of ShanghaiTech A (Zhang et al., CVPR 2016); none are stated for
  Beijing-BRT (Ding et al., 2020), which was made for research. The drawn squares are the project's own"""
NOTES = """**Data**: ShanghaiTech A has photographs of dense crowds from the web, with 33 to 3,138 people
each; Beijing-BRT frames of surveillance cameras at bus stops, by day and by night, with 1 to 64 people in a
frame of 360 x 640 px; the drawn squares are those of `suite sample crowd`, a tenth of them empty.
Held-out frames are from the same cameras as those of the training, so errors on other cameras will be
larger."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd.bundle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model folder goes")
    parser.add_argument("--sha", type=Path, default=SHARED / "sha_train", help="ShanghaiTech A, training")
    parser.add_argument("--brt", type=Path, default=SHARED / "brt_train", help="Beijing-BRT, training")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.cache import cache_folder
    from benchmarks.crowd.recipe import recipe
    from pipelines.crowd.data import read_dataset
    from pipelines.crowd.generate.dataset import write_dataset
    from pipelines.crowd.train.run import train

    drawn = cache_folder("crowd") / f"drawn-{DRAWN}"
    if not (drawn / "heads.csv").is_file():
        write_dataset(drawn, images=DRAWN)
    folders = {"ShanghaiTech A": given.sha, "Beijing-BRT": given.brt, "drawn squares": drawn}
    config = recipe("sparse-counter", "both", quick=False, seed=0, threads=given.threads)
    train(
        {name: read_dataset(folder).cases for name, folder in folders.items()},
        given.out / NAME,
        config.model_copy(update={"data_terms": TERMS, "notes": NOTES}),
        resume=True,
        overwrite=True,
        command=COMMAND,
        progress=partial(print, file=sys.stderr, flush=True),
    )


if __name__ == "__main__":
    main()

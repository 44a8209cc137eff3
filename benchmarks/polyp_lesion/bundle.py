"""`python -m benchmarks.polyp_lesion.bundle --out DIR`: the bundled model, one training of the benchmark."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from benchmarks.polyp_lesion.__main__ import SHARED, STARTS

NAME = "lesion"
COMMAND = "python -m benchmarks.polyp_lesion.bundle --out DIR"
TERMS = """PolypGen (Ali et al., 2023): CC BY 4.0. Kvasir-SEG (Jha et al., 2020): research and education only,
  so this model is for these too"""
PRETRAINING_TERMS = ". Gastric polyps that the encoder was pretrained on: CC BY 4.0"
NOTES = """**Data**: single frames that were chosen because they show a polyp, well lit and in view; one in
ten of PolypGen shows none. In a video most frames are not like these: expect finds on folds, bubbles and
stool."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polyp_lesion.bundle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model folder goes")
    parser.add_argument("--polypgen", type=Path, default=SHARED / "polypgen", help="PolypGen")
    parser.add_argument("--kvasir", type=Path, default=SHARED / "kvasir_seg", help="Kvasir-SEG")
    parser.add_argument("--unlabelled", type=Path, default=SHARED / "gastric_voc", help="to pretrain on")
    parser.add_argument("--start", choices=STARTS, default=STARTS[0], help=f"default: {STARTS[0]}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2_000, help="of the training (default 2000)")
    parser.add_argument("--pretraining-steps", type=int, default=1_000, help="before (default 1000)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    for option in ("polypgen", "kvasir", "unlabelled"):
        if not getattr(given, option).is_dir():
            parser.error(f"there is no {getattr(given, option)}; name the data with --{option}")
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.polyp_lesion.recipe import PRETRAINED, recipe
    from pipelines.polyp.data import read_dataset
    from pipelines.polyp.lesion.run import train_lesion

    config = recipe(
        given.start,
        steps=given.steps,
        pretraining_steps=given.pretraining_steps,
        seed=given.seed,
        threads=given.threads,
    )
    terms = TERMS + (PRETRAINING_TERMS if given.start == PRETRAINED else "")
    train_lesion(
        {
            "PolypGen": read_dataset(given.polypgen).polyps,
            "Kvasir-SEG": read_dataset(given.kvasir).polyps,
        },
        given.out / NAME,
        config.model_copy(update={"data_terms": terms, "notes": NOTES}),
        unlabelled={given.unlabelled.name: read_dataset(given.unlabelled).polyps},
        resume=True,
        overwrite=True,
        command=COMMAND,
        progress=partial(print, file=sys.stderr, flush=True),
    )


if __name__ == "__main__":
    main()

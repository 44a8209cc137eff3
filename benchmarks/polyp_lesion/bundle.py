"""`python -m benchmarks.polyp_lesion.bundle --out DIR`: the bundled model, one training of the benchmark."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.polyp_lesion.__main__ import STARTS, add_options, checked_folders

if TYPE_CHECKING:  # torch counts its threads when it is loaded
    from benchmarks.polyp_lesion.run import Settings

NAME = "lesion"
TERMS = """PolypGen (Ali et al., 2023): CC BY 4.0. Kvasir-SEG (Jha et al., 2020): research and education only,
  so this model is for these too"""
PRETRAINING_TERMS = ". Gastric polyps that the encoder was pretrained on: CC BY 4.0"
NOTES = """**Data**: single frames that were chosen because they show a polyp, well lit and in view; one in
ten of PolypGen shows none. In a video most frames are not like these: expect finds on folds, bubbles and
stool."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polyp_lesion.bundle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model folder goes")
    parser.add_argument("--start", choices=STARTS, default=STARTS[0], help=f"default: {STARTS[0]}")
    parser.add_argument("--seed", type=int, default=0, help="which of the trainings (default 0)")
    add_options(parser)
    given = parser.parse_args(arguments)
    checked_folders(parser, given)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.polyp_lesion.run import Settings

    settings = Settings(
        target=given.out,
        polypgen=given.polypgen,
        kvasir=given.kvasir,
        unlabelled=given.unlabelled,
        steps=given.steps,
        pretraining_steps=given.pretraining_steps,
        threads=given.threads,
    )
    write_bundle(given.out / NAME, given.start, given.seed, settings)


def write_bundle(out: Path, start: str, seed: int, settings: Settings) -> None:
    """Write the model folder of a training, done now or in an earlier run, with the terms of its data."""
    import torch

    from benchmarks.polyp_lesion.recipe import PRETRAINED
    from benchmarks.polyp_lesion.run import HELD_OUT, read_parts, recipe_of, trained
    from pipelines.common.models import load_model, save_model
    from pipelines.polyp.lesion.card import card
    from pipelines.polyp.lesion.config import TASK
    from pipelines.polyp.lesion.trained import Tuning

    say = partial(print, file=sys.stderr, flush=True)
    torch.set_num_threads(settings.threads)
    folder = trained(start, seed, read_parts(settings, say), settings, say)
    stored = load_model(folder, task=TASK)
    terms = TERMS + (PRETRAINING_TERMS if start == PRETRAINED else "")
    said = {"data_terms": terms, "notes": NOTES}
    save_model(
        out,
        tensors=stored.tensors,
        config=stored.config | {"training": stored.config["training"] | said},
        metrics=stored.metrics,
        card=card(
            out.name,
            recipe_of(start, seed, settings).model_copy(update=said),
            Tuning.model_validate(stored.config["tuning"]),
            " and ".join(stored.config["training"]["data"]),
            stored.metrics,
        ),
        files={HELD_OUT: (folder / HELD_OUT).read_bytes()},
        overwrite=True,
    )


if __name__ == "__main__":
    main()

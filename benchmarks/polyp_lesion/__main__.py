"""`python -m benchmarks.polyp_lesion [--quick] --json FILE`: lesions found in frames held out."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "polyp"
STARTS = ("from scratch", "pretrained")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polyp_lesion", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="few steps; figures say little")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind (default 3)")
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS), help="trained from what")
    add_options(parser)
    parser.add_argument("--train-only", action="store_true", help="train what is missing, print nothing")
    given = parser.parse_args(arguments)
    if given.seeds < 1:
        parser.error("numbers must be at least 1")
    checked_folders(parser, given)
    # The sparse engine takes its number of threads from here, once, when it is loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.polyp_lesion.run import Settings, run

    run(
        Settings(
            target=given.json,
            polypgen=given.polypgen,
            kvasir=given.kvasir,
            unlabelled=given.unlabelled,
            seeds=1 if given.quick else given.seeds,
            steps=4 if given.quick else given.steps,
            pretraining_steps=4 if given.quick else given.pretraining_steps,
            threads=given.threads,
            starts=tuple(given.starts),
            measure=not given.train_only,
        )
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """What all trainings have in common."""
    parser.add_argument("--polypgen", type=Path, default=SHARED / "polypgen", help="PolypGen")
    parser.add_argument("--kvasir", type=Path, default=SHARED / "kvasir_seg", help="Kvasir-SEG")
    parser.add_argument(
        "--unlabelled", type=Path, default=SHARED / "gastric_voc", help="more frames to pretrain on"
    )
    parser.add_argument("--steps", type=int, default=4_000, help="of each training (default 4000)")
    parser.add_argument(
        "--pretraining-steps", type=int, default=1_000, help="of the encoder before (default 1000)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")


def checked_folders(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Stop with the option's name where numbers or folders do not do."""
    if min(given.steps, given.pretraining_steps, given.threads) < 1:
        parser.error("numbers must be at least 1")
    for option in ("polypgen", "kvasir", "unlabelled"):
        if not getattr(given, option).is_dir():
            parser.error(f"there is no {getattr(given, option)}; name the data with --{option}")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.medical_labels.bundle --out DIR`: the bundled hippocampus models, from the trainings.

The networks are those of `python -m benchmarks.medical_labels`, pretrained and then trained on all labels of
their folds; what is missing is trained first. The encoder is pretrained on all images.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.medical_labels.__main__ import DATA

NAME, ENCODER_NAME = "hippocampus", "hippocampus-encoder"
COMMAND = "python -m benchmarks.medical_labels.bundle --out DIR"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.medical_labels.bundle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where both folders go")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with imagesTr and labelsTr")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.medical_labels.models import bundle_encoder, bundle_segmenter
    from benchmarks.medical_labels.run import Settings

    settings = Settings(given.data, threads=given.threads)
    bundle_encoder(settings, given.out / ENCODER_NAME, COMMAND)
    bundle_segmenter(settings, given.out / NAME, COMMAND)


if __name__ == "__main__":
    main()

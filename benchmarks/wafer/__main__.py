"""`python -m benchmarks.wafer [--quick] --json FILE`: accuracy, speed, memory and scaling on wafer maps."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.wafer.wm811k import add_data_option, check_data

SECTIONS = (
    *("training_of_peer", "accuracy", "novelty", "speed_dies_npz", "speed_klarf_files", "speed_full_npz"),
    *("commands", "defects", "resolution"),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wafer", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--quick", action="store_true", help="small inputs, within a minute; the figures say little"
    )
    add_data_option(parser)
    parser.add_argument("--threads", type=int, default=2, help="threads of every contestant (default 2)")
    parser.add_argument("--repeats", type=int, help="times that each thing is timed (default 7; quick 3)")
    parser.add_argument(
        "--model",
        default="wm811k",
        help="the model of die-level maps: a bundled name or a folder (default wm811k)",
    )
    parser.add_argument(
        "--full-model",
        default="wdm-fullres",
        help="the model of full-resolution maps (default wdm-fullres)",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="SECTION", choices=SECTIONS, help=f"measure only: {', '.join(SECTIONS)}"
    )
    given = parser.parse_args(arguments)
    if given.threads < 1 or (given.repeats is not None and given.repeats < 1):
        parser.error("--threads and --repeats must be at least 1")
    check_data(parser, given.data)
    # Both engines take their number of threads from here, once, when they are loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.wafer.run import Settings, run
    from pipelines.common.errors import UserError

    settings = Settings(
        data=given.data,
        target=given.json,
        quick=given.quick,
        threads=given.threads,
        repeats=given.repeats or (3 if given.quick else 7),
        models={"dies": given.model, "coordinates": given.full_model},
        only=tuple(given.only) if given.only else None,
    )
    try:
        run(settings)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

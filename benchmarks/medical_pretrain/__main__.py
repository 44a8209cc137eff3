"""`python -m benchmarks.medical_pretrain [--quick] --json FILE`: pretraining, sparse and as simulated."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.cache import ROOT

DEFAULT_DATA = ROOT.parent / "shared" / "data"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.medical_pretrain", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--quick", action="store_true", help="small crops, few rounds; the figures say little"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help=f"folder that holds medical (default {DEFAULT_DATA})",
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of both contestants (default 2)")
    parser.add_argument(
        "--rounds", type=int, help="times, at least, that both are timed (default 7; quick 3)"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a workload; may be repeated"
    )
    given = parser.parse_args(arguments)
    if min(given.threads, 1 if given.rounds is None else given.rounds) < 1:
        parser.error("--threads and --rounds must be at least 1")
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.medical_pretrain.run import Disagreement, Settings, run
    from benchmarks.medical_pretrain.workloads import WORKLOADS
    from pipelines.common.errors import UserError

    for name in given.only:
        if name not in WORKLOADS:
            parser.error(f"there is no {name}; --only takes {', '.join(WORKLOADS)}")
    settings = Settings(
        data=given.data,
        target=given.json,
        quick=given.quick,
        threads=given.threads,
        rounds=given.rounds or (3 if given.quick else 7),
        only=tuple(given.only),
    )
    try:
        run(settings)
    except (UserError, Disagreement) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

"""`python -m benchmarks.engines [--quick] --json FILE`: the native engine, MinkowskiEngine, and the floor."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks.cache import ROOT
from benchmarks.engines.cases import CHANNELS, OPERATIONS
from pipelines.common.hardware import package_version

DEFAULT_DATA = ROOT.parent / "shared" / "data"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--markdown", action="store_true", help="measure nothing: print the tables of the finished FILE"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small inputs, few rounds; the figures say little"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help=f"folder that holds wafer and medical (default {DEFAULT_DATA})",
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of every contestant (default 2)")
    parser.add_argument("--rounds", type=int, help="times, at least, that all are timed (default 5; quick 3)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a workload or network; may be repeated"
    )
    parser.add_argument(
        "--channels", type=int, nargs="+", help="widths of the convolutions (default 16 to 128)"
    )
    parser.add_argument(
        "--operations", nargs="+", choices=OPERATIONS, default=OPERATIONS, metavar="OPERATION"
    )
    given = parser.parse_args(arguments)
    if given.markdown:
        if not given.json.is_file():
            parser.error(f"there is no {given.json}; measure first, without --markdown")
        from benchmarks.engines.report import markdown

        print(markdown(json.loads(given.json.read_text(encoding="utf-8"))))
        return
    channels = given.channels or CHANNELS
    if min(given.threads, *channels, *([] if given.rounds is None else [given.rounds])) < 1:
        parser.error("--threads, --rounds and --channels must be at least 1")
    if package_version("MinkowskiEngine") is None:
        parser.error("MinkowskiEngine, with which native is compared, is not installed; run scripts/install")
    # Both engines take their number of threads from here, once, when they are loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.engines.networks import NETWORKS
    from benchmarks.engines.run import QUICK_CHANNELS, Disagreement, Settings, run
    from benchmarks.engines.workloads import WORKLOADS
    from pipelines.common.errors import UserError

    names = [*WORKLOADS, *NETWORKS]
    for name in given.only:
        if name not in names:
            parser.error(f"there is no {name}; --only takes {', '.join(names)}")
    settings = Settings(
        data=given.data,
        target=given.json,
        quick=given.quick,
        threads=given.threads,
        rounds=given.rounds or (3 if given.quick else 5),
        only=tuple(given.only),
        channels=tuple(given.channels or (QUICK_CHANNELS if given.quick else CHANNELS)),
        operations=tuple(given.operations),
    )
    try:
        run(settings)
    except (UserError, Disagreement) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

"""`python -m benchmarks.scale [--quick] --json FILE`: throughput and memory of wafer maps by the thousand."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="a few hundred maps, no cluster")
    parser.add_argument(
        "--maps", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="sizes (default 1e3, 1e4, 1e5)"
    )
    parser.add_argument(
        "--parts", type=int, default=10_000, help="maps for the parts, workers and Ray (default 1e4)"
    )
    given = parser.parse_args(arguments)
    if min(*given.maps, given.parts) < 1:
        parser.error("numbers must be at least 1")

    from benchmarks.scale.run import Settings, run

    if given.quick:
        run(Settings(given.json, maps=(200,), parts=200, ray=False))
    else:
        run(Settings(given.json, maps=tuple(given.maps), parts=given.parts))


if __name__ == "__main__":
    main()

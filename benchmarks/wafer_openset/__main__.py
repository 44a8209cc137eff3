"""`python -m benchmarks.wafer_openset [--quick] --json FILE`: maps of unknown classes, score by score."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.wafer.wm811k import add_data_option, check_data


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wafer_openset", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--quick", action="store_true", help="one split, few maps, about two minutes; the figures say little"
    )
    add_data_option(parser)
    parser.add_argument(
        "--splits",
        nargs="+",
        metavar="CLASS[+CLASS]",
        help="the classes to leave out, a split each (default Donut+Scratch, each class alone, three pairs)",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, help="trainings of each network and split (default 1)"
    )
    parser.add_argument(
        "--maps", type=int, metavar="N", help="train on so many maps, and test on as many known"
    )
    parser.add_argument(
        "--epochs", type=int, help="of both networks (default 4 of 12,000 maps, and 2 of all)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    if min(given.threads, given.seeds, given.epochs or 1) < 1:
        parser.error("--threads, --seeds and --epochs must be at least 1")
    if given.maps is not None and given.maps < 200:
        parser.error(f"--maps must be at least 200, not {given.maps}")
    check_data(parser, given.data)
    # The engine takes its number of threads from here, once, when it is loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)
    threadpool_limits(given.threads)  # NumPy, which is loaded already

    from benchmarks.wafer_openset.networks import Recipes
    from benchmarks.wafer_openset.run import QUICK, QUICK_MAPS, Settings, run
    from benchmarks.wafer_openset.splits import FIRST_PAIR, default_splits, parse_split

    recipes = QUICK if given.quick else Recipes()
    maps = given.maps or (QUICK_MAPS if given.quick else None)
    if maps is not None:
        recipes = replace(recipes, maps_per_epoch=min(maps, recipes.maps_per_epoch or maps))
    if given.epochs:
        recipes = replace(recipes, suite_epochs=given.epochs, dense_epochs=given.epochs)
    try:
        splits = [parse_split(text) for text in given.splits or []]
        run(
            Settings(
                data=given.data,
                target=given.json,
                splits=splits or ([FIRST_PAIR] if given.quick else default_splits()),
                seeds=range(given.seeds),
                maps=maps,
                recipes=recipes,
                threads=given.threads,
            )
        )
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

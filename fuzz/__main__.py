"""`python -m fuzz READER ...`: hostile input for one reader or all, and how each of them fared."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .readers import NAMES, load
from .run import Counts, fuzz, name_of
from .watch import Outcome


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("reader", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--inputs", type=int, default=10_000, help="inputs for each reader (10000)")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each reader, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the changes (0)")
    parser.add_argument("--out", type=Path, help="a folder for the inputs of findings")
    parser.add_argument("--json", type=Path, help="a file that gets a line of counts for each reader")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.reader) - set(NAMES))
    if unknown:
        parser.error(f"there is no reader {', '.join(unknown)}; there are {', '.join(NAMES)}")
    bad = 0
    for name in given.reader or NAMES:
        counts = _one(name, given)
        bad += sum(counts.findings.values())
        rate = counts.inputs / max(counts.seconds, 1e-9)
        print(
            f"{name}: {counts.inputs:,} inputs in {counts.seconds:.0f} s ({rate:,.0f} a second),"
            f" {counts.read:,} read, {counts.refused:,} refused in {counts.ways:,} ways,"
            f" {sum(counts.findings.values()):,} findings",
            flush=True,
        )
        for finding, times in sorted(counts.findings.items()):
            print(f"  {times:,} x {finding}", flush=True)
        if given.json:
            with given.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"reader": name, "seed": given.seed, **counts.plain()}) + "\n")
    return 1 if bad else 0


def _one(name: str, given: argparse.Namespace) -> Counts:
    def found(outcome: Outcome, data: bytes) -> None:
        where = ""
        if given.out:
            path = given.out / f"{name}-{name_of(outcome, data)}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            where = f" ({path})"
        print(
            f"{name}: {outcome.kind}: {outcome.text} at {outcome.place}{where}", file=sys.stderr, flush=True
        )

    def progress(counts: Counts) -> None:
        if sys.stderr.isatty():
            print(f"\r{name}: {counts.inputs:,}", end="", file=sys.stderr, flush=True)

    return fuzz(
        load(name),
        inputs=given.inputs,
        seconds=given.seconds,
        seed=given.seed,
        found=found,
        progress=progress,
    )


if __name__ == "__main__":
    sys.exit(main())

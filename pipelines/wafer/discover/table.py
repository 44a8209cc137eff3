"""`clusters.csv`: which novel map is in which cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Final

from pipelines.common.tables import Table
from pipelines.wafer.discover.found import Discovered, Map
from pipelines.wafer.past import PastRun

COLUMNS: Final = ("run", "source", "map", "item", "lot", "wafer", "cluster", "similarity")


def write_table(file: IO[str], result: Discovered, runs: Sequence[PastRun]) -> None:
    """Write a row of COLUMNS for each novel map, cluster by cluster, and at the end those in none."""
    table = Table(file, COLUMNS)
    for one in result.clusters:
        for each, similarity in one.members:
            table.writerow(_cells(each, runs, str(one.number), f"{similarity:.4g}"))
    for each in result.single:
        table.writerow(_cells(each, runs, "", ""))


def _cells(each: Map, runs: Sequence[PastRun], number: str, similarity: str) -> dict[str, object]:
    names = {name: getattr(each, name) for name in ("source", "map", "item", "lot", "wafer")}
    return {"run": runs[each.run].path, **names, "cluster": number, "similarity": similarity}

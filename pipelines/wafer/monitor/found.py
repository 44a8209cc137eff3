"""What `monitor` finds, and its tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from pipelines.common.tables import Table
from pipelines.wafer.monitor.charts import Chart, Point
from pipelines.wafer.monitor.groups import By

COLUMNS: Final = (
    *("kind", "step", "group", "time", "measure", "maps", "count", "size", "value"),
    *("centre", "lower", "upper", "spread", "side"),
)


@dataclass(frozen=True, slots=True)
class Monitored:
    """What `monitor` found and wrote. notes: what the charts do not show, in words."""

    out: Path
    by: By
    maps: int
    groups: int
    charts: tuple[Chart, ...]
    notes: tuple[str, ...]

    @property
    def excursions(self) -> list[tuple[Chart, Point]]:
        """Every excursion with its chart, the furthest out of its limits first."""
        pairs = [(chart, point) for chart in self.charts for point in chart.excursions]
        return sorted(pairs, key=lambda pair: -pair[0].how_far(pair[1]))


def summary(result: Monitored) -> dict[str, Any]:
    """Counts, notes, centre lines and excursions as JSON holds them."""
    return {
        "maps": result.maps,
        "by": result.by,
        "groups": result.groups,
        "notes": list(result.notes),
        "charts": [
            {
                **{name: value for name, value in asdict(chart).items() if name != "points"},
                "points": len(chart.points),
                "excursions": len(chart.excursions),
            }
            for chart in result.charts
        ],
        "excursions": [_cells(chart, point) for chart, point in result.excursions],
    }


def write_table(file: IO[str], pairs: Iterable[tuple[Chart, Point]]) -> None:
    """Write a row of COLUMNS for each point."""
    table = Table(file, COLUMNS)
    for chart, point in pairs:
        table.writerow(_cells(chart, point))


def _cells(chart: Chart, point: Point) -> dict[str, Any]:
    numbers = {name: float(f"{getattr(point, name):.7g}") for name in ("value", "lower", "upper")}
    return {
        "kind": chart.kind,
        "step": chart.step,
        "group": point.group,
        "time": point.time.isoformat() if point.time else "",
        "measure": chart.measure,
        "maps": point.maps,
        "count": int(point.count),
        "size": float(f"{point.size:.7g}"),
        **numbers,
        "centre": float(f"{chart.centre:.7g}"),
        "spread": float(f"{chart.spread:.7g}"),
        "side": {1: "above", -1: "below", 0: ""}[point.side],
    }

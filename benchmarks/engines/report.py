"""What the figures come to: geometric means, the worst case, and tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.common import Row, Summary
from benchmarks.engines.cases import NETWORK, OPERATIONS

TIMED = tuple(operation for operation in OPERATIONS if operation != "memory")
GROUPS: dict[str, tuple[str, ...]] = {**{name: (name,) for name in OPERATIONS}, "networks": NETWORK}


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive numbers, at least one."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def overall(rows: Iterable[Row]) -> Summary:
    """Over all cases, for each kind of operation and for the networks together.

    `X_native_over_Y`: the geometric mean of how many times as fast as Y native is; for MinkowskiEngine also
    the `_worst`, and which case that is. `memory_minkowski_over_native`: how many times the memory it takes.
    """
    measured = [row for row in rows if "left_out" not in row]
    summary: Summary = {}
    for group, operations in GROUPS.items():
        relation = "{}_over_native" if group == "memory" else "native_over_{}"
        for engine in ("minkowski", "floor"):
            found = {
                _case(row): row["over_native"]
                for row in measured
                if row["engine"] == engine and row["operation"] in operations
            }
            if not found:
                continue
            name = f"{group}_{relation.format(engine)}"
            summary[name] = geometric_mean(list(found.values()))
            if engine == "minkowski":
                worst = min(found, key=lambda case: found[case])
                summary |= {f"{name}_worst": found[worst], f"{name}_worst_case": worst}
    return summary


def _case(row: Row) -> str:
    return f"{row['case']} {row.get('of', row['operation'])}"


def markdown(report: Mapping[str, Any]) -> str:
    """Tables of a report: means, convolutions, what starts at coordinates, memory, what was left out."""
    rows = report["rows"]
    parts = [
        _means(report["summary"]),
        _convolutions(rows),
        _from_coordinates(rows),
        _memory(rows),
        _left_out(rows),
    ]
    return "\n\n".join(part for part in parts if part)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """A Markdown table, all but its first `texts` columns flush right; "" without rows."""
    body = ["| " + " | ".join(row) + " |" for row in rows]
    if not body:
        return ""
    rule = "|".join("---" if number < texts else "--:" for number in range(len(head)))
    return "\n".join(["| " + " | ".join(head) + " |", f"|{rule}|", *body])


def number(value: float | None) -> str:
    """Two or three digits, as a person reads a ratio."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _means(summary: Mapping[str, Any]) -> str:
    rows = []
    for group in GROUPS:
        name = f"{group}_minkowski_over_native" if group == "memory" else f"{group}_native_over_minkowski"
        if name in summary:
            floor = summary.get(f"{group}_native_over_floor")
            rows.append(
                [
                    group,
                    number(summary[name]),
                    number(summary[f"{name}_worst"]),
                    summary[f"{name}_worst_case"].rpartition(" ")[0],
                    number(1 / floor if floor else None),
                ]
            )
    head = ["geometric means", "MinkowskiEngine / native", "worst", "worst case", "native / floor"]
    return table(head, rows)


def _by_case(rows: Iterable[Row], operations: Sequence[str]) -> dict[tuple[str, str], dict[str, Row]]:
    """The rows of each engine, by case and operation."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if "left_out" not in row and row["operation"] in operations:
            found.setdefault((row["case"], row.get("of") or row["operation"]), {})[row["engine"]] = row
    return found


def _convolutions(rows: Sequence[Row]) -> str:
    """A line per workload, layer and operation, a column per width."""
    cells: dict[tuple[str, str, str], dict[int, str]] = {}
    pairs: dict[tuple[str, str, str], float] = {}
    for (_, operation), by in _by_case(rows, ("forward", "forward_backward")).items():
        row = by["native"]
        line = row["workload"], row["layer"], operation
        floor = 1 / by["floor"]["over_native"]
        pairs[line] = row["pairs_per_site"]
        cells.setdefault(line, {})[row["channels"]] = (
            f"{_over(by)} ({number(floor)})" if "minkowski" in by else f"({number(floor)})"
        )
    widths = sorted({width for line in cells.values() for width in line})
    head = ["sites", "layer", "operation", "pairs a site", *(f"{width} channels" for width in widths)]
    body = [[*line, number(pairs[line]), *(cells[line].get(width, "") for width in widths)] for line in cells]
    return table(head, body, texts=3)


def _from_coordinates(rows: Sequence[Row]) -> str:
    head = ["case", "operation", "sites", "native, ms", "MinkowskiEngine, ms", "MinkowskiEngine / native"]
    body = [
        [
            case,
            operation,
            f"{by['native']['sites']:,}",
            _milliseconds(by, "native"),
            _milliseconds(by, "minkowski"),
            _over(by),
        ]
        for (case, operation), by in _by_case(rows, ("map", "first_forward", *NETWORK)).items()
    ]
    return table(head, body, texts=2)


def _memory(rows: Sequence[Row]) -> str:
    head = ["peak memory", "of", "native, MiB", "MinkowskiEngine, MiB", "MinkowskiEngine / native"]
    body = [
        [
            case,
            operation,
            *(number(by[name]["peak_mib"] if name in by else None) for name in ("native", "minkowski")),
            _over(by),
        ]
        for (case, operation), by in _by_case(rows, ("memory",)).items()
    ]
    return table(head, body, texts=2)


def _left_out(rows: Sequence[Row]) -> str:
    body = [[row["case"], row.get("operation", "all"), row["left_out"]] for row in rows if "left_out" in row]
    return table(["left out", "operation", "why"], body, texts=3)


def _over(by: Mapping[str, Row]) -> str:
    return number(by["minkowski"]["over_native"]) if "minkowski" in by else ""


def _milliseconds(by: Mapping[str, Row], engine: str) -> str:
    """The median, and the spread."""
    if engine not in by:
        return ""
    row = by[engine]
    middle, low, high = (number(1000 * row[key]) for key in ("seconds", "seconds_min", "seconds_max"))
    return f"{middle} ({low} to {high})"

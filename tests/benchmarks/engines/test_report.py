"""Means, the worst case, and the tables."""

from __future__ import annotations

import pytest

from benchmarks.common import Row
from benchmarks.engines.report import geometric_mean, markdown, overall, table


def rows_of(
    case: str, operation: str, minkowski: float, floor: float | None = None, **facts: object
) -> list[Row]:
    shared: Row = {"case": case, "operation": operation, "sites": 1234, "pairs_per_site": 2.5, **facts}
    times = {"native": 1.0, "minkowski": minkowski, **({} if floor is None else {"floor": floor})}
    return [
        {
            **shared,
            "engine": engine,
            "over_native": over,
            "seconds": over / 100,
            "seconds_min": over / 200,
            "seconds_max": over / 50,
            "peak_mib": 10 * over,
        }
        for engine, over in times.items()
    ]


ROWS = [
    *rows_of("box_k3_c16", "forward", 2.0, 0.5, workload="box", layer="k3", channels=16),
    *rows_of("box_k3_c64", "forward", 8.0, 0.125, workload="box", layer="k3", channels=64),
    {"case": "box_k5_c64", "workload": "box", "left_out": "too much"},
    *rows_of("box_k3_c1", "map", 3.0),
    *rows_of("net", "inference", 4.0),
    *rows_of("net", "training_step", 1.0),
    *rows_of("box", "memory", 5.0, of="forward_backward"),
]


def test_the_geometric_mean() -> None:
    assert geometric_mean([2, 8]) == pytest.approx(4)
    assert geometric_mean([0.1]) == pytest.approx(0.1)


def test_the_whole_is_summed_up_by_operation() -> None:
    summary = overall(ROWS)
    assert summary["forward_native_over_minkowski"] == pytest.approx(4)
    assert summary["forward_native_over_minkowski_worst"] == 2
    assert summary["forward_native_over_minkowski_worst_case"] == "box_k3_c16 forward"
    assert summary["forward_native_over_floor"] == pytest.approx(0.25)
    assert summary["networks_native_over_minkowski"] == pytest.approx(2)
    assert summary["networks_native_over_minkowski_worst_case"] == "net training_step"
    assert summary["inference_native_over_minkowski"] == pytest.approx(4)
    assert summary["memory_minkowski_over_native"] == pytest.approx(5)
    assert "forward_backward_native_over_minkowski" not in summary
    assert overall([]) == {}


def test_the_tables_hold_all_figures() -> None:
    text = markdown({"rows": ROWS, "summary": overall(ROWS)})
    for line in (
        "| forward | 4.00 | 2.00 | box_k3_c16 | 4.00 |",
        "| memory | 5.00 | 5.00 | box |  |",
        "| box | k3 | forward | 2.50 | 2.00 (2.00) | 8.00 (8.00) |",
        "| box_k3_c1 | map | 1,234 | 10.0 (5.00 to 20.0) | 30.0 (15.0 to 60.0) | 3.00 |",
        "| net | training_step | 1,234 | 10.0 (5.00 to 20.0) | 10.0 (5.00 to 20.0) | 1.00 |",
        "| box | forward_backward | 10.0 | 50.0 | 5.00 |",
        "| box_k5_c64 | all | too much |",
    ):
        assert line in text.splitlines()


def test_a_report_without_minkowskiengine_has_tables_too() -> None:
    alone = [row for row in ROWS if row.get("engine") != "minkowski"]
    text = markdown({"rows": alone, "summary": overall(alone)})
    assert "| box | k3 | forward | 2.50 | (2.00) | (8.00) |" in text
    assert markdown({"rows": [], "summary": {}}) == ""


def test_a_table_without_rows_is_nothing() -> None:
    assert table(["a", "b"], []) == ""
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|--:|\n| 1 | 2 |"

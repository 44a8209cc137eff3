"""Timing in turn, sections that resume, and the JSON that comes out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.common import Section, Sections, Timing, interleaved, print_report, shown


class Clock:
    """A clock that stands still unless told to move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


def test_calls_are_timed_in_turn_and_the_first_one_changes() -> None:
    clock, order = Clock(), []

    def call(name: str, seconds: float) -> None:
        order.append(name)
        clock.spend(seconds)

    calls = {"a": lambda: call("a", 1.0), "b": lambda: call("b", 3.0)}
    timings = interleaved(calls, repeats=3, warm_up=1, clock=clock)
    assert "".join(order) == "ab" + "ba" + "ab" + "ba"
    assert timings == {"a": Timing(1.0, 1.0, 1.0, 3), "b": Timing(3.0, 3.0, 3.0, 3)}


def test_the_warm_up_does_not_count_and_the_spread_is_kept() -> None:
    clock, costs = Clock(), iter([100.0, 4.0, 1.0, 2.0])
    timing = interleaved({"a": lambda: clock.spend(next(costs))}, repeats=3, warm_up=1, clock=clock)["a"]
    assert (timing.median, timing.low, timing.high, timing.repeats) == (2.0, 1.0, 4.0, 3)
    assert timing.columns() == {"seconds": 2.0, "seconds_min": 1.0, "seconds_max": 4.0, "repeats": 3}


def test_a_short_call_is_made_often_enough() -> None:
    clock, made = Clock(), []

    def call() -> None:
        made.append(clock.now)
        clock.spend(0.25)

    timing = interleaved({"a": call}, repeats=2, warm_up=2, least_seconds=2.0, clock=clock)["a"]
    assert len(made) == 2 + 2 * 8
    assert timing == Timing(0.25, 0.25, 0.25, 2)


def test_no_repeat_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        interleaved({}, repeats=0)


def run_of(target: Path, asked: list[str], threads: int = 2) -> Sections:
    sections = Sections(target, {"threads": threads}, say=lambda text: None)
    for name, value in (("first", 1), ("second", 2)):

        def measure(name: str = name, value: int = value) -> Section:
            asked.append(name)
            if name == "second" and len(asked) == 2:
                raise KeyboardInterrupt
            return Section([{"value": value}], {f"{name}_value": value})

        sections.run(name, measure)
    return sections


def test_a_run_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    target, asked = tmp_path / "out" / "figures.json", list[str]()
    with pytest.raises(KeyboardInterrupt):
        run_of(target, asked)
    assert not target.exists()
    report = run_of(target, asked).finish()
    assert asked == ["first", "second", "second"]
    assert json.loads(target.read_text()) == report
    assert report["rows"] == [{"section": "first", "value": 1}, {"section": "second", "value": 2}]
    assert report["summary"] == {"first_value": 1, "second_value": 2}
    assert report["environment"]["threads"] == 2
    assert {"python", "torch", "processor", "cores"} <= set(report["environment"])
    assert [path.name for path in target.parent.iterdir()] == ["figures.json"]


def test_sections_of_other_settings_are_measured_again(tmp_path: Path) -> None:
    target, asked = tmp_path / "figures.json", list[str]()
    with pytest.raises(KeyboardInterrupt):
        run_of(target, asked)
    run_of(target, asked, threads=1)
    assert asked == ["first", "second", "first", "second"]


def test_the_tables_show_every_section_and_the_summary() -> None:
    report = {
        "rows": [
            {"section": "speed", "engine": "native", "seconds": 0.0125},
            {"section": "memory", "mib": 5},
        ],
        "summary": {"native_over_dense": 3.14159},
    }
    text = io.StringIO()
    print_report(report, Console(file=text, width=120))
    for piece in ("speed", "native", "0.0125", "memory", "native_over_dense", "3.142"):
        assert piece in text.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        (True, "True"),
        (12_345, "12,345"),
        (0.5, "0.5"),
        (4321.9, "4,322"),
        (1e-5, "1e-05"),
    ],
)
def test_values_are_shown_short(value: object, text: str) -> None:
    assert shown(value) == text

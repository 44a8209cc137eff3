"""`python -m benchmarks.review [--quick] --json FILE`: what each step on the review page takes.

Its peer is the same page on a run of 100 maps: the ratio says what a long run costs. A run of one's own is
measured with `--run RUN`; its verdicts are kept in a copy.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks.common import Row, Section, Sections, Summary, print_report
from benchmarks.review.browser import Person, Spent, find_browser, open_page
from benchmarks.review.serving import serve

FEW, MANY = 100, 10_000


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="few repeats, within a minute")
    parser.add_argument("--maps", type=int, default=MANY, help=f"maps of the long run (default {MANY:,})")
    parser.add_argument("--repeats", type=int, help="times that each step is taken (default 15; quick 4)")
    parser.add_argument("--run", type=Path, help="a run to measure in place of the long one")
    given = parser.parse_args(arguments)
    repeats = given.repeats or (4 if given.quick else 15)
    if given.maps < FEW or repeats < 1:
        parser.error(f"--maps must be at least {FEW}, and --repeats at least 1")
    browser = find_browser()
    if browser is None:
        parser.error("there is no Chromium to measure in")
    settings = {"maps": given.maps, "repeats": repeats, "run": str(given.run or "")}
    sections = Sections(given.json, settings)
    with tempfile.TemporaryDirectory(prefix="review-") as scratch:

        def measured(name: str, maps: int, own: Path | None) -> Summary:
            def measure() -> Section:
                return _section(name, _run(Path(scratch) / name, maps, own), browser, repeats)

            return sections.run(name, measure).summary

        few, many = measured("few", FEW, None), measured("many", given.maps, given.run)
    ratios = {f"{step}_ratio": many[f"many_{step}_s"] / few[f"few_{step}_s"] for step in ("open", "verdict")}
    sections.run("ratios", lambda: Section([], ratios))
    print_report(sections.finish())


def _run(folder: Path, maps: int, own: Path | None) -> Path:
    if own is not None:
        copy = folder / "run"
        shutil.copytree(own, copy, ignore=shutil.ignore_patterns("review.sqlite*", "report.html"))
        return copy
    from benchmarks.review.runs import make_run

    return make_run(folder, maps)


def _section(name: str, run: Path, browser: str, repeats: int) -> Section:
    with serve(run) as served, open_page(browser) as page:
        person = Person(page, served)
        person.open()  # the first visitor waits for the run to be read
        first = person.spent.pop("open")
        for _ in range(2):
            person.open()
        for _ in range(repeats):
            person.press("next", "j")
            person.press("verdict", "a")
            person.press("undo", "z")
            person.press("relabel", "2")
            person.click("page", "›")
            person.click("page", "‹")  # back, so that a short run has as many pages as a long one
        for _ in range(max(1, repeats // 3)):
            person.find("#1")
            person.find("")
        peak = served.peak_bytes()
    rows = [_row("first open", first), *(_row(step, spent) for step, spent in person.spent.items())]
    summary: Summary = {f"{name}_first_open_s": first.wall[0], f"{name}_server_peak_mb": peak / 1e6}
    summary |= {f"{name}_{step}_s": spent.timing().median for step, spent in person.spent.items()}
    return Section(rows, summary)


def _row(step: str, spent: Spent) -> Row:
    cpu = {"server_cpu_s": statistics.median(spent.server), "page_cpu_s": statistics.median(spent.page)}
    return {"step": step, **spent.timing().columns(), **cpu}


if __name__ == "__main__":
    main()

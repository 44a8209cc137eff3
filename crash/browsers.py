"""`python -m crash.browsers`: two reviewers, each in a browser, whose server is killed again and again.

Both judge one queue at once, as fast as the page lets them, and note what the page has confirmed by showing
another item. After a kill each waits until the page goes on by itself, or loads it again, by chance.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, TextIO

from apps.items import Run
from apps.store import DATABASE
from apps.viewers import viewer_of
from benchmarks.review.browser import IDLE, TITLE, changed, find_browser, open_page
from benchmarks.review.runs import make_run
from benchmarks.review.serving import free_port, serve

from .ending import ended
from .review import REVIEWERS

if TYPE_CHECKING:
    from playwright.sync_api import Page

KEYS: Final = {"a": "accept", "u": "unsure"}
SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 60.0  # between the page's first answer and the kill
NEXT_MS, BACK_MS = 3_000, 60_000  # until another item is shown; until the page is back


@dataclass(slots=True)
class Counts:
    """verdicts: in the store. confirmed: after which a page had shown another item. both: items that both
    judged. kills: of servers. opened: pages that were opened. waited: pages that went on by themselves."""

    verdicts: int = 0
    confirmed: int = 0
    both: int = 0
    kills: int = 0
    opened: int = 0
    waited: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def review(folder: Path, *, verdicts: int, seed: int, longest: float = LONGEST_SECONDS) -> Counts:
    """Let the reviewers give at least `verdicts` in all on a run in `folder`, and look at what is kept.

    longest: seconds between the page's first answer and the kill, at most.
    """
    begun, rng, counts = time.monotonic(), Random(seed), Counts()
    run, port = make_run(folder, verdicts), free_port()
    processes = multiprocessing.get_context("spawn")
    enough = processes.Event()
    people = {
        name: processes.Process(
            target=_give, args=(port, name, f"{seed} {name}", folder, enough), daemon=True
        )
        for name in REVIEWERS
    }
    for person in people.values():
        person.start()
    while _given(run) < verdicts and all(person.is_alive() for person in people.values()):
        until = rng.uniform(min(SHORTEST_SECONDS, longest), longest)
        with serve(run, port=port):  # it is killed at the end of the block
            begin = time.monotonic()
            while time.monotonic() - begin < until and _given(run) < verdicts:
                time.sleep(0.05)
        counts.kills += 1
    enough.set()
    for name, person in people.items():
        person.join()
        if person.exitcode:
            counts.problems.append(f"{name} ended with {person.exitcode}")
    _check(run, {name: _told(folder, name) for name in REVIEWERS}, counts)
    counts.seconds = round(time.monotonic() - begun, 1)
    return counts


def _given(run: Path) -> int:
    if not (run / DATABASE).exists():
        return 0
    with closing(sqlite3.connect(run / DATABASE, timeout=60)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM verdicts").fetchone()[0])
        except sqlite3.OperationalError:  # the server is making it
            return 0


def _give(port: int, name: str, seed: str, folder: Path, enough: Event) -> None:
    """Judge until it is enough. In a process of its own, with a browser of its own."""
    from playwright.sync_api import Error

    rng, url = Random(seed), f"http://127.0.0.1:{port}"
    told = (folder / f"{name}.txt").open("w", encoding="utf-8")
    with told, open_page(find_browser() or "") as page:
        named = loaded = False
        anew = True
        while not enough.is_set():
            try:
                if anew:
                    loaded = False
                    if named:
                        page.reload()
                    else:
                        _open(page, url, name)
                    named = loaded = True
                page.wait_for_selector(IDLE, timeout=BACK_MS)
                print("opened" if anew else "waited", file=told, flush=True)
                while not enough.is_set():
                    _judge(page, name, rng.choice(list(KEYS)), told)
            except Error:  # the server is gone, or was started anew
                time.sleep(0.2)
                anew = not loaded or rng.random() < 0.5


def _open(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.wait_for_selector(IDLE, timeout=BACK_MS)
    field = page.get_by_label("Reviewer")
    field.fill(name)
    field.press("Enter")
    page.wait_for_url(f"**reviewer={name}*", timeout=BACK_MS)  # the page goes by the name


def _judge(page: Page, name: str, key: str, told: TextIO) -> None:
    """Judge the item that is shown, or go on if it was judged by oneself."""
    title = page.locator(TITLE).inner_text(timeout=NEXT_MS)
    done = page.locator(".st-key-judge").get_by_text(f"by {name}").count() > 0
    if not done:
        print(json.dumps(["pressed", title, KEYS[key]]), file=told, flush=True)
    page.keyboard.press("j" if done else key)
    page.wait_for_function(changed(TITLE), arg=title, timeout=NEXT_MS)
    if not done:
        print(json.dumps(["confirmed", title, KEYS[key]]), file=told, flush=True)


def _told(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def _check(run: Path, told: dict[str, list[str]], counts: Counts) -> None:
    with closing(sqlite3.connect(run / DATABASE)) as database:
        rows = database.execute("SELECT name, reviewer, verdict FROM verdicts ORDER BY id").fetchall()
        if (state := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            counts.problems.append(f"the database is damaged: {state}")
    items = Run(run, viewer_of("wafer"), None).items
    titles = {json.dumps([item.source, item.map]): item.title for item in items}
    counts.verdicts = len(rows)
    kept = _by_item((titles[name], reviewer, kind) for name, reviewer, kind in rows)
    counts.both = len(kept) - len({title for title, _ in kept})
    if others := sorted({reviewer for _, reviewer in kept} - set(told)):
        counts.problems.append(f"verdicts are kept of {', '.join(map(repr, others))}")
    for name, lines in told.items():
        counts.opened += lines.count("opened")
        counts.waited += lines.count("waited")
        said = [json.loads(line) for line in lines if line.startswith("[")]
        pressed = _by_item((title, name, kind) for what, title, kind in said if what == "pressed")
        confirmed = _by_item((title, name, kind) for what, title, kind in said if what == "confirmed")
        counts.confirmed += sum(map(len, confirmed.values()))
        own = {one: kinds for one, kinds in kept.items() if one[1] == name}
        if lost := [one for one, kinds in confirmed.items() if not _within(kinds, own.get(one, []))]:
            counts.problems.append(f"verdicts on {len(lost)} items are lost or changed, such as {lost[0]}")
        if more := [one for one, kinds in own.items() if not _within(kinds, pressed.get(one, []))]:
            counts.problems.append(f"verdicts on {len(more)} items are more than given, such as {more[0]}")
    unseen = counts.verdicts - counts.confirmed
    if not 0 <= unseen <= (counts.kills + 1) * len(told):
        counts.problems.append(f"{unseen} verdicts are kept that no page had confirmed")


def _by_item(verdicts: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], list[str]]:
    """Of titles, reviewers and kinds: the kinds, in their order, of each title and reviewer."""
    found: dict[tuple[str, str], list[str]] = {}
    for title, reviewer, kind in verdicts:
        found.setdefault((title, reviewer), []).append(kind)
    return found


def _within(few: list[str], many: list[str]) -> bool:
    """Whether the few are among the many, in their order."""
    rest = iter(many)
    return all(one in rest for one in few)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.browsers", description=__doc__)
    parser.add_argument("--verdicts", type=int, default=10_000, help="in all (10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the verdicts (0)")
    parser.add_argument(
        "--longest", type=float, default=LONGEST_SECONDS, metavar="S", help="until a kill, at most (60)"
    )
    parser.add_argument("--json", type=Path, help="a file that gets a line of counts")
    given = parser.parse_args(arguments)
    if find_browser() is None:
        parser.error("there is no Chromium")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the browsers and the server end too
    with tempfile.TemporaryDirectory() as folder:
        counts = review(Path(folder), verdicts=given.verdicts, seed=given.seed, longest=given.longest)
    print(
        f"{counts.verdicts:,} verdicts of {len(REVIEWERS)} reviewers, {counts.confirmed:,} confirmed,"
        f" {counts.both:,} items judged by both; {counts.kills:,} kills, {counts.opened:,} pages opened,"
        f" {counts.waited:,} went on by themselves; in {counts.seconds:.0f} s;"
        f" {len(counts.problems):,} problems"
    )
    return ended(counts.problems, {"seed": given.seed, **asdict(counts)}, given.json)


if __name__ == "__main__":
    sys.exit(main())

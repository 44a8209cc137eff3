"""The review page: `apps/served.py` serves it for `suite review`.

One shell for every task: a queue, filters, verdicts, export. The task's viewer draws an item.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import streamlit as st

from apps import tab
from apps.items import Desk, Item, Run, Viewer, plain, read_record, run_state, visible
from apps.judging import Judging
from apps.store import (
    EXPORT,
    MAX_REVIEWER,
    ItemId,
    Store,
    Verdict,
)
from apps.viewers import viewer_of
from apps.wording import caption, titles, word
from apps.worklist import ORDERS, Filters, neighbour, ordered, passing, states
from pipelines.common.errors import UserError

PAGE = 14  # items of the queue that are listed at a time


def main(path: Path, reviewer: str, truth: Path | None = None) -> None:
    """Draw the page of the run folder `path`. truth: a folder to show beside it."""
    st.set_page_config(page_title=f"Review {path.name}", layout="wide", initial_sidebar_state="collapsed")
    st.html(STYLE)
    try:
        viewer = viewer_of(read_record(path).get("task"))
        run = _load(path, run_state(path), truth, viewer)
        store = Store(path)
        verdicts = _latest(path, store.last(), store)
    except UserError as error:
        st.error(visible(str(error)))
        return
    page = Page(run, viewer, store, verdicts)
    page.draw(reviewer)


@st.cache_resource(max_entries=2, show_spinner="Reading the run")
def _load(path: Path, state: tuple[int, ...], truth: Path | None, _viewer: Viewer) -> Run:
    return Run(path, _viewer, truth)


@st.cache_resource(max_entries=2, show_spinner=False)
def _latest(path: Path, last: int, _store: Store) -> dict[ItemId, Verdict]:
    return _store.latest()


@st.cache_resource(max_entries=6, show_spinner=False)
def _ordered(path: Path, state: tuple[int, ...], order: str, _run: Run) -> list[Item]:
    return ordered(_run.items, order)


class Page:
    """One drawing of the page. What outlives it is in the store and, for one tab, in `apps/tab.py`."""

    def __init__(self, run: Run, viewer: Viewer, store: Store, verdicts: dict[ItemId, Verdict]) -> None:
        self.run, self.viewer, self.store, self.verdicts = run, viewer, store, verdicts
        self.lines: list[int] = []

    def draw(self, reviewer: str) -> None:
        tab.go_on(self.run.by_line)
        self._header(tab.reviewer_of_address() or reviewer)
        filters = self._filters()
        queue = passing(
            _ordered(self.run.path, self.run.state, filters.order, self.run),
            self.verdicts,
            filters,
            keep=None if tab.was_refiltered() else tab.line(),
            marks=self.viewer.marks,
            corrected=self.viewer.corrected,
        )
        self.lines = [item.line for item in queue]
        line = neighbour(self.lines, tab.line(), 0)
        tab.draws(line)
        with st.container(key="main"):
            left, middle, right = st.columns(self.viewer.columns, gap="medium")
        if line is None:
            with middle:
                self._nothing()
            return
        item = self.run.by_line[line]
        judging = Judging(self.run, self.viewer, self.store, self.verdicts, self.lines)
        desk = judging.desk()
        # The buttons first: whoever sees the next item must find keys that are meant for it.
        with right, st.container(key="judge"):
            judging.draw(item, desk)
        with middle:
            self._item(item, desk)
        with left, st.container(key="queue"):
            self._queue(queue, line)

    def _header(self, reviewer: str) -> None:
        with st.container(key="header"):
            name, progress, who, undo, export = st.columns([3, 4, 2, 1.2, 1.4], vertical_alignment="bottom")
        reviewable = len(self.run.ids)
        done = sum(item in self.run.ids for item in self.verdicts)
        name.markdown(f"#### {plain(self.run.path.name)}")
        progress.progress(done / max(reviewable, 1), f"{done:,} of {reviewable:,} reviewed")
        who.text_input("Reviewer", reviewer, MAX_REVIEWER, key="reviewer", placeholder="your name")
        undo.button("Undo", key="undo", shortcut="Z", on_click=self._undo, width="stretch")
        export.button(
            "Export",
            key="export",
            on_click=self._export,
            width="stretch",
            help=f"Writes the verdicts to {plain(EXPORT)} in the run folder.",
        )
        kind, text = tab.said()
        if kind == "error":
            st.error(text)
        elif kind:
            st.toast(text)
        if banner := self.viewer.banner(self.run.record):
            st.markdown(banner)
        if self.run.damaged:
            st.warning(f"{self.run.damaged:,} lines of the run are damaged and left out.")

    def _filters(self) -> Filters:
        with st.container(key="filters"):
            widths = [2, 1.6, 2.4, 3, 3] if self.viewer.has_classes else [2, 1.6, 2.4, 6]
            order, state, decisions, *classes, text = st.columns(widths)
        items = self.run.items
        scored = any(item.novelty is not None for item in items)
        orders = [name for name in ORDERS if scored or "novel" not in name]
        return Filters(
            order.selectbox("Order", orders, key="order", on_change=tab.reorder),
            state.selectbox(
                "Show",
                list(states(self.viewer.marks, self.viewer.corrected)),
                key="state",
                on_change=tab.refilter,
            ),
            decisions.multiselect(
                "Decision",
                sorted({item.decision for item in items}),
                key="decisions",
                placeholder="any",
                on_change=tab.refilter,
            ),
            classes[0].multiselect(
                "Class",
                sorted({item.prediction for item in items if item.prediction}),
                key="classes",
                placeholder="any",
                format_func=visible,
                on_change=tab.refilter,
            )
            if classes
            else (),
            text.text_input("Find", key="text", placeholder=self.viewer.finds, on_change=tab.refilter),
        )

    def _queue(self, queue: list[Item], line: int) -> None:
        place = self.lines.index(line)
        first = place - place % PAGE
        shown = queue[first : first + PAGE]
        labels = titles(shown)
        st.session_state["chosen"] = line
        back, where, on = st.columns([1, 2, 1], vertical_alignment="center")
        back.button(
            "‹", key="back", on_click=tab.go, args=(self.lines[max(first - PAGE, 0)],), width="stretch"
        )
        last = math.ceil(len(queue) / PAGE)
        with where.container(key="pages"):
            st.caption(f"page {first // PAGE + 1:,} of {last:,}", text_alignment="center")
        onward = self.lines[min(first + PAGE, (last - 1) * PAGE)]
        on.button("›", key="on", on_click=tab.go, args=(onward,), width="stretch")
        st.radio(
            "Queue",
            [item.line for item in shown],
            format_func=labels.__getitem__,
            captions=[self._caption(item) for item in shown],
            key="chosen",
            on_change=self._choose,
            label_visibility="collapsed",
            width="stretch",
        )

    def _caption(self, item: Item) -> str:
        return caption(item, self.verdicts.get(item.id), self.viewer.marks, self.viewer.corrected)

    def _choose(self) -> None:
        if st.session_state["chosen"] in self.lines:  # else the browser still had the queue before this one
            tab.go(st.session_state["chosen"])

    def _nothing(self) -> None:
        if any(item.reviewable and item.id not in self.verdicts for item in self.run.items):
            st.info("Nothing here passes the filters.")
        else:
            st.success("All is reviewed. Export writes the labels; “Show: all” shows the items again.")

    def _item(self, item: Item, desk: Desk) -> None:
        with st.container(key="item-title"):
            st.markdown(f"##### {plain(item.title)}")
        try:
            if not item.reviewable:
                st.warning(visible(str(self.run.row(item.row).get("error") or "not classified")))
            self.viewer.show(self.run, item, desk)
            self.viewer.details(self.run, item)
        except (UserError, OSError, LookupError, TypeError, ValueError) as error:
            st.error(f"This {self.viewer.noun} cannot be drawn: {visible(str(error))}")

    def _undo(self) -> None:
        try:
            verdict = self.store.undo(tab.reviewer())
        except UserError as error:
            tab.say("error", visible(str(error)))
            return
        if verdict is None:
            tab.say("note", "There is nothing of yours to undo.")
            return
        line = next((item.line for item in self.run.items if item.id == verdict.id), None)
        if line is not None:
            tab.go(line)
        tab.say("note", f"Taken back: {word(verdict, self.viewer.marks, self.viewer.corrected)}.")

    def _export(self) -> None:
        file = self.run.path / EXPORT
        try:
            count = self.store.export(file, self.run.ids)
            more = self.viewer.export(self.run, self.store.latest())
        except (UserError, OSError) as error:
            tab.say("error", f"Not exported: {visible(str(error))}")
            return
        tab.say(
            "note",
            f"{count:,} {'verdict' if count == 1 else 'verdicts'} written to {plain(str(file))}"
            + (f"; {plain(more)}" if more else ""),
        )


def _arguments() -> tuple[Path, str, Path | None]:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--reviewer", default="")
    parser.add_argument("--truth", type=Path)
    given = parser.parse_args()
    return given.run, given.reviewer, given.truth


STYLE = f"<style>{(Path(__file__).parent / 'review.css').read_text(encoding='utf-8')}</style>"

if __name__ == "__main__":
    main(*_arguments())

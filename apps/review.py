"""The review page: `apps/served.py` serves it for `suite review`.

One shell for every task: a queue, filters, verdicts, export. The task's viewer draws an item.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from apps.items import Desk, Item, Run, Viewer, plain, read_record, run_state, visible
from apps.store import (
    EXPORT,
    MAX_LABEL,
    MAX_NOTE,
    MAX_REVIEWER,
    ItemId,
    Store,
    Verdict,
    VerdictKind,
    new_label,
)
from apps.viewers import viewer_of
from apps.wording import badge, caption, mark_of, sure, titles, word
from apps.worklist import ORDERS, Filters, neighbour, ordered, passing, states
from pipelines.common.errors import UserError

PAGE = 14  # items of the queue that are listed at a time
# A key per class, in the order of the buttons. C and R are Streamlit's; A, U, Z, J and K are other buttons'.
CLASS_KEYS = "1234567890QWETYPSDFGHLXVBNM"


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
    """One drawing of the page. What outlives it is in the store and, for one tab, in the session:

    `line`, the item to look at; `drawn`, the one that was drawn and has got no verdict since; `said`, a
    message of the last action; `refiltered`, whether the filters were changed since the last drawing.
    """

    def __init__(self, run: Run, viewer: Viewer, store: Store, verdicts: dict[ItemId, Verdict]) -> None:
        self.run, self.viewer, self.store, self.verdicts = run, viewer, store, verdicts
        self.lines: list[int] = []

    def draw(self, reviewer: str) -> None:
        self._go_on()
        self._header(_parameter("reviewer", MAX_REVIEWER) or reviewer)
        filters = self._filters()
        queue = passing(
            _ordered(self.run.path, self.run.state, filters.order, self.run),
            self.verdicts,
            filters,
            keep=None if st.session_state.pop("refiltered", False) else st.session_state.get("line"),
            marks=self.viewer.marks,
            corrected=self.viewer.corrected,
        )
        self.lines = [item.line for item in queue]
        line = neighbour(self.lines, st.session_state.get("line"), 0)
        st.session_state["line"] = st.session_state["drawn"] = line
        _set_parameters(item=line, reviewer=_reviewer())
        with st.container(key="main"):
            left, middle, right = st.columns(self.viewer.columns, gap="medium")
        if line is None:
            with middle:
                self._nothing()
            return
        item = self.run.by_line[line]
        desk = Desk(self.store, _reviewer(), self._correct)
        # The buttons first: whoever sees the next item must find keys that are meant for it.
        with right, st.container(key="judge"):
            self._judge(item, desk)
        with middle:
            self._item(item, desk)
        with left, st.container(key="queue"):
            self._queue(queue, line)

    def _go_on(self) -> None:
        """Where a tab was, after it was loaded again or its server was started anew.

        In the second case the tab shows what it showed, and the first key pressed there only tells the new
        server that the tab is there.
        """
        if "line" in st.session_state:
            return
        asked = _parameter("item")
        line = int(asked) if re.fullmatch("[0-9]{1,9}", asked) else None
        if line not in self.run.by_line:
            return
        st.session_state["line"] = line
        st.session_state["said"] = ("note", "Opened anew. A key that was pressed just before is not saved.")

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
        kind, text = st.session_state.pop("said", ("", ""))
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
            order.selectbox("Order", orders, key="order", on_change=_reordered),
            state.selectbox(
                "Show",
                list(states(self.viewer.marks, self.viewer.corrected)),
                key="state",
                on_change=_refiltered,
            ),
            decisions.multiselect(
                "Decision",
                sorted({item.decision for item in items}),
                key="decisions",
                placeholder="any",
                on_change=_refiltered,
            ),
            classes[0].multiselect(
                "Class",
                sorted({item.prediction for item in items if item.prediction}),
                key="classes",
                placeholder="any",
                format_func=visible,
                on_change=_refiltered,
            )
            if classes
            else (),
            text.text_input("Find", key="text", placeholder=self.viewer.finds, on_change=_refiltered),
        )

    def _queue(self, queue: list[Item], line: int) -> None:
        place = self.lines.index(line)
        first = place - place % PAGE
        shown = queue[first : first + PAGE]
        labels = titles(shown)
        st.session_state["chosen"] = line
        back, where, on = st.columns([1, 2, 1], vertical_alignment="center")
        back.button(
            "‹", key="back", on_click=self._go, args=(self.lines[max(first - PAGE, 0)],), width="stretch"
        )
        last = math.ceil(len(queue) / PAGE)
        with where.container(key="pages"):
            st.caption(f"page {first // PAGE + 1:,} of {last:,}", text_alignment="center")
        onward = self.lines[min(first + PAGE, (last - 1) * PAGE)]
        on.button("›", key="on", on_click=self._go, args=(onward,), width="stretch")
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
            st.session_state["line"] = st.session_state["chosen"]

    def _go(self, line: int) -> None:
        st.session_state["line"] = line

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

    def _judge(self, item: Item, desk: Desk) -> None:
        back, on = st.columns(2)
        for column, name, key, step in ((back, "Previous", "K", -1), (on, "Next", "J", 1)):
            target = neighbour(self.lines, item.line, step)
            column.button(
                name,
                key=name,
                shortcut=key,
                on_click=self._go,
                args=(target,),
                disabled=target == item.line,
                width="stretch",
            )
        if not item.reviewable:
            return
        verdict = self.verdicts.get(item.id)
        how = f" {sure(item)}" if item.certainty else f", {sure(item)} sure" if sure(item) else ""
        st.markdown(f"{badge(item)} **{plain(item.prediction)}**{how}")
        if verdict is not None:
            by = f" by {plain(verdict.reviewer)}" if verdict.reviewer else ""
            kind = st.warning if mark_of(verdict, self.viewer.marks) else st.success
            kind(self._caption(item) + by)
            if verdict.note:
                st.caption(plain(verdict.note))
        st.text_input("Note", key=f"note {item.id}", max_chars=MAX_NOTE, placeholder="optional")
        if self.viewer.marks:
            self._accept(item, st.container(), desk)
            for mark, column in zip(self.viewer.marks, st.columns(len(self.viewer.marks)), strict=True):
                column.button(
                    mark.label.capitalize(),
                    key=_key(mark.label, item),
                    shortcut=mark.key,
                    on_click=self._say,
                    args=(item, "relabel", mark.label, desk),
                    width="stretch",
                )
            self.viewer.judge(self.run, item, desk)
            return
        accept, unsure = st.columns(2)
        self._accept(item, accept, desk)
        unsure.button(
            "Unsure",
            key=_key("unsure", item),
            shortcut="U",
            on_click=self._give,
            args=(item, "unsure", ""),
            width="stretch",
        )
        self._relabel(item)

    def _accept(self, item: Item, place: DeltaGenerator, desk: Desk) -> None:
        place.button(
            f"Accept {plain(item.prediction)}",
            key=_key("accept", item),
            type="primary",
            shortcut="A",
            on_click=self._say,
            args=(item, "accept", item.prediction, desk),
            width="stretch",
        )

    def _relabel(self, item: Item) -> None:
        st.caption("Relabel as")
        columns = st.columns(2)
        for number, name in enumerate(self._names(item)):
            columns[number % 2].button(
                plain(name),
                key=_key(f"class {name}", item),
                shortcut=CLASS_KEYS[number] if number < len(CLASS_KEYS) else None,
                on_click=self._name,
                args=(item, name),
                width="stretch",
            )
        new, add = st.columns([2, 1], vertical_alignment="bottom")
        new.text_input("A new class", key=f"new {item.id}", max_chars=MAX_LABEL, placeholder="its name")
        add.button("Relabel", key=_key("new", item), on_click=self._give_new, args=(item,), width="stretch")

    def _names(self, item: Item) -> list[str]:
        """The classes of the model, then those that reviewers named."""
        named = {verdict.label: None for verdict in self.verdicts.values() if verdict.verdict == "relabel"}
        known = dict.fromkeys(self.viewer.classes(self.run.record, item), None)
        return list(known | named)

    def _give_new(self, item: Item) -> None:
        try:
            name = new_label(str(st.session_state.get(f"new {item.id}", "")))
        except UserError as error:
            st.session_state["said"] = ("error", visible(str(error)))
            return
        self._name(item, name)

    def _name(self, item: Item, name: str) -> None:
        """Give the item this class; that is to accept it if the model said the same."""
        self._give(item, "accept" if name == item.prediction else "relabel", name)

    def _say(self, item: Item, kind: VerdictKind, label: str, desk: Desk) -> None:
        """Give a verdict with what the viewer keeps with it."""
        if not _is_drawn(item):
            return
        try:
            detail = self.viewer.kept(self.run, item, desk, label)
        except UserError as error:
            st.session_state["said"] = ("error", f"Not saved: {visible(str(error))}")
            return
        self._give(item, kind, label, detail)

    def _correct(self, item: Item, label: str, detail: str) -> None:
        self._give(item, "relabel", label, detail)

    def _give(self, item: Item, kind: VerdictKind, label: str, detail: str = "") -> None:
        """Save a verdict and go to the next item; if that fails, stay and say why."""
        if not _is_drawn(item):
            return
        following = neighbour(self.lines, item.line, 1)
        try:
            self.store.add(
                Verdict(
                    source=item.source,
                    map=item.map,
                    item=item.hash,
                    model=item.model,
                    prediction=item.prediction,
                    novelty=item.novelty,
                    verdict=kind,
                    label=label,
                    note=str(st.session_state.get(f"note {item.id}", "")).strip(),
                    reviewer=_reviewer(),
                ),
                detail,
            )
        except UserError as error:
            st.session_state["said"] = ("error", f"Not saved: {visible(str(error))}")
            return
        st.session_state["line"] = None if following == item.line else following
        st.session_state["drawn"] = None

    def _undo(self) -> None:
        try:
            verdict = self.store.undo(_reviewer())
        except UserError as error:
            st.session_state["said"] = ("error", visible(str(error)))
            return
        if verdict is None:
            st.session_state["said"] = ("note", "There is nothing of yours to undo.")
            return
        line = next((item.line for item in self.run.items if item.id == verdict.id), None)
        if line is not None:
            st.session_state["line"] = line
        st.session_state["said"] = (
            "note",
            f"Taken back: {word(verdict, self.viewer.marks, self.viewer.corrected)}.",
        )

    def _export(self) -> None:
        file = self.run.path / EXPORT
        try:
            count = self.store.export(file, self.run.ids)
            more = self.viewer.export(self.run, self.store.latest())
        except (UserError, OSError) as error:
            st.session_state["said"] = ("error", f"Not exported: {visible(str(error))}")
            return
        st.session_state["said"] = (
            "note",
            f"{count:,} {'verdict' if count == 1 else 'verdicts'} written to {plain(str(file))}"
            + (f"; {plain(more)}" if more else ""),
        )


def _key(what: str, item: Item) -> str:
    """The key of a button that judges: one for each item, so that a click is for the item that was seen.

    With one for all, a key pressed while the next item is on its way would judge that one, unseen.
    """
    return f"{what} / {item.line}"


def _is_drawn(item: Item) -> bool:
    """Whether the item is the one that is looked at, and has got no verdict since it was drawn.

    The browser keeps the buttons of the last item, and what was chosen in the queue, until a drawing ends. A
    key that is pressed before presses both buttons: without this the last item would get that verdict too.
    If it is not the one, that one stays the item to look at.
    """
    drawn = st.session_state.get("drawn")
    if drawn is not None and drawn != item.line:
        st.session_state["line"] = drawn
    return bool(drawn == item.line)


def _reordered() -> None:
    """Another order begins with its first item."""
    _refiltered()
    st.session_state["line"] = None


def _refiltered() -> None:
    st.session_state["refiltered"] = True


def _reviewer() -> str:
    return str(st.session_state.get("reviewer", "")).strip()


def _parameter(name: str, longest: int = 20) -> str:
    """What the address of the page says after `?name=`."""
    return str(st.query_params.get(name, ""))[:longest].strip()


def _set_parameters(**values: object) -> None:
    for name, value in values.items():
        if value in (None, ""):
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != str(value):
            st.query_params[name] = str(value)


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

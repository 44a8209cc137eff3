"""The right side of the review page: what was said of the item that is shown, and the keys to say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from apps import tab
from apps.items import Desk, Item, Run, Viewer, plain, visible
from apps.store import MAX_LABEL, MAX_NOTE, ItemId, Store, Verdict, VerdictKind, new_label
from apps.wording import badge, caption, mark_of, sure
from apps.worklist import neighbour
from pipelines.common.errors import UserError

# A key per class, in the order of the buttons. C and R are Streamlit's; A, U, Z, J and K are other buttons'.
CLASS_KEYS: Final = "1234567890QWETYPSDFGHLXVBNM"


@dataclass(frozen=True, slots=True)
class Judging:
    """verdicts: the latest of each item. lines: those of the items that are shown, in their order."""

    run: Run
    viewer: Viewer
    store: Store
    verdicts: Mapping[ItemId, Verdict]
    lines: Sequence[int]

    def desk(self) -> Desk:
        """What a viewer needs to keep what a reviewer corrects."""
        return Desk(self.store, tab.reviewer(), self._correct)

    def draw(self, item: Item, desk: Desk) -> None:
        """The keys to go on, and what can be said of the item. desk: of `desk`."""
        back, on = st.columns(2)
        for column, name, key, step in ((back, "Previous", "K", -1), (on, "Next", "J", 1)):
            target = neighbour(self.lines, item.line, step)
            column.button(
                name,
                key=name,
                shortcut=key,
                on_click=tab.go,
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
            kind(caption(item, verdict, self.viewer.marks, self.viewer.corrected) + by)
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
            tab.say("error", visible(str(error)))
            return
        self._name(item, name)

    def _name(self, item: Item, name: str) -> None:
        """Give the item this class; that is to accept it if the model said the same."""
        self._give(item, "accept" if name == item.prediction else "relabel", name)

    def _say(self, item: Item, kind: VerdictKind, label: str, desk: Desk) -> None:
        """Give a verdict with what the viewer keeps with it."""
        if not tab.is_drawn(item):
            return
        try:
            detail = self.viewer.kept(self.run, item, desk, label)
        except UserError as error:
            tab.say("error", f"Not saved: {visible(str(error))}")
            return
        self._give(item, kind, label, detail)

    def _correct(self, item: Item, label: str, detail: str) -> None:
        self._give(item, "relabel", label, detail)

    def _give(self, item: Item, kind: VerdictKind, label: str, detail: str = "") -> None:
        """Save a verdict and go to the next item; if that fails, stay and say why."""
        if not tab.is_drawn(item):
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
                    reviewer=tab.reviewer(),
                ),
                detail,
            )
        except UserError as error:
            tab.say("error", f"Not saved: {visible(str(error))}")
            return
        tab.judged(None if following == item.line else following)


def _key(what: str, item: Item) -> str:
    """The key of a button that judges: one for each item, so that a click is for the item that was seen.

    With one for all, a key pressed while the next item is on its way would judge that one, unseen.
    """
    return f"{what} / {item.line}"

"""Sized polyps on the review page: frames with the lesion's box, the size with its interval, corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from apps import tab
from apps.edits import Edits
from apps.items import Desk, Item, Mark, Row, Run, plain, visible
from apps.store import ItemId, Verdict
from apps.viewers import polyp_case as case
from apps.viewers import polyp_marks as marking
from apps.viewers import polyp_pictures as pictures
from apps.viewers.component import item_with, key_of
from apps.viewers.polyp_again import ask_again, can_ask
from apps.viewers.polyp_case import Polyps, Sized, SizedFrame, Sources
from apps.viewers.polyp_items import item_of, label_of
from apps.viewers.polyp_pictures import Picture
from apps.viewers.polyp_retrain import write_data
from apps.viewers.polyp_view import Again, Message, Shown, Size, draw
from pipelines.common.errors import UserError

noun = "polyp"
companion = "frames.jsonl"
finds = "polyp, patient, video or file"
marks: tuple[Mark, ...] = (Mark("reject", "rejected", "X"), Mark("unsure", "unsure", "U"))
corrected, has_classes = "corrected", False
columns = (2.1, 7.9, 2.0)
takes_truth = False

HEARD, LOOK, AGAIN, SAVED = "polyp heard", "polyp look", "polyp again", "polyp saved"
REFUSED = "polyp refused"
PROBLEMS = (UserError, OSError, LookupError, TypeError, ValueError)


def items(line: int, row_line: int, row: Row) -> list[Item]:
    """The one item of a row: a polyp."""
    return [item_of(line, row_line, row)]


def banner(record: Row) -> str:
    """What every size on this page is, and is not."""
    model = record.get("model")
    data = str(model.get("data") or "") if isinstance(model, dict) else ""
    learnt = f"The model learnt from {plain(data)}." if data else "Its training data are not stated."
    return (
        f":orange-badge[For research] **Not a medical device.** {learnt} No size here may decide a treatment."
    )


def classes(record: Row, item: Item) -> list[str]:
    """None: what is predicted is a number."""
    return []


def show(run: Run, item: Item, desk: Desk) -> None:
    """The size and the frames, to be corrected."""
    if item.reviewable:
        _polyp(run, item, desk)


def judge(run: Run, item: Item, desk: Desk) -> None:
    """Nothing: what else can be said is said beside the frames."""


def kept(run: Run, item: Item, desk: Desk, label: str) -> str:
    """Frames, boxes and reasons as the reviewer left them. A size that was typed goes with Save alone."""
    marks = marking.marks_of(item, desk.store, desk.reviewer).marks
    return marking.as_detail(marking.without_size(marks))


def details(run: Run, item: Item) -> None:
    """Where the polyp comes from, and what the run noted of it."""
    row = run.row(item.row)
    parts = [str(row["source"])]
    parts += [f"{what} {row[what]}" for what in ("patient", "video") if row[what]]
    if row["status"] == "ok":
        boxes = {"finder": "boxes found by a model", "labels": "boxes of the data set"}
        parts.append(f"{row['used']:,} of {row['frames']:,} frames used")
        parts.append(boxes.get(row["boxes_from"], f"{row['boxes_from']} given to the run"))
        parts += [f"model {row['model']}", *row["notes"]]
    st.caption(plain(" · ".join(str(part) for part in parts if part)))


def export(run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
    """The polyps whose size was accepted or corrected, to train on."""
    return write_data(run, verdicts, lambda: _polyps(run.path, run.state, run))


@st.fragment
def _polyp(run: Run, item: Item, desk: Desk) -> None:
    """In a fragment: a click draws nothing else of the page."""
    if st.session_state.pop(SAVED, False):
        st.rerun()
    try:
        _draw(run, item, desk)
    except PROBLEMS as error:
        st.error(f"This {noun} cannot be drawn: {visible(str(error))}")


def _draw(run: Run, item: Item, desk: Desk) -> None:
    row, sized, key = run.row(item.row), _sized(run, item), key_of(item)
    window, answered, have = st.session_state.get(HEARD, ("", -1, frozenset()))
    name, look, seen = st.session_state.get(LOOK, ("", 0, 0))
    if name != key or not 0 <= look < max(len(sized.frames), 1):
        look = seen = _best(sized.frames)
    try:
        sources: Sources | None = _sources(run.path, run.state, item.row, run)
        why = ""
    except UserError as error:  # its size can be judged all the same
        sources, why = None, str(error)
        st.warning(f"Its frames cannot be read; pictures of the run stand for them. {visible(why)}")
    found = _pictures(run, item, sized.frames, sources, why, {look, seen})
    said = marking.marks_of(item, desk.store, desk.reviewer)
    again = st.session_state.get(AGAIN, ("", None))
    shown = Shown(
        key=key,
        title=item.title,
        size=_size(row, sized),
        frames=sized.frames,
        pictures=found,
        large=[one for one in (look - 1, look, look + 1) if one in found],
        look=look,
        marks=said.marks,
        own=said.own,
        origin=said.origin,
        can_size=sources is not None and can_ask(run, sized.frames),
        again=again[1] if again[0] == key else None,
        tab=window,
        answered=answered,
        have=have,
        acked=_acked(desk, window),
    )
    draw(shown, lambda message: _heard(run, desk, message))


def _pictures(
    run: Run,
    item: Item,
    frames: Sequence[SizedFrame],
    sources: Sources | None,
    why: str,
    wanted: set[int],
) -> dict[int, Picture]:
    """Pictures of the frames around those that are wanted, by number."""
    if sources is None:
        return dict(enumerate(pictures.run_pictures(run, frames, why)))
    made: dict[int, Picture] = {}
    for number in wanted:
        places = pictures.chunk_of(frames, sources, min(max(number, 0), max(len(frames) - 1, 0)))
        if places and places.start not in made:
            read = _chunk(run.path, run.state, item.row, places.start, places.stop, run)
            made |= dict(zip(places, read, strict=True))
    return made


def _best(frames: Sequence[SizedFrame]) -> int:
    """The frame to begin with: of those that count, the one that counts most."""
    order = sorted(range(len(frames)), key=lambda one: (frames[one].used, frames[one].weight), reverse=True)
    return order[0] if order else 0


def _size(row: Row, sized: Sized) -> Size:
    return Size(
        mm=row["mm"],
        low=row["low"],
        high=row["high"],
        decision=row["decision"],
        reason=str(row["reason"] or ""),
        chances=(row["p_le_5"], row["p_ge_10"]),
        scale=case.scale_told(row),
        true=(row["true_mm"], bool(row["true_is_bound"])),
        curve=case.curve_of(sized.shares),
        trained=bool(row["trained_on"]),
    )


def _acked(desk: Desk, window: str) -> int:
    """The last step of a window that need not be sent again."""
    refused, number = st.session_state.get(REFUSED, ("", -1))
    return max(Edits(desk.store).last(window) if window else -1, number if refused == window else -1)


def _heard(run: Run, desk: Desk, message: Message) -> None:
    """Keep the steps of a message, remember what is looked at, and save or size again if it is asked for."""
    st.session_state[HEARD] = message.tab, message.number, message.have
    st.session_state[LOOK] = message.key, message.look, message.seen
    try:
        problem = _keep(run, desk, message)
        item = item_with(run, message.key)
        if item is not None and not problem and (message.save or message.again):
            marks = marking.marks_of(item, desk.store, desk.reviewer).marks
            if message.save:
                desk.give(item, label_of(marks, item), marking.as_detail(marks))
                st.session_state[SAVED] = True
            elif message.again:
                st.session_state[AGAIN] = message.key, _again(run, item, marks)
    except PROBLEMS as error:
        problem = str(error)
    if problem:
        tab.say("error", f"Not kept: {visible(problem)}")
        st.session_state[SAVED] = True  # the page says why


def _again(run: Run, item: Item, marks: marking.Marks) -> Again:
    sources = _sources(run.path, run.state, item.row, run)
    try:
        told, mm = ask_again(run, _sized(run, item).frames, sources, marks)
    except (*PROBLEMS, RuntimeError) as error:
        told, mm = f"Not sized: {visible(str(error))}", None
    return Again(told, mm, marks)


def _keep(run: Run, desk: Desk, message: Message) -> str:
    """Keep the steps of each item; why some are none, which are not to be sent again, or empty.

    Raises UserError if steps cannot be kept now.
    """
    problem = ""
    for key in dict.fromkeys(key for key, _ in message.steps):
        sent = [step for name, step in message.steps if name == key]
        item = item_with(run, key)
        try:
            if item is None:
                raise ValueError("the run has changed, and what was said is of another polyp")
            steps = marking.checked_steps(sent, message.tab, _sized(run, item).frames)
        except ValueError as error:
            problem = str(error)
        else:
            Edits(desk.store).add(item.id, desk.reviewer, steps)
    if problem:
        st.session_state[REFUSED] = message.tab, max(int(step[0]) for _, step in message.steps)
    return problem


def _sized(run: Run, item: Item) -> Sized:
    return _read_sized(run.path, run.state, item.row, run)


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_sized(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> Sized:
    return case.read_sized(_run, row_line)


@st.cache_resource(max_entries=2, show_spinner="Looking for the frames")
def _polyps(path: Path, state: tuple[int, ...], _run: Run) -> Polyps:
    return case.list_polyps(_run)


@st.cache_resource(max_entries=4, show_spinner=False)
def _sources(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> Sources:
    sized = _read_sized(path, state, row_line, _run)
    return case.find_sources(_run, _run.row(row_line), sized, _polyps(path, state, _run))


@st.cache_resource(max_entries=4, show_spinner="Looking for the optical field")
def _fields(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> pictures.Fields:
    frames = _read_sized(path, state, row_line, _run).frames
    sources = _sources(path, state, row_line, _run)
    return pictures.find_fields(_run, _run.row(row_line), frames, sources)


@st.cache_resource(max_entries=8, show_spinner="Reading frames")
def _chunk(
    path: Path, state: tuple[int, ...], row_line: int, start: int, stop: int, _run: Run
) -> list[Picture]:
    frames = _read_sized(path, state, row_line, _run).frames
    fields = _fields(path, state, row_line, _run)
    return pictures.read_pictures(_run, frames[start:stop], _sources(path, state, row_line, _run), fields)

"""Counted images and frames on the review page: the map of people over the image, and heads to be marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from apps import tab
from apps.edits import Edits
from apps.items import Desk, Item, Mark, Row, Run, plain, visible
from apps.store import ItemId, Verdict
from apps.viewers import crowd_case as case
from apps.viewers import crowd_marks as marking
from apps.viewers import crowd_pictures as pictures
from apps.viewers.component import item_with, key_of
from apps.viewers.crowd_case import Seen
from apps.viewers.crowd_pictures import Box, Part
from apps.viewers.crowd_retrain import write_data
from apps.viewers.crowd_view import Message, Shown, draw
from pipelines.common.errors import UserError
from pipelines.crowd.count.files import COMPANION
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.zones import Zone

noun = "image"
companion = COMPANION
finds = "file, frame or zone"
marks: tuple[Mark, ...] = (Mark("reject", "rejected", "X"),)
corrected, has_classes = "corrected", False
columns = (2.2, 7.7, 2.1)
takes_truth = False

MOST_PEOPLE: Final = 10_000_000  # that a person may type
HEARD, LOOK, OFFER, SAVED = "crowd heard", "crowd look", "crowd offer", "crowd saved"
REFUSED = "crowd refused"
PROBLEMS = (UserError, OSError, LookupError, TypeError, ValueError)


def items(line: int, row_line: int, row: Row) -> list[Item]:
    """The one item of a row: an image, or a frame of a video."""
    ok, frame = row["status"] == "ok", row["frame"]
    name = Path(row["source"]).name
    place = "" if frame is None else f"frame {int(frame)}"
    count, low, high = (row[one] if ok else None for one in ("count", "low", "high"))
    counted = "" if count is None else whole(count)
    one = Item(
        line=line,
        row=row_line,
        source=row["source"],
        map="" if frame is None else str(int(frame)),
        hash=row["item"] if ok else "",
        title=f"{name}, {place}" if place else name,
        group=row["source"] if place else "",
        prediction=counted,
        decision=("nobody" if counted == "0" else "counted") if ok else "failed",
        probability=None,
        novelty=None,
        threshold=None,
        model=row["model"],
        text="\n".join([row["source"] + (f"#{frame}" if place else ""), place, *row["zones"]]).lower(),
        doubt=_doubt(count, low, high),
        certainty="" if low is None or high is None else f"({low:,.0f} to {high:,.0f})",
    )
    return [one]


def whole(count: float) -> str:
    """A number of people in whole ones, as verdicts hold it."""
    return f"{count:.0f}"


def _doubt(count: float | None, low: float | None, high: float | None) -> float | None:
    """The width of the interval as a share of the count. Without intervals the largest counts come first,
    as a mistake there weighs most."""
    if count is None:
        return None
    return float(count) if low is None or high is None else (high - low) / max(count, 1.0)


def banner(record: Row) -> str:
    """Nothing."""
    return ""


def classes(record: Row, item: Item) -> list[str]:
    """None: what is predicted is a number."""
    return []


def show(run: Run, item: Item, desk: Desk) -> None:
    """The image with its layers, to be marked."""
    if item.reviewable:
        _image(run, item, desk)


def judge(run: Run, item: Item, desk: Desk) -> None:
    """A field for the right count."""
    with st.form(f"count form {item.line}", border=False):
        st.number_input(
            "The right count",
            min_value=0,
            max_value=MOST_PEOPLE,
            value=None,
            step=1,
            key=f"count {item.line}",
            placeholder="if you know it",
            help="It is kept in the table of verdicts. To train on this image, mark the heads in it instead.",
        )
        st.form_submit_button("Save this count", on_click=_typed, args=(item, desk), width="stretch")


def kept(run: Run, item: Item, desk: Desk, label: str) -> str:
    """Nothing."""
    return ""


def details(run: Run, item: Item) -> None:
    """Where the image comes from, and what the run noted of it."""
    row = run.row(item.row)
    parts = [str(row["source"])]
    if row["status"] == "ok":
        if row["frame"] is not None:
            parts.append(f"frame {row['frame']}, {float(row['time']):.2f} s")
        parts.append(f"{row['width']:,} x {row['height']:,} px")
        if row["people_per_m2"] is not None:
            parts.append(f"{row['people_per_m2']:.3g} people per m²")
        parts += [f"model {row['model']}", *row["notes"]]
    st.caption(plain(" · ".join(str(part) for part in parts if part)))


def export(run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
    """The images in which heads were marked, to train on."""
    return write_data(run, verdicts)


def _typed(item: Item, desk: Desk) -> None:
    count = st.session_state.get(f"count {item.line}")
    if isinstance(count, int) and 0 <= count <= MOST_PEOPLE:
        desk.give(item, str(count), "")


@st.fragment
def _image(run: Run, item: Item, desk: Desk) -> None:
    """In a fragment: a click draws nothing else of the page."""
    if st.session_state.pop(SAVED, False):
        st.rerun()
    try:
        _draw(run, item, desk)
    except PROBLEMS as error:
        st.error(f"This {noun} cannot be drawn: {visible(str(error))}")


def _draw(run: Run, item: Item, desk: Desk) -> None:
    row = run.row(item.row)
    seen = _seen(run.path, run.state, item.row, run)
    try:
        found: CountMap | None = _counts(run.path, run.state, item.row, run)
    except UserError as error:  # the image can be judged and marked all the same
        found = None
        st.warning(visible(str(error)))
    key = key_of(item)
    window, answered, have = st.session_state.get(HEARD, ("", -1, frozenset()))
    try:
        listed = _listed(run.path, run.state, item.row, run)
    except UserError as error:
        listed = []
        st.warning(visible(str(error)))
    marks = marking.marks_of(item, desk.store, desk.reviewer, listed)
    offer = None
    if st.session_state.pop(OFFER, "") == key and found is not None:
        offer = marking.model_points(found, seen.width, seen.height)
    shown = Shown(
        key=key,
        title=item.title,
        width=seen.width,
        height=seen.height,
        native=seen.pixels.shape[1] / seen.width,
        count=f"{float(row['count']):,.0f}",
        interval=_people(row),
        pictures=_pictures(run, item, key, seen),
        zones=_zones(run, row, seen),
        points=marks.points,
        own=marks.own,
        origin=marks.origin,
        predicted=listed or None,
        can_begin=found is not None and item.prediction != "0",
        offer=offer,
        tab=window,
        answered=answered,
        have=have,
        acked=_acked(desk, window),
    )
    draw(shown, lambda message: _heard(run, desk, message))


def _acked(desk: Desk, window: str) -> int:
    """The last step of a window that need not be sent again."""
    refused, number = st.session_state.get(REFUSED, ("", -1))
    return max(Edits(desk.store).last(window) if window else -1, number if refused == window else -1)


def _heard(run: Run, desk: Desk, message: Message) -> None:
    """Keep the steps of a message, remember what is looked at, and save if it is asked for."""
    st.session_state[HEARD] = message.tab, message.number, message.have
    st.session_state[LOOK] = message.key, message.box, message.pixels
    if message.offer:
        st.session_state[OFFER] = message.key
    try:
        problem = _keep(run, desk, message)
        item = item_with(run, message.key)
        if message.save and item is not None and not problem:
            points = marking.marks_of(item, desk.store, desk.reviewer, []).points
            desk.give(item, str(len(points)), marking.as_detail(points, *_size(run, item)))
            st.session_state[SAVED] = True
    except PROBLEMS as error:
        problem = str(error)
    if problem:
        tab.say("error", f"Not kept: {visible(problem)}")
        st.session_state[SAVED] = True  # the page says why


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
                raise ValueError("the run has changed, and what was marked is of another image")
            steps = marking.checked_steps(sent, message.tab, *_size(run, item))
        except ValueError as error:
            problem = str(error)
        else:
            Edits(desk.store).add(item.id, desk.reviewer, steps)
    if problem:
        st.session_state[REFUSED] = message.tab, max(int(step[0]) for _, step in message.steps)
    return problem


def _size(run: Run, item: Item) -> tuple[int, int]:
    """Width and height in px of the image in the file."""
    row = run.row(item.row)
    return int(row["width"]), int(row["height"])


def _people(row: Row) -> str:
    if row["low"] is None or row["high"] is None:
        return "people; the model gives no interval"
    return f"people, {row['low']:,.0f} to {row['high']:,.0f}"


def _zones(run: Run, row: Row, seen: Seen) -> list[tuple[Zone, str]]:
    """Zones with what was counted in each."""
    areas: Mapping[str, Any] = row["areas"]
    zones = _areas(run.path, run.state, seen.width, seen.height, run)
    return [(zone, _counted(areas[zone.name])) for zone in zones if zone.name in areas]


def _counted(area: Row) -> str:
    told = f"{area['count']:,.0f}"
    if area["low"] is None or area["high"] is None:
        return told
    return f"{told} ({area['low']:,.0f}–{area['high']:,.0f})"


def _pictures(run: Run, item: Item, key: str, seen: Seen) -> dict[str, Part]:
    """The whole image, the layers, and the part that is looked at if that shows more."""
    made = dict(_layers(run.path, run.state, item.row, run))
    name, box, pixels = st.session_state.get(LOOK, ("", None, 0))
    if name == key and box is not None:
        sharp = _part(run.path, run.state, item.row, box, pixels, run)
        if sharp is not None:
            made["part"] = sharp
    return made


@st.cache_resource(max_entries=2, show_spinner="Reading the image")
def _seen(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> Seen:
    return case.read_seen(_run, _run.row(row_line))


@st.cache_resource(max_entries=4, show_spinner=False)
def _counts(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> CountMap:
    return case.read_counts(_run, _run.row(row_line))


@st.cache_resource(max_entries=4, show_spinner=False)
def _listed(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> list[marking.Point]:
    return marking.run_points(_run, _run.row(row_line))


@st.cache_resource(max_entries=8, show_spinner=False)
def _layers(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> dict[str, Part]:
    seen = _seen(path, state, row_line, _run)
    made = {"whole": pictures.overview(seen)}
    try:
        found = _counts(path, state, row_line, _run)
    except UserError:  # said where the map is read
        return made
    made["heat"] = pictures.heat(found, seen)
    if (gate := pictures.gate(found, seen)) is not None:
        made["gate"] = gate
    return made


@st.cache_resource(max_entries=8, show_spinner=False)
def _part(path: Path, state: tuple[int, ...], row_line: int, box: Box, pixels: int, _run: Run) -> Part | None:
    return pictures.part(_seen(path, state, row_line, _run), box, pixels)


@st.cache_resource(max_entries=8, show_spinner=False)
def _areas(path: Path, state: tuple[int, ...], width: int, height: int, _run: Run) -> Sequence[Zone]:
    return case.read_areas(_run, width, height)

"""Wafer maps on the review page: the map, what the model said of it, its lot, and the maps most like it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from apps.items import Desk, Item, Mark, Row, Run, model_of, plain, visible
from apps.store import ItemId, Verdict
from apps.viewers.wafer_drawing import (
    Drawing,
    Picture,
    packed_picture,
    show_pictures,
    stack,
    stack_picture,
    unpack,
)
from apps.viewers.wafer_facts import STYLE, bars, scale
from pipelines.common.models import ModelError
from pipelines.wafer.classify import DRAWINGS
from pipelines.wafer.examples import Examples, folder_of, read_examples
from pipelines.wafer.latents import LATENTS, read_latents

noun = "wafer map"
companion = DRAWINGS
finds = "lot, wafer, tool or file"
marks: tuple[Mark, ...] = ()
corrected, has_classes = "relabelled", True
columns = (2.6, 6.0, 3.4)
takes_truth = False

MAX_STACKED = 200
SHOWN = 6  # nearest maps
SPREAD = (0.05, 0.25, 0.5, 0.75, 0.95)  # the shares of known maps that `scale` draws


def items(line: int, row_line: int, row: Row) -> list[Item]:
    """The one item of a row of `results.jsonl`."""
    ok = row["status"] == "ok"
    place = f"{Path(row['source']).name}{'#' + str(row['map']) if row['map'] else ''}"
    names = [row[name] for name in ("lot", "wafer", "slot", "step", "tool", "class")]
    one = Item(
        line=line,
        row=row_line,
        source=row["source"],
        map=str(row["map"]),
        hash=row["item"] or "",
        title=" ".join(part for part in (row["lot"], row["wafer"]) if part) if row["wafer"] else place,
        group=row["lot"],
        prediction=row["class"],
        decision=(row["decision"] or "unplaced") if ok else "failed",
        probability=row["probability"],
        novelty=row["novelty"],
        threshold=row["threshold"],
        model=row["model"],
        text="\n".join([*map(str, names), f"{row['source']}#{row['map']}"]).lower(),
    )
    return [one]


def banner(record: Row) -> str:
    """Nothing."""
    return ""


def classes(record: Row, item: Item) -> list[str]:
    """The classes of the model that classified this map."""
    labels = _model(record, item.model).get("labels")
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []


def show(run: Run, item: Item, desk: Desk) -> None:
    """The map, large, and beside it what the model said and the lot over each other."""
    packed = run.companion(item.row)
    drawing = unpack(packed)
    if drawing is None:
        return
    row = run.row(item.row)
    _facts(row)
    large, beside = st.columns([5, 2], gap="medium")
    with large:
        show_pictures([packed_picture(packed, item.title)], "map", interactive=True)
        if not drawing.die_level and len(drawing.defects) < drawing.count:
            st.caption(
                f"A fair sample of {len(drawing.defects):,} of the {drawing.count:,} defects is drawn."
            )
    with beside:
        st.html(STYLE + "".join(_said(run, row, item)))
        _lot(run, item)


def judge(run: Run, item: Item, desk: Desk) -> None:
    """Nothing: a class is all that is said of a map."""


def kept(run: Run, item: Item, desk: Desk, label: str) -> str:
    """Nothing."""
    return ""


def details(run: Run, item: Item) -> None:
    """The training maps and the maps of the run that are most like this one, and where it comes from."""
    if item.prediction:
        _nearest(run, item)
    row = run.row(item.row)
    notes = "".join(f"; {note}" for note in row["notes"])
    st.caption(plain(f"{row['source']}, map {row['map']}{notes}"))


def export(run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
    """Nothing: `refit` reads the table of verdicts."""
    return ""


def _model(record: Row, name: str) -> dict[str, Any]:
    """What `run.json` says of a model."""
    models = model_of(record).get("models")
    known = models.values() if isinstance(models, dict) else ()
    return next((one for one in known if isinstance(one, dict) and one.get("name") == name), {})


def _facts(row: Row) -> None:
    assumed = ", assumed" if row["diameter_assumed"] else ""
    one, many = ("failing die", "failing dies") if row["die_level"] else ("defect", "defects")
    known = [
        f"{row['defects']:,} {one if row['defects'] == 1 else many}" if row["defects"] is not None else "",
        f"{row['diameter_mm']:g} mm{assumed}" if row["diameter_mm"] is not None else "",
        *(f"{name} {row[name]}" for name in ("slot", "step", "tool", "device") if row[name]),
        row["timestamp"].replace("T", " "),
        f"model {row['model']}" if row["model"] else "",
    ]
    st.caption(" · ".join(plain(text) for text in known if text))


def _said(run: Run, row: Row, item: Item) -> Iterator[str]:
    """Probabilities and novelty, as HTML."""
    if row.get("probabilities"):
        yield bars(row["probabilities"])
    if item.novelty is not None and item.threshold is not None:
        known = _model(run.record, item.model).get("known") or _spread(run, item.model)
        yield scale(item.novelty, item.threshold, known)


def _spread(run: Run, model: str) -> list[float]:
    """That of the known maps of this run, where the run does not say how its model's known maps lie."""
    scores = [one.novelty for one in run.items if one.model == model and one.novelty is not None]
    spread: list[float] = np.quantile(scores, SPREAD).tolist()
    return spread


def _lot(run: Run, item: Item) -> None:
    members = run.groups.get(item.group, ()) if item.group else ()
    if len(members) < 2:
        return
    shares, radius, maps = _stacked(run.path, run.state, tuple(members[:MAX_STACKED]), run)
    more = f" (the first of {len(members):,})" if len(members) > maps else ""
    note = f"{maps} maps over each other{more}"
    show_pictures([stack_picture(shares, radius, f"Lot {visible(item.group)}", note)], "lot")


@st.cache_resource(max_entries=64, show_spinner=False)
def _stacked(
    path: Path, state: tuple[int, ...], lines: tuple[int, ...], _run: Run
) -> tuple[NDArray[np.float64], float, int]:
    drawings = (_drawing(_run, line) for line in lines)
    return stack(drawing for drawing in drawings if drawing is not None)


def _drawing(run: Run, line: int) -> Drawing | None:
    """The drawing of a map beside the one that is shown: a damaged one is left out."""
    try:
        return unpack(run.companion(line))
    except (LookupError, ValueError):
        return None


def _nearest(run: Run, item: Item) -> None:
    places, latents = _latents(run.path, run.state, item.model, run)
    if item.line not in places:
        return
    here = latents[places[item.line]]
    st.markdown("**Nearest training maps**")
    examples = _examples(run.path, run.state, item.model, run)
    if isinstance(examples, str):
        st.caption(examples)
    else:
        labels = classes(run.record, item)
        near = [
            packed_picture(examples.drawings[at], visible(labels[examples.classes[at]]), _away(distance))
            for at, distance in examples.nearest(here, SHOWN)
        ]
        show_pictures(near, "examples")
    distances = np.linalg.norm(latents - here, axis=1)
    lines = list(places)
    order = [int(at) for at in np.argsort(distances, kind="stable")[: SHOWN + 1] if lines[at] != item.line]
    if order:
        st.markdown("**Nearest maps of this run**")
        found = [_other(run, lines[at], float(distances[at])) for at in order[:SHOWN]]
        show_pictures([picture for picture in found if picture], "alike")


def _other(run: Run, line: int, distance: float) -> Picture | None:
    """Another map of the run; None if its drawing is damaged."""
    other = run.by_line[line]
    if _drawing(run, other.row) is None:
        return None
    what = "novel" if other.decision == "novel" else other.prediction
    return packed_picture(
        run.companion(other.row), visible(other.title), f"{visible(what)}, {_away(distance)}"
    )


def _away(distance: float) -> str:
    return f"distance {distance:.3g}"


@st.cache_resource(max_entries=4, show_spinner=False)
def _examples(path: Path, state: tuple[int, ...], model: str, _run: Run) -> Examples | str:
    """The training maps that the model carries, or in words why there are none."""
    given = _run.record.get("model_folder")
    sha256 = str(_model(_run.record, model).get("sha256"))
    folder = folder_of(model, sha256, [Path(given)] if given else [])
    if folder is None:
        return f"The model {plain(model)} is not where it was, or has changed since this run."
    try:
        return read_examples(folder) or f"The model {plain(model)} carries none of them."
    except ModelError as error:
        return visible(str(error))


@st.cache_resource(max_entries=4, show_spinner=False)
def _latents(
    path: Path, state: tuple[int, ...], model: str, _run: Run
) -> tuple[dict[int, int], NDArray[np.float32]]:
    """The latents (N, D) of the maps of one model that have one, and their places by the map's line."""
    found = read_latents(path) if (path / LATENTS).exists() else {}
    lines: list[int] = []
    latents = []
    for one in _run.items:
        key = (one.source, int(one.map))
        if one.model == model and key in found and found[key][0] == one.hash:
            lines.append(one.line)
            latents.append(found[key][1])
    places = {line: place for place, line in enumerate(lines)}
    return places, np.stack(latents) if latents else np.empty((0, 0), np.float32)

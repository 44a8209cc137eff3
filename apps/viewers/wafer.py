"""Wafer maps on the review page: the map, its lot stacked, what the model said, and the maps most like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from apps.items import Item, Row, Run, plain
from apps.viewers.wafer_chart import (
    DARK,
    LIGHT,
    Drawing,
    Palette,
    map_chart,
    novelty_chart,
    stack,
    stack_chart,
    unpack,
)
from pipelines.wafer.classify import DRAWINGS
from pipelines.wafer.latents import LATENTS, read_latents

noun = "wafer map"
companion = DRAWINGS

SIDE, STACK_SIDE, ALIKE_SIDE = 550, 230, 145  # pixels
MAX_STACKED = 200
ALIKE = 4


def item(line: int, row: Row) -> Item:
    """The item of a row of `results.jsonl`."""
    ok = row["status"] == "ok"
    place = f"{Path(row['source']).name}{'#' + str(row['map']) if row['map'] else ''}"
    names = [row[name] for name in ("lot", "wafer", "slot", "step", "tool", "class", "source")]
    return Item(
        line=line,
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
        text="\n".join(map(str, names)).lower(),
    )


def classes(record: Row, item: Item) -> list[str]:
    """The classes of the model that classified this map."""
    models: dict[str, Any] = record.get("model", {}).get("models", {})
    return next((list(one["labels"]) for one in models.values() if one.get("name") == item.model), [])


def show(run: Run, item: Item) -> None:
    """The map, large."""
    drawing = unpack(run.companion(item.line))
    if drawing is None:
        return
    _facts(run.row(item.line))
    st.vega_lite_chart(map_chart(drawing, _palette(), SIDE), theme=None, width="content", key="map")
    if not drawing.die_level and len(drawing.defects) < drawing.count:
        st.caption(f"A fair sample of {len(drawing.defects):,} of the {drawing.count:,} defects is drawn.")


def details(run: Run, item: Item) -> None:
    """How novel it is, the lot over each other, and the maps of the run that are most like this one."""
    novelty, lot = st.columns([3, 2])
    with novelty:
        _novelty(run, item)
    with lot:
        _lot(run, item)
    if (run.path / LATENTS).exists() and item.prediction:
        _alike(run, item)
    row = run.row(item.line)
    notes = "".join(f"; {note}" for note in row["notes"])
    st.caption(plain(f"{row['source']}, map {row['map']}{notes}"))


def _palette() -> Palette:
    return DARK if st.context.theme.type == "dark" else LIGHT


def _facts(row: Row) -> None:
    assumed = ", assumed" if row["diameter_assumed"] else ""
    what = "failing dies" if row["die_level"] else "defects"
    known = [
        f"{row['defects']:,} {what}" if row["defects"] is not None else "",
        f"{row['diameter_mm']:g} mm{assumed}" if row["diameter_mm"] is not None else "",
        *(f"{name} {row[name]}" for name in ("slot", "step", "tool", "device") if row[name]),
        row["timestamp"].replace("T", " "),
        f"model {row['model']}" if row["model"] else "",
    ]
    st.caption(" · ".join(plain(text) for text in known if text))


def _novelty(run: Run, item: Item) -> None:
    if item.novelty is None or item.threshold is None:
        return
    scores = np.array(
        [one.novelty for one in run.items if one.model == item.model and one.novelty is not None]
    )
    chart = novelty_chart(scores, item.novelty, item.threshold, _palette())
    st.vega_lite_chart(chart, theme=None, width="content", key="novelty")
    side = "above" if item.novelty > item.threshold else "below"
    st.caption(
        f"Novelty {item.novelty:.4g}, {side} the threshold of {item.threshold:.4g} (dashed);"
        " in grey, the other maps of this model"
    )


def _lot(run: Run, item: Item) -> None:
    if not item.group:
        return
    members = [one.line for one in run.items if one.group == item.group and one.prediction]
    if len(members) < 2:
        return
    shares, radius, maps = _stacked(run.path, run.state, tuple(members[:MAX_STACKED]), run)
    st.vega_lite_chart(
        stack_chart(shares, radius, _palette(), STACK_SIDE), theme=None, width="content", key="lot"
    )
    more = f" (the first of {len(members):,})" if len(members) > maps else ""
    st.caption(f"{maps} maps of lot {plain(item.group)} over each other{more}")


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


def _alike(run: Run, item: Item) -> None:
    lines, latents = _latents(run.path, run.state, item.model, run)
    if item.line not in lines or len(lines) < 2:
        return
    distances = np.linalg.norm(latents - latents[lines.index(item.line)], axis=1)
    nearest = [lines[place] for place in np.argsort(distances, kind="stable") if lines[place] != item.line]
    st.markdown("**Most alike to the model, in this run**")
    for column, line in zip(st.columns(ALIKE), nearest[:ALIKE], strict=False):
        other, drawing = run.by_line[line], _drawing(run, line)
        with column:
            if drawing is not None:
                chart = map_chart(drawing, _palette(), ALIKE_SIDE, still=True)
                st.vega_lite_chart(chart, theme=None, width="content", key=f"alike-{line}")
            what = "novel" if other.decision == "novel" else other.prediction
            st.caption(f"{plain(other.title)}: {plain(what)}")


@st.cache_resource(max_entries=4, show_spinner=False)
def _latents(
    path: Path, state: tuple[int, ...], model: str, _run: Run
) -> tuple[list[int], NDArray[np.float32]]:
    """The lines of the maps of one model that have a latent, and their latents (N, D)."""
    found = read_latents(path)
    lines, latents = [], []
    for one in _run.items:
        key = (one.source, int(one.map))
        if one.model == model and key in found and found[key][0] == one.hash:
            lines.append(one.line)
            latents.append(found[key][1])
    return lines, np.stack(latents) if latents else np.empty((0, 0), np.float32)

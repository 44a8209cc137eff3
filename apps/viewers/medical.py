"""Segmented volumes on the review page: three linked planes under the mask, one item per structure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from apps.items import Desk, Item, Mark, Row, Run, model_of, plain, visible
from apps.store import ItemId, Verdict
from apps.viewers import medical_case as volumes
from apps.viewers import medical_windows as windows
from apps.viewers.medical_case import Labels, Seen
from apps.viewers.medical_controls import controls
from apps.viewers.medical_drawing import Shown, draw
from apps.viewers.medical_retrain import write_list
from pipelines.common.errors import UserError

noun = "structure"
companion = "pictures.jsonl"
finds = "case, structure or file"
marks: tuple[Mark, ...] = (Mark("reject", "rejected", "X"), Mark("flag", "flagged", "F"))
corrected, has_classes = "", True
columns = (2.4, 7.4, 2.2)
takes_truth = True

CHANGES = (UserError, OSError, LookupError, TypeError, ValueError)


def items(line: int, row_line: int, row: Row) -> list[Item]:
    """An item for each structure of a case; one without a class for a case that failed."""
    case, ok = str(row["case"]), row["status"] == "ok"
    found: Mapping[str, Row] = row["structures"] if ok else {"": {"voxels": 0, "confidence": None}}
    made = []
    for number, (name, facts) in enumerate(found.items()):
        title = f"{case} / {name}" if name else case
        made.append(
            Item(
                line=line + number,
                row=row_line,
                source=row["source"],
                map=title,
                hash=_hash(row, name, facts) if ok else "",
                title=title,
                group=case,
                prediction=name,
                decision=("found" if facts["voxels"] else "absent") if ok else "failed",
                probability=facts["confidence"],
                novelty=None,
                threshold=None,
                model=row["model"],
                text=f"{title}\n{row['source']}\n{row['modality']}".lower(),
            )
        )
    return made


def _hash(row: Row, name: str, facts: Row) -> str:
    """Of the image and of what was found in it: another mask is to be reviewed again."""
    told = json.dumps([row["item"], row["model"], name, facts], sort_keys=True)
    return blake2b(told.encode(), digest_size=12).hexdigest()


def banner(record: Row) -> str:
    """Nothing."""
    return ""


def classes(record: Row, item: Item) -> list[str]:
    """The labels of the model; none if `run.json` does not say them."""
    try:
        return list(label_values(record))
    except ValueError:
        return []


def show(run: Run, item: Item, desk: Desk) -> None:
    """The structure in three planes, with what was measured of it above them."""
    row = run.row(item.row)
    if row["status"] == "ok":
        st.caption(_measured(run, row, item))
        _planes(run, item)


def judge(run: Run, item: Item, desk: Desk) -> None:
    """Nothing: a structure is right, or it is not."""


def kept(run: Run, item: Item, desk: Desk, label: str) -> str:
    """Nothing."""
    return ""


def details(run: Run, item: Item) -> None:
    """What the image is, where it comes from, and what its reader assumed."""
    row = run.row(item.row)
    parts = [str(row["source"])]
    if row["status"] == "ok":
        sides = [str(row[name]).replace("x", " x ") for name in ("shape", "spacing_mm")]
        parts += [row["modality"], f"{sides[0]} voxels of {sides[1]} mm", f"model {row['model']}"]
        parts += row["notes"]
    st.caption(plain(" · ".join(str(part) for part in parts if part)))


def export(run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
    """The cases whose structures are all accepted, or that have a corrected mask, to train on."""
    return write_list(run, verdicts)


def label_values(record: Row) -> dict[str, int]:
    """Names and values of the model's labels. Raises ValueError if `run.json` does not have them."""
    labels = model_of(record).get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, int) for value in labels.values()):
        raise ValueError("run.json does not say what the labels of the model are")
    return {str(name): value for name, value in labels.items()}


def _measured(run: Run, row: Row, item: Item) -> str:
    facts = row["structures"][item.prediction]
    if not facts["voxels"]:
        return "Not found in this case: accept if it is not there, reject if it was missed."
    told = [f"{_ml(facts['ml'])} ml", f"{facts['voxels']:,} voxels"]
    if facts["intensity"]:
        unit = " HU" if _modality(run, row) == "CT" else ""
        told.append(f"mean {', '.join(f'{value:.4g}' for value in facts['intensity'])}{unit}")
    if facts["removed"]:
        told.append(f"{facts['removed']:,} voxels of smaller pieces were taken away")
    return plain(" · ".join(told))


def _modality(run: Run, row: Row) -> str:
    return str(row["modality"] or run.record.get("plan", {}).get("modality", ""))


@st.fragment
def _planes(run: Run, item: Item) -> None:
    """In a fragment: to move a plane draws nothing else of the page."""
    try:
        _draw(run, item, run.row(item.row))
    except CHANGES as error:
        st.error(f"This {noun} cannot be drawn: {visible(str(error))}")


def _draw(run: Run, item: Item, row: Row) -> None:
    values = label_values(run.record)
    current = values.get(item.prediction, 0)
    image, mask, truth = _volumes(run, row, item.row)
    has_doubt = volumes.artefact(run, volumes.UNCERTAINTY, row).is_file()
    chosen = controls(
        _image_key(run, item),
        lambda channel: _image(run.path, run.state, item.row, channel, run)[1],
        channels=_channels(run, row),
        truth=truth is not None,
        doubt=has_doubt,
    )
    if chosen.channel:
        image = _image(run.path, run.state, item.row, chosen.channel, run)[0]
    shown = Shown(
        key=str(item.line),
        image=image,
        unit=" HU" if _modality(run, row) == "CT" else "",
        mask=mask,
        truth=truth,
        doubt=_doubt(run.path, run.state, item.row, run) if has_doubt and chosen.doubt else None,
        values=values,
        sizes={name: _size(facts) for name, facts in row["structures"].items()},
        current=current,
        agreement=_agreement(run, item, mask, truth, current),
    )
    draw(shown, chosen)


def _size(facts: Row) -> str:
    return f"{_ml(facts['ml'])} ml" if facts["voxels"] else "absent"


def _ml(value: float) -> str:
    """Millilitres with as many digits as are worth reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _image_key(run: Run, item: Item) -> tuple[Any, ...]:
    return (str(run.path), run.state, item.row)


def _channels(run: Run, row: Row) -> list[str]:
    """What the images of the case are called."""
    names = run.record.get("model", {}).get("channels")
    count = len(row["sources"])
    if isinstance(names, list) and len(names) == count:
        return [str(name) for name in names]
    return [f"image {number}" for number in range(1, count + 1)]


def _agreement(run: Run, item: Item, mask: Labels, truth: Labels | None, value: int) -> str:
    """How well the mask of a structure fits the truth; empty if the user named no truth."""
    if run.truth is None or truth is None:
        return "no truth of this case" if run.truth else ""
    share = _dice(run.path, run.state, item.line, mask, truth, value)
    return "neither has it" if share is None else f"{share:.3f}"


@st.cache_resource(max_entries=256, show_spinner=False)
def _dice(
    path: Path, state: tuple[int, ...], line: int, _mask: Labels, _truth: Labels, value: int
) -> float | None:
    return volumes.dice(_mask, _truth, value)


def _volumes(run: Run, row: Row, row_line: int) -> tuple[Seen, Labels, Labels | None]:
    image = _image(run.path, run.state, row_line, 0, run)[0]
    mask = _mask(run.path, run.state, row_line, run)
    truth = None
    if run.truth is not None:
        truth = _truth(run.path, run.state, row_line, run.truth, run)
    return image, mask, truth


@st.cache_resource(max_entries=3, show_spinner="Reading the volume")
def _image(
    path: Path, state: tuple[int, ...], row_line: int, channel: int, _run: Run
) -> tuple[Seen, dict[str, windows.Window]]:
    row = _run.row(row_line)
    seen = volumes.read_image(_run, row, channel)
    return seen, windows.presets(seen.array, seen.modality or _modality(_run, row))


@st.cache_resource(max_entries=2, show_spinner="Reading the mask")
def _mask(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> Labels:
    image = _image(path, state, row_line, 0, _run)[0]
    return volumes.read_mask(_run, _run.row(row_line), image)


@st.cache_resource(max_entries=2, show_spinner="Reading the uncertainty")
def _doubt(path: Path, state: tuple[int, ...], row_line: int, _run: Run) -> NDArray[np.uint8]:
    image = _image(path, state, row_line, 0, _run)[0]
    return volumes.read_doubt(_run, _run.row(row_line), image)


@st.cache_resource(max_entries=2, show_spinner="Reading the truth")
def _truth(path: Path, state: tuple[int, ...], row_line: int, folder: Path, _run: Run) -> Labels | None:
    image = _image(path, state, row_line, 0, _run)[0]
    return volumes.read_truth(folder, _run.row(row_line), image)

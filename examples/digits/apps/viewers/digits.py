"""Digits on the review page: the picture, and a key for each class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st

from apps.items import Desk, Item, Mark, Row, Run, model_of, plain
from apps.store import ItemId, Verdict
from pipelines.digits.config import PICTURES

noun = "picture"
companion = PICTURES
finds = "file"
marks: tuple[Mark, ...] = ()
corrected, has_classes = "relabelled", True
columns = (2.6, 6.0, 3.4)
takes_truth = False

PIXEL = 24  # px on the page of one px of the picture


def items(line: int, row_line: int, row: Row) -> list[Item]:
    """The one item of a row of `results.jsonl`."""
    one = Item(
        line=line,
        row=row_line,
        source=row["source"],
        map="",
        hash=row["item"] or "",
        title=Path(row["source"]).name,
        group=Path(row["source"]).parent.name,
        prediction=row["digit"] or "",
        decision=row["status"],
        probability=row["probability"],
        novelty=None,
        threshold=None,
        model="",
        text=row["source"].lower(),
    )
    return [one]


def banner(record: Row) -> str:
    """Nothing."""
    return ""


def classes(record: Row, item: Item) -> list[str]:
    """The classes of the model."""
    labels = model_of(record).get("labels")
    return [one for one in labels if isinstance(one, str)] if isinstance(labels, list) else []


def show(run: Run, item: Item, desk: Desk) -> None:
    """The picture, enlarged."""
    sites = np.array(json.loads(run.companion(item.row)), dtype=np.int64)
    if not len(sites):
        return
    x, y = (sites - sites.min(axis=0)).T
    picture = np.full((y.max() + 1, x.max() + 1), 255, np.uint8)
    picture[y, x] = 0
    st.image(picture.repeat(PIXEL, axis=0).repeat(PIXEL, axis=1))


def judge(run: Run, item: Item, desk: Desk) -> None:
    """Nothing: a class is all that is said of a picture."""


def kept(run: Run, item: Item, desk: Desk, label: str) -> str:
    """Nothing."""
    return ""


def details(run: Run, item: Item) -> None:
    """Where the picture comes from."""
    st.caption(plain(item.source))


def export(run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
    """Nothing: the table of verdicts is enough."""
    return ""

"""`held_out.csv` of trainings: names of images, polyps and patients are no formulas, and come back."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest

from pipelines.common.tables import plain
from pipelines.crowd.train.images import TrainingImage
from pipelines.crowd.train.measure import Counted
from pipelines.crowd.train.run import held_out_table as crowd_table
from pipelines.polyp.aggregate import PolypSize
from pipelines.polyp.lesion.measure import FrameScore
from pipelines.polyp.lesion.run import table as lesion_table
from pipelines.polyp.train.run import held_out_table as polyp_table
from pipelines.polyp.train.store import StoredPolyp

NAMES = ("=cmd|' /C calc'!A0", "+1;=1+1", "@SUM(A1)\t=1", "-\r\nx", "＝1", "plain, name")


def crowd(names: tuple[str, ...]) -> bytes:
    image = (np.zeros((8, 8, 3), np.uint8), np.array([[1.0, 2.0]]))
    counts = np.full((1, 1), 1.5, np.float32)
    told = [Counted(TrainingImage(one, *image), counts, 8, None, None, None, 0.25) for one in names]
    return crowd_table(told, 0.9)


def polyp(names: tuple[str, ...]) -> bytes:
    polyps = [StoredPolyp(one, one, 4.0, False, ()) for one in names]
    sizes = [PolypSize(4.25, 3.0, 5.5, decision="at most 5 mm", used=("a", "b")) for _ in names]
    return polyp_table(polyps, sizes)


def lesion(names: tuple[str, ...]) -> bytes:
    return lesion_table([FrameScore(one, one, one, 0.5, 0.25, False) for one in names])


@pytest.mark.parametrize(
    ("write", "named", "numbers"),
    [
        (crowd, ["image"], {"true": "1", "count": "1.5", "variance": "", "refined": "0.25"}),
        (
            polyp,
            ["polyp", "patient"],
            {"true_mm": "4", "censored": "0", "mm": "4.25", "low": "3", "high": "5.5", "frames": "2"},
        ),
        (
            lesion,
            ["frame", "data", "group"],
            {"empty": "0", "dice": "0.5000", "missed": "0", "false": "0", "in_part": ""},
        ),
    ],
)
def test_names_are_no_formulas(
    write: Callable[[tuple[str, ...]], bytes], named: list[str], numbers: dict[str, str]
) -> None:
    rows = list(csv.DictReader(io.StringIO(write(NAMES).decode(), newline="")))
    for name, row in zip(NAMES, rows, strict=True):
        assert row.items() >= numbers.items()
        for column in named:
            assert plain(row[column]) == name
            assert row[column] == name == "plain, name" or row[column].startswith("'")

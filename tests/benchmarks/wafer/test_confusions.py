"""Confusions, and whose mistake they are."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.wafer import confusions
from benchmarks.wafer.confusions import COLUMNS, EDGE, SIDE, Said, _tile, confident_joint, main, sheet
from benchmarks.wafer.wm811k import DieMaps
from tests.benchmarks.untrained import untrained_model
from tests.benchmarks.wafer_openset.double import LABELS, write_files


def test_the_confident_joint_by_hand() -> None:
    truth = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.9, 0.8, 0.1, 0.2, 0.5, 0.9])
    # The mean of class 0 among those labelled so is 0.6; that of class 1 is (0.8 + 0.5 + 0.1) / 3 = 0.467.
    # The third map is confidently of class 1, the last of class 0; the fifth of 1: it reaches no other bound.
    joint = confident_joint(truth, np.stack([first, 1 - first], axis=1))
    assert joint.tolist() == [[2, 1], [1, 2]]


def test_a_map_that_reaches_no_bound_counts_for_nothing() -> None:
    probability = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.1, 0.9]])
    assert confident_joint(np.array([0, 0, 1, 1]), probability).sum() == 2


def test_no_map_is_confidently_of_a_class_without_maps() -> None:
    probability = np.array([[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]])
    assert confident_joint(np.array([0, 1]), probability).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_the_sheet_names_classes_in_the_order_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said(["Scratch", "Donut", "Zebra"], np.array([0, 1, 1]), np.eye(3)[[2, 1, 1]] * 0.5)
    texts: list[str] = []

    def tile(grid: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
        texts.append(text)
        return _tile(grid, text)

    monkeypatch.setattr(confusions, "_tile", tile)
    sheet(DieMaps([np.ones((5, 5), np.uint8)] * 3, np.array(["Scratch", "Donut", "Donut"])), said)
    assert texts == ["Scratch>Zebra 0.50"]


def test_the_report_and_the_sheet(tmp_path: Path) -> None:
    data = write_files(tmp_path / "data")
    model = untrained_model(tmp_path / "model", "dies", list(LABELS))
    files = tmp_path / "report.json", tmp_path / "sheet.png"
    main(["--data", str(data), "--model", str(model), "--json", str(files[0]), "--sheet", str(files[1])])
    report = json.loads(files[0].read_text())
    assert report["summary"]["maps"] == 80
    assert sum(row["maps"] for row in report["rows"]) == report["summary"]["confused"]
    picture = cv2.imread(str(files[1]), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape[1] == COLUMNS * (SIDE + 2 * EDGE)
    assert (picture == 254).any()

"""What the page says and draws of a wafer map, without a browser."""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from apps.viewers.wafer_drawing import STACK_CELLS, stack, stack_picture, unpack
from apps.viewers.wafer_facts import bars, scale
from pipelines.common.models import model_hash, save_model
from pipelines.wafer.data.record import DieGrid
from pipelines.wafer.drawing import MAX_POINTS, pack
from pipelines.wafer.examples import EXAMPLES, Examples, encode
from pipelines.wafer.latents import LatentFile
from tests.apps.runs import CLASSES, MODEL, row, wafer, write_run

PAGE = Path(__file__).resolve().parents[2] / "apps" / "review.py"


def opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(run)])
    page = AppTest.from_file(str(PAGE), default_timeout=300).run()
    assert not page.exception
    return page


def drawn(page: AppTest) -> dict[str, list[dict[str, Any]]]:
    """The pictures of the page, by the key of their component."""
    found = [element.proto for element in page.get("bidi_component")]
    return {one.id.rpartition("-")[2]: json.loads(one.json)["pictures"] for one in found}


def said(page: AppTest) -> list[str]:
    return [one.value for one in page.caption]


def run_with_latents(path: Path, maps: int = 9, **record: Any) -> Path:
    """A run of maps whose latents lie on a line, by their number."""
    made = [wafer(number) for number in range(maps)]
    rows = [row(one, number) for number, one in enumerate(made)]
    write_run(path, [(one, pack(each)) for one, each in zip(rows, made, strict=True)], **record)
    with LatentFile(path, resume=False) as file:
        file.append((one, np.array([number, 0], np.float32)) for number, one in enumerate(rows))
    return path


def model_folder(path: Path, examples: Examples | None) -> dict[str, Any]:
    """A model folder, and what a run's record says of it."""
    files = {EXAMPLES: encode(examples)} if examples else {}
    config = {"task": "wafer", "labels": list(CLASSES)}
    save_model(path, tensors={}, config=config, metrics={}, card="", files=files)
    model = {"name": MODEL, "labels": list(CLASSES), "sha256": model_hash(path, task="wafer")}
    return {"model": {"models": {"coordinates": model}}, "model_folder": str(path)}


EXAMPLE = Examples(
    np.array([[9, 0], [1, 0]], np.float32), np.array([3, 1]), (pack(wafer(50)), pack(wafer(51)))
)


def test_the_nearest_training_maps_are_those_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with_latents(tmp_path / "run", **model_folder(tmp_path / "m", EXAMPLE))
    pictures = drawn(opened(run, monkeypatch))
    assert [(one["title"], one["note"]) for one in pictures["examples"]] == [
        ("ring", "distance 1"),
        ("grid", "distance 9"),
    ]
    assert pictures["examples"][0]["packed"] == EXAMPLE.drawings[1]
    assert [one["title"] for one in pictures["alike"]][:2] == ["L0 W1", "L0 W2"]
    assert len(pictures["alike"]) == 6
    assert pictures["alike"][0]["note"] == "novel, distance 1"


def test_it_says_why_there_are_no_training_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = run_with_latents(tmp_path / "a", **model_folder(tmp_path / "m", None))
    page = opened(without, monkeypatch)
    assert "The model tiny carries none of them." in said(page)
    changed = model_folder(tmp_path / "other", EXAMPLE)
    changed["model"]["models"]["coordinates"]["sha256"] = "0" * 64
    page = opened(run_with_latents(tmp_path / "b", **changed), monkeypatch)
    assert "examples" not in drawn(page)
    assert any("has changed since this run" in text for text in said(page))
    damaged = model_folder(tmp_path / "bad", EXAMPLE)
    (tmp_path / "bad" / EXAMPLES).write_bytes(b"no tensors")
    page = opened(run_with_latents(tmp_path / "c", **damaged), monkeypatch)
    assert any("cannot be read" in text for text in said(page))
    assert [one["title"] for one in drawn(page)["alike"]][:1] == ["L0 W1"]  # the rest is there


def test_the_map_and_its_lot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run_with_latents(tmp_path / "run"), monkeypatch)
    pictures = drawn(page)
    assert pictures["map"][0]["packed"] == pack(wafer(0))
    (lot,) = pictures["lot"]
    assert (lot["title"], lot["note"], lot["radius"]) == ("Lot L0", "5 maps over each other", 150.0)
    assert len(b64decode(lot["shares"])) == STACK_CELLS**2


def test_probabilities_are_bars_the_highest_first() -> None:
    html = bars({"a<b": 0.2, "ring": 0.7, "c": 0.05, "d": 0.02, "e": 0.01, "f": 0.009})
    names = [part.split("</span>")[0] for part in html.split('class="row"><span>')[1:]]
    assert names == ["ring", "a&lt;b", "c", "d", "e", "all others"]
    assert "width: 70.0%" in html and "<span>70%</span>" in html
    assert "all others" not in bars({"ring": 0.998})
    assert "<span>&lt;1%</span>" in bars({"ring": 0.99, "b": 0.002})


def test_the_scale_of_novelty_is_the_same_for_all_maps_of_a_model() -> None:
    known = (0.0, 10.0, 20.0, 30.0, 40.0)

    def place(html: str, kind: str) -> float:
        return float(html.split(f'class="{kind}"')[1].split("left: ")[1].split("%")[0])

    low, high = scale(20.0, 100.0, known), scale(130.0, 100.0, known)
    for kind in ("limit", "most", "half"):
        assert place(low, kind) == place(high, kind)
    assert place(low, "most") < place(low, "half") < place(low, "here") < place(low, "limit")
    assert place(high, "here above") > place(high, "limit")
    assert "130, above the threshold of 100" in high and "20, below" in low
    assert place(scale(1e9, 100.0, known), "here above") == 100  # beyond the scale, at its end
    assert place(scale(-1e9, 100.0, known), "here") == 0
    assert place(scale(5.0, 5.0, [5.0] * 5), "here") >= 0  # no spread at all


def test_the_page_shows_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = wafer(0)
    one = row(made, 0) | {"probabilities": {"none": 0.6, "ring": 0.4}}
    page = opened(write_run(tmp_path / "run", [(one, pack(made))]), monkeypatch)
    html = "".join(element.proto.body for element in page.get("html"))
    assert "<span>none</span><span>60%</span>" in html
    assert "30, above the threshold of 20" in html


def test_what_is_packed_is_unpacked() -> None:
    dies = wafer(1, die_level=True)
    assert dies.dies is not None
    drawing = unpack(pack(dies))
    assert drawing is not None and drawing.dies is not None and drawing.die_level
    assert np.array_equal(drawing.dies.status, dies.dies.status)
    assert np.allclose(drawing.failing_mm, dies.defects, atol=1e-3)
    defects = wafer(2)
    drawing = unpack(pack(defects))
    assert drawing is not None and not drawing.die_level and drawing.count == 20
    order = np.lexsort(drawing.defects.T), np.lexsort(defects.defects.T)
    assert np.allclose(drawing.defects[order[0]], defects.defects[order[1]], atol=0.01)
    both = unpack(pack(replace(defects, dies=DieGrid.centred(np.ones((4, 4), np.uint8), 300.0))))
    assert both is not None and both.dies is not None and not both.die_level
    many = np.random.default_rng(0).uniform(-90, 90, (MAX_POINTS + 9, 2))
    drawing = unpack(pack(replace(defects, defects=many, source_rows=np.arange(len(many)))))
    assert drawing is not None
    assert (len(drawing.defects), drawing.count) == (MAX_POINTS, MAX_POINTS + 9)
    assert unpack("null") is None


@pytest.mark.parametrize("packed", ["{}", "[]", "7", '{"d": 300, "n": 1, "p": "?"}', "{"])
def test_a_damaged_drawing_is_said(packed: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(packed)


def test_maps_over_each_other() -> None:
    drawings = []
    for places in ([[0.1, 0.1], [0.2, 0.2]], [[0.1, 0.1], [-138.0, 0.1]]):
        one = replace(wafer(0), defects=np.array(places), source_rows=np.arange(2))
        drawings.append(unpack(pack(one)))
    shares, radius, maps = stack(drawing for drawing in drawings if drawing is not None)
    assert (radius, maps) == (150.0, 2)
    middle = STACK_CELLS // 2
    assert shares[middle, middle] == 1  # two defects of a map in one cell count once
    assert shares[middle, 2] == 0.5
    assert shares.sum() == 1.5
    picture = stack_picture(shares, radius, "L", "")
    assert b64decode(picture.shape["shares"])[middle * STACK_CELLS + middle] == 255

"""Run folders of sized polyps, made by the command's own code with a model whose answer is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from apps.items import Item, Run
from apps.store import Store, Verdict
from apps.viewers import polyp
from apps.viewers.polyp_marks import Marks, as_detail
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.run import size
from tests.pipelines.polyp.size.made import load, save_model, write_dataset

SIZE = 160, 128  # px, width and height of a frame
MM = 7.0  # what the model says of every frame
WORDS = (245, 245, 245)  # RGB of what a processor writes beside the field


def sized(folder: Path, data: str = "rendered polyps", **settings: Any) -> Path:
    """A run of three polyps of 4, 7 and 12 mm, one with a torn and a black frame, and one without a box."""
    inputs = write_dataset(folder / "inputs", [4.0, 7.0, 12.0])
    (inputs / "torn.png").write_bytes((inputs / "polyp0_0.png").read_bytes()[:300])
    Image.new("RGB", SIZE).save(inputs / "torn_black.png")
    (inputs / "bare.png").write_bytes((inputs / "polyp0_0.png").read_bytes())
    with (inputs / "frames.csv").open("a", newline="") as file:
        csv.writer(file).writerows(
            [
                ["torn", "torn.png", 10, 10, 40, 40, ""],
                ["torn", "torn_black.png", 10, 10, 40, 40, ""],
                ["bare", "bare.png", "", "", "", "", ""],
            ]
        )
    return _run(folder, inputs, data, **settings)


def with_words(folder: Path) -> Path:
    """A run of one polyp in a round field, beside which and over which a processor wrote."""
    inputs = folder / "inputs"
    inputs.mkdir()
    for number in range(3):
        Image.fromarray(field_frame(number)).save(inputs / f"p_{number}.png")
    (inputs / "polyps.csv").write_text("polyp,patient\n<b>p</b>,anna\n")
    lines = "".join(f"<b>p</b>,p_{number}.png,190,100,250,160\n" for number in range(3))
    (inputs / "frames.csv").write_text("polyp,image,x0,y0,x1,y1\n" + lines)
    return _run(folder, inputs, "<i>rendered</i> polyps")


def field_frame(seed: int) -> NDArray[np.uint8]:
    """A frame of 400 x 256 px: tissue in a disc, and a name and a number left of it."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:256, :400] + 0.5
    tissue = np.stack([170 + 20 * np.sin(column / 9), 80 + 12 * np.sin(row / 7), 70 + 0 * row], 2)
    tissue[(row - 130) ** 2 + (column - 220) ** 2 < 30**2] = (205, 110, 120)
    tissue = tissue + rng.normal(0, 6, tissue.shape)
    tissue[(row - 128) ** 2 + (column - 250) ** 2 > 120**2] = 0
    picture = Image.fromarray(np.clip(tissue, 0, 255).astype(np.uint8))
    brush = ImageDraw.Draw(picture)
    for line, words in enumerate(("SMITH ANNA", "ID 1234567", "28/11/2026")):
        brush.text((6, 10 + 16 * line), words, fill=WORDS)
    return np.asarray(picture)


def filmed(folder: Path) -> Path:
    """A run of a video of ten frames, of which every second has a box."""
    inputs = folder / "inputs"
    inputs.mkdir()
    writer = cv2.VideoWriter(str(inputs / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (400, 256))
    for number in range(10):
        writer.write(field_frame(number)[..., ::-1])
    writer.release()
    boxes = folder / "boxes.csv"
    lines = "".join(f"film.avi,{number},190,100,250,160\n" for number in range(0, 10, 2))
    boxes.write_text("video,frame,x0,y0,x1,y1\n" + lines)
    return _run(folder, inputs / "film.avi", "rendered polyps", boxes=str(boxes))


def _run(folder: Path, inputs: Path, data: str, **settings: Any) -> Path:
    model = save_model(folder / "model", MM, data=data)
    predictor = load(model, **settings)
    assert isinstance(predictor.config, SizeConfig)
    size([inputs], predictor=predictor, config=predictor.config, out=folder / "run")
    return folder / "run"


def change_rows(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    for row in rows:
        change(row)
    (run / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def item_of(run: Run, title: str) -> Item:
    """The item with this title."""
    return next(item for item in run.items if item.title == title)


def judged(run: Path, title: str, label: str, marks: Marks | None = None) -> None:
    """Keep a verdict: what is accepted if the label is that of the run."""
    item = item_of(Run(run, polyp), title)
    kind = "accept" if label == item.prediction and marks is None else "relabel"
    verdict = Verdict(*item.id, item.model, item.prediction, None, kind, label)
    Store(run).add(verdict, "" if marks is None else as_detail(marks))

"""Models whose answer is known, finders that find what they are told, and data sets on the disk."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.engines import load_engine
from pipelines.polyp.aggregate import SCORES
from pipelines.polyp.config import NetworkPlan
from pipelines.polyp.data import Box, Field
from pipelines.polyp.model.distribution import middles
from pipelines.polyp.model.network import build_network
from pipelines.polyp.model.trained import save_trained
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.predict import Predictor
from tests.pipelines.polyp.train.builders import CAMERA, SMALL, write_polyps

DENSE: dict[str, Any] = {"backbone": "resnet18", "side": 32, "streams": ["crop"], "hidden": 16}
SPREAD = 0.12  # deviation of what a made model says, in logarithms
TIMES = torch.linspace(0.5, 1.5, 40, dtype=torch.float64)  # so many deviations its intervals reach


def save_model(
    folder: Path,
    mm: float = 7.0,
    *,
    network: dict[str, Any] | None = None,
    calibration: Mapping[str, Tensor] | None = None,
    **training: Any,
) -> Path:
    """A model that says the same size of every frame, with an interval of a fifth to each side.

    calibration: what makes the interval another one.
    """
    plan = NetworkPlan.model_validate(network or SMALL["network"])
    torch.manual_seed(0)
    built = build_network(plan, load_engine("auto"))
    last = built.get_submodule("hidden.last")
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(-((middles().log() - np.log(mm)) ** 2) / (2 * SPREAD**2))
    save_trained(
        folder,
        plan=plan,
        weights=built.state_dict(),
        calibration=calibration or {SCORES["camera"]: TIMES},
        training={"data": "discs of this test", "max_side": 512, **training},
        metrics={},
        card="made for a test",
    )
    return folder


def load(model: Path, finder: FakeFinder | None = None, **settings: Any) -> Predictor:
    """A predictor of a model folder, with a finder if one is given."""
    config = SizeConfig.model_validate({"model": str(model), "finder": "none", **settings})
    found = Predictor.load(config)
    found.finder = finder
    return found


@dataclass(frozen=True, slots=True, eq=False)
class FakeLesion:
    box: Box
    mask: NDArray[np.bool_]
    score: float


@dataclass(slots=True)
class FakeFinder:
    """Finds one lesion in the middle of each frame, but for frames by number in which it finds none."""

    name: str = "fake"
    sha256: str = "0"
    score: float = 0.9
    blind: tuple[int, ...] = ()
    seen: int = 0

    def find(self, pixels: NDArray[np.uint8], *, field: Field | None = None) -> tuple[FakeLesion, ...]:
        height, width = pixels.shape[:2]
        number, self.seen = self.seen, self.seen + 1
        if number in self.blind:
            return ()
        mask = np.zeros((height, width), bool)
        mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
        box = (float(width // 4), float(height // 4), 3.0 * width // 4, 3.0 * height // 4)
        return (FakeLesion(box, mask, self.score), FakeLesion(box, mask, self.score / 2))


def write_dataset(folder: Path, sizes: Sequence[float], frames: int = 3, *, patients: bool = True) -> Path:
    """A data set of our own layout: discs of these sizes in mm, with boxes, masks and a calibration."""
    polyps = write_polyps(folder, list(sizes), frames)
    with (folder / "polyps.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["polyp", "patient", "size_mm"])
        table.writerows([one.id, one.patient if patients else "", one.size_mm] for one in polyps)
    with (folder / "frames.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["polyp", "image", "x0", "y0", "x1", "y1", "mask"])
        for one in polyps:
            for ref in one.frames.find().frames:
                assert ref.image is not None and ref.box is not None and ref.mask is not None
                table.writerow([one.id, ref.image.name, *ref.box, ref.mask.name])
    camera = {name: getattr(CAMERA, name) for name in ("width", "height", "fx", "fy", "k1")}
    camera |= {"cx": CAMERA.cx - 0.5, "cy": CAMERA.cy - 0.5}
    (folder / "calibration.json").write_text(json.dumps(camera))
    return folder

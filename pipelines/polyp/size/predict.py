"""A model of sizes, loaded once and asked frame after frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import METRICS, find_model
from pipelines.polyp.config import TASK
from pipelines.polyp.data import Camera, FrameRef
from pipelines.polyp.data.camera import read_camera
from pipelines.polyp.depth.estimate import Estimator, load_estimator
from pipelines.polyp.model.gates import gates_of
from pipelines.polyp.model.trained import TrainedModel, load_trained
from pipelines.polyp.size import finder as finders
from pipelines.polyp.size.config import PredictConfig
from pipelines.polyp.size.features import described, feature_maps
from pipelines.polyp.size.finder import Finder, bundled_of
from pipelines.polyp.train.measure import frame_shares
from pipelines.polyp.train.store import StoredFrame, content_hash, marked

USUAL_SIDE: Final = 512  # px, where a model does not say to what its frames were reduced
NOT_STATED: Final = "data that the model does not name"


@dataclass(frozen=True, slots=True, eq=False)
class FrameAnswer:
    """shares: float32 (BINS,), the distribution over sizes. features: float32 (h, w), see `feature_maps`.
    of_frame: whether that map is of the whole frame."""

    shares: Tensor
    features: NDArray[np.float32] | None
    of_frame: bool = False


class Predictor:
    """max_side: px, to which the longer side of larger frames is reduced. camera: the one that the user gave,
    for all frames. finder, estimator (of depths): None if there is none. median_mm: of the polyps that the
    model was trained on, None if it does not say."""

    def __init__(
        self,
        model: TrainedModel,
        config: PredictConfig,
        engine: str = "native",
        finder: Finder | None = None,
        median_mm: float | None = None,
        estimator: Estimator | None = None,
    ) -> None:
        self.model, self.config, self.engine, self.finder = model, config, engine, finder
        self.median_mm, self.estimator = median_mm, estimator
        self.training: dict[str, Any] = dict(model.config.get("training") or {})
        side = self.training.get("max_side")
        self.max_side = side if isinstance(side, int) and side > 0 else USUAL_SIDE
        self.camera: Camera | None = read_camera(config.calibration) if config.calibration else None

    @classmethod
    def load(cls, config: PredictConfig) -> Predictor:
        """Load the models that the config names. Raises UserError."""
        device = resolve_device(config.device)
        folder = find_model(TASK, config.model if config.model != "auto" else _bundled())
        model = load_trained(folder, engine=config.engine, device=device)
        engine = "native" if config.engine == "auto" else config.engine
        finder = finders.load(config.finder, device)
        return cls(model, config, engine, finder, median_mm(folder), _estimator(model, config, device))

    @property
    def knows_cameras(self) -> bool:
        """Whether some of the frames that the model learnt from had a calibration, or it does not say."""
        return bool(self.training.get("cameras", True))

    @property
    def needs_cameras(self) -> bool:
        """Whether the model learnt from calibrated frames only, and never had to do without a calibration."""
        known, polyps = self.training.get("cameras"), self.training.get("polyps")
        every = bool(known) and isinstance(polyps, list) and known == len(polyps)
        return every and not self.forgets_cameras

    @property
    def forgets_cameras(self) -> bool:
        """Whether the model learnt to do without a calibration, and so without depths."""
        return bool(self.training.get("forget_camera"))

    def was_trained_on(self, id: str, frames: Sequence[FrameRef]) -> bool:
        """Whether the model was trained on a polyp with these frames.

        Told by the content of the first frame with a box or a mask; by the id for a model that does not keep
        contents, and then another polyp of the same id is taken for it.
        """
        contents = self.training.get("contents")
        if not isinstance(contents, list):
            return id in self.training.get("polyps", ())
        content = next((content_hash(one) for one in marked(frames)), "")
        return bool(content) and content in contents

    @property
    def data(self) -> str:
        """What the model was trained on, in its own words."""
        return str(self.training.get("data") or NOT_STATED)

    def describe(self) -> dict[str, Any]:
        """The models, as `run.json` holds them."""
        plan = self.model.plan
        return {
            "name": self.model.name,
            "sha256": self.model.sha256,
            "network": plan.backbone,
            "gated": plan.gated,
            "streams": list(plan.streams) if plan.backbone != "sparse-resnet" else [],
            "data": self.data,
            "data_terms": str(self.training.get("data_terms") or ""),
            "intervals": bool(self.model.calibration),
            "features": described(self.model.network),
            "finder": None if self.finder is None else [self.finder.name, self.finder.sha256],
            "depth_model": None if self.estimator is None else [self.estimator.name, self.estimator.sha256],
        }

    def gates(self) -> dict[str, list[float]]:
        """How far each gate is open, 0 to 1, by the place of the gate; empty for a model without gates."""
        return {
            name: [round(one, 4) for one in gate.open().detach().float().cpu().tolist()]
            for name, gate in gates_of(self.model.network).items()
        }

    def look(self, frames: Sequence[StoredFrame]) -> list[FrameAnswer]:
        """What the network says of frames that `train.store.ready` has made ready; at least one."""
        network = self.model.network
        with feature_maps(network) as maps:
            shares = frame_shares(network, frames, device=self.model.device, precision=self.config.precision)
        places = [one for part in maps for one in part.numpy()]
        return [
            FrameAnswer(row, places[number] if places else None, self.model.plan.backbone == "sparse-resnet")
            for number, row in enumerate(shares.unbind())
        ]


def _estimator(model: TrainedModel, config: PredictConfig, device: torch.device) -> Estimator | None:
    """The estimator of depths that a config names, for a model that sees them. Raises UserError."""
    name = config.depth_model
    if name == "auto":
        name = str((model.config.get("training") or {}).get("depth_model", "none"))
    if name == "none" or not model.plan.depth:
        return None
    return load_estimator(name, device=device)


def median_mm(folder: Path) -> float | None:
    """The median size that the model of a folder learnt from, if it states one. Raises UserError."""
    path = folder / METRICS
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("median_mm") if path.is_file() else None
        return float(found) if isinstance(found, int | float) and found > 0 else None
    except (OSError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _bundled() -> str:
    """The bundled model that `auto` stands for. Raises UserError."""
    names = [path.name for path in bundled_of(TASK)]
    if len(names) == 1:
        return names[0]
    if not names:
        raise UserError(
            "no model of sizes is bundled: name a model folder with --model; suite polyp train makes one"
        )
    raise UserError(f"--model is needed, as several models are bundled: {', '.join(names)}")

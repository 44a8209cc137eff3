"""Run folders of segmented volumes, made by the command's own code around a model that knows the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from scipy import ndimage

from pipelines.medical.config import Plan
from pipelines.medical.data.files import VolumeFile, find_volumes, read_volume
from pipelines.medical.data.record import Volume
from pipelines.medical.generate.phantom import LABELS
from pipelines.medical.segment.predict import Predictor, Segmentation
from pipelines.medical.segment.run import segment
from pipelines.medical.segment.structures import structures

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_data" / "medical"


class Oracle:
    """In place of a model: the label maps of a folder, a voxel too large and without what `misses` names."""

    engine = "native"

    def __init__(
        self,
        truth: Path,
        labels: Mapping[str, int] = LABELS,
        *,
        misses: Sequence[str] = (),
        uncertainty: bool = True,
        modality: str = "",
    ) -> None:
        self.truth = {item.name: item for item in find_volumes([truth]) if isinstance(item, VolumeFile)}
        self.names, self.misses = dict(labels), misses
        self.plan = Plan(labels=self.names, modality=modality)
        self.model = SimpleNamespace(name="oracle", sha256="0" * 64, device="cpu")
        self.config = SimpleNamespace(
            device="cpu",
            uncertainty=uncertainty,
            dicom_seg=False,
            max_voxels=10**6,
            model="oracle",
            seed=0,
            model_dump=lambda mode: {"model": "oracle"} | CONFIG,
        )

    def predict(self, channels: Sequence[Volume], told: Callable[[float], None]) -> Segmentation:
        labels = read_volume(self.truth[channels[0].name]).array.astype(np.uint8)
        kept = [value for name, value in self.names.items() if name not in self.misses]
        grown = ndimage.grey_dilation(labels * np.isin(labels, kept), 3)
        edge = grown != ndimage.grey_erosion(grown, 3)
        doubt = np.where(edge, 90, 5).astype(np.uint8)
        return Segmentation(grown, doubt, structures(grown, doubt, channels, self.names), {}, 1.0)

    def case_bytes(self, sizes: object) -> float:
        return 1e6

    def describe(self) -> dict[str, Any]:
        return {
            "name": "oracle",
            "sha256": self.model.sha256,
            "labels": self.names,
            "channels": list(self.plan.channels),
            "network": "dense-unet",
            "members": 1,
            "flips": 1,
        }


CONFIG = {"mirror": False, "largest_component": []}


def segmented(inputs: Sequence[Path], out: Path, truth: Path = SAMPLES / "labels", **how: Any) -> Path:
    """The run folder `out` of the inputs."""
    segment(inputs, predictor=cast(Predictor, Oracle(truth, **how)), out=out)
    return out

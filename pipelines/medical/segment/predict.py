"""From the volumes of a case to its label map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import find_model
from pipelines.medical.config import TASK, Plan
from pipelines.medical.data.dicom_seg import HIGHDICOM
from pipelines.medical.data.record import Volume
from pipelines.medical.model.networks import Network, Peer
from pipelines.medical.model.trained import TrainedModel, load_trained, network_of
from pipelines.medical.prepare import prepare
from pipelines.medical.segment.config import SegmentConfig, chosen_labels, with_foreground
from pipelines.medical.segment.memory import Sizes, case_bytes
from pipelines.medical.segment.scan import Answer, Scan, scan
from pipelines.medical.segment.scores import Scorer
from pipelines.medical.segment.structures import Structure, keep_largest, structures

GPU_BATCH = 4
# PyTorch gives small convolutions of a single image to slow code. Tiles up to this size took 1.7 to 2.1 times
# as long one by one as in pairs; those of 56 or 64 a side took the same, and pairs would only take memory.
PAIRED_VOXELS = 48**3


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """What a model finds in one case.

    labels: uint8, or uint16 if a label's value needs it, on the stored grid of the case's first volume.
    uncertainty: uint8 (I, J, K), in 1/255: 1 minus the probability of the label that each voxel was given by
        the networks, before pieces were taken away.
    structures: by the name of the label.
    removed: voxels that `largest_component` took away, by the name of the label.
    computed: share of the prepared grid that the networks were asked about.
    """

    labels: NDArray[Any]
    uncertainty: NDArray[np.uint8]
    structures: Mapping[str, Structure]
    removed: Mapping[str, int]
    computed: float


class Predictor:
    """A model that is loaded once and segments case after case."""

    def __init__(self, model: TrainedModel, config: SegmentConfig, engine: str = "native") -> None:
        """Raises UserError if the model cannot be used as the config asks."""
        self.model, self.config, self.engine = model, config, engine
        self.plan = with_foreground(model.plan, config.foreground)
        if config.network != "auto" and config.network != self.plan.network.name:
            self.plan, members = _as_network(model, self.plan, config.network, engine)
        else:
            members = list(model.members)
        self.largest = chosen_labels(self.plan, config.largest_component)
        if config.mirror and not model.mirror:
            raise UserError(f"--mirror: the model {model.name} was not trained on mirrored images")
        mirror = model.mirror if config.mirror else ()
        self.scorer = Scorer(members, model.device, mirror=mirror, precision=config.precision)
        self.batch = config.batch or self._usual_batch()

    @classmethod
    def load(cls, config: SegmentConfig) -> Predictor:
        """Load the model that the config names. Raises UserError."""
        if config.dicom_seg and find_spec("highdicom") is None:
            raise UserError(f"--dicom-seg needs highdicom: {HIGHDICOM}")
        folder = find_model(TASK, config.model)
        device = resolve_device(config.device)
        model = load_trained(folder, engine=config.engine, device=device)
        return cls(model, config, "native" if config.engine == "auto" else config.engine)

    @property
    def names(self) -> dict[str, int]:
        """The labels' names and values."""
        return dict(self.plan.labels)

    def predict(
        self, channels: Sequence[Volume], told: Callable[[float], None] = lambda share: None
    ) -> Segmentation:
        """Segment one case, given as the volumes of its channels in the plan's order.

        told: gets the share that is done, 0 to 1. Raises VolumeError if the volumes do not fit together or
        the model.
        """
        answer = self._scan(channels, told)
        labels = self._labels(answer.classes)
        lost = keep_largest(labels, self.largest) if self.largest else {}
        facts = structures(labels, answer.doubt, channels, self.plan.labels)
        removed = {name: lost[value] for name, value in self.plan.labels.items() if value in lost}
        return Segmentation(labels, answer.doubt, facts, removed, answer.computed)

    def case_bytes(self, sizes: Sizes) -> float:
        """The predicted peak of a case in bytes, beside what the process holds with the model loaded."""
        return case_bytes(
            sizes,
            self.plan,
            members=len(self.scorer.members),
            batch=self.batch,
            mirror=self.config.mirror,
            sparse=self.scorer.sparse,
            memory_mib=self.config.memory_mib,
            uncertainty=self.config.uncertainty,
            largest=bool(self.largest),
        )

    def describe(self) -> dict[str, Any]:
        """The model, as `run.json` holds it."""
        return {
            "name": self.model.name,
            "sha256": self.model.sha256,
            "labels": self.names,
            "channels": list(self.plan.channels),
            "network": self.plan.network.name,
            "members": len(self.scorer.members),
            "flips": len(self.scorer.flips),
        }

    def _usual_batch(self) -> int:
        if self.model.device.type != "cpu":
            return GPU_BATCH
        is_paired = not self.scorer.sparse and math.prod(self.plan.patch) <= PAIRED_VOXELS
        return 2 if is_paired else 1

    def _scan(self, channels: Sequence[Volume], told: Callable[[float], None]) -> Answer:
        """In a function of its own: the prepared images are let go before the label map is looked at."""
        how = Scan(
            self.plan.network,
            1 + len(self.plan.labels),
            self.plan.patch,
            self.config.overlap,
            self.batch,
            self.config.memory_mib,
            self.plan.foreground.occupancy,
        )
        return scan(prepare(channels, self.plan), self.scorer, how, told)

    def _labels(self, classes: NDArray[np.uint8]) -> NDArray[Any]:
        """The labels' values for class indices; the array itself where they are the same."""
        values = np.array(self.model.label_values)
        if (values == np.arange(len(values))).all():
            return classes
        return values.astype(np.uint8 if values.max() < 256 else np.uint16)[classes]


def _as_network(model: TrainedModel, plan: Plan, name: str, engine: str) -> tuple[Plan, list[Network]]:
    """The same weights in the other of our two networks."""
    plan = plan.model_copy(update={"network": plan.network.model_copy(update={"name": name})})
    namespace = load_engine(engine)
    members = []
    for member in model.members:
        if isinstance(member, Peer):
            raise UserError(
                f"--network {name}: the model is a {model.plan.network.name}, whose weights fit no other"
                " network"
            )
        other = network_of(plan, namespace)
        with torch.no_grad():
            other.load_shared(member.shared_weights())
        members.append(other.to(model.device).eval())
    return plan, members

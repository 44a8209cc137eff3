"""What `suite wafer train` may be told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipelines.common.config import DeviceName
from pipelines.wafer.config import ReadLimits


class TrainConfig(ReadLimits):
    """Settings of one training.

    kind: `dies` (die results on the wafer's own grid), `coordinates` (defects at full resolution), or `auto`,
        by what the data holds.
    maps_per_epoch: how many maps an epoch draws; None takes as many as the data has.
    sampling_power: classes are drawn with a probability of their count to this power; 1 is the data's own
        imbalance, 0 draws all alike. Predictions are corrected back to the data's own proportions.
    held_out: share of the maps that trains nothing and sets temperature and thresholds.
    ema_decay: decay of the moving average of the weights that is kept.
    components, covariances, novelty_dimension: Gaussian mixtures to try on the latent, and the number of
        principal components of the latent that they see.
    examples: how many training maps of each class the model carries, to be shown beside what it classifies; 0
        leaves all out.
    threads: CPU threads; None leaves torch's own choice.
    architecture: sizes of the network, as its class takes them; empty for the defaults.
    """

    kind: Literal["auto", "dies", "coordinates"] = "auto"
    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    epochs: int = Field(24, ge=1)
    maps_per_epoch: int | None = Field(None, ge=1)
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warm_up: float = Field(0.15, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    sampling_power: float = Field(0.5, ge=0, le=1)
    held_out: float = Field(0.1, gt=0, lt=1)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    normal_label: str | None = None
    false_alarm_rate: float = Field(0.01, gt=0, lt=1)
    components: tuple[Annotated[int, Field(ge=1)], ...] = Field((8, 16, 24, 32), min_length=1)
    covariances: tuple[Literal["full", "tied"], ...] = Field(("full", "tied"), min_length=1)
    novelty_dimension: int = Field(32, ge=1)
    cells: int = Field(32, ge=4, le=1024)
    resolution: int = Field(20_000, ge=64, le=2**20)
    architecture: dict[str, Any] = Field(default_factory=dict)
    examples: int = Field(24, ge=0)
    data_terms: str = "not stated by whoever trained this model"
    notes: str = ""

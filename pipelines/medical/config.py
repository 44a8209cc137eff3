"""The plan: what a model of this task is made of. `plan` writes it, `train` reads it, the model keeps it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.common.config import Strict
from pipelines.medical.data.limits import MAX_VOXELS

TASK = "medical"
MAX_LABELS = 255  # of a model: label maps are prepared as one byte a voxel
Triple = tuple[float, float, float]
Millimetres = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Sides = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
NetworkName = Literal["dense-unet", "sparse-unet", "dynunet", "swinunetr"]
SWIN_STRIDE = 32  # the patches of swinunetr have sides of multiples of this


class ReadLimits(Strict):
    """max_voxels: the most of a volume or a label map that is read."""

    max_voxels: int = Field(MAX_VOXELS, ge=1)


class Normalisation(Strict):
    """How one channel's numbers become the network's: clip, then subtract and divide.

    scheme: `zscore` takes mean and deviation of each volume's own voxels that are not 0; `lifted` does so
        after taking off the number in the volume's corners, for images whose background is some other number:
        the rules of `Foreground` then see 0 there; `fixed` takes the numbers given here, as HU mean the same
        in every CT; `none` leaves the numbers alone.
    low, high: clip to these first.
    """

    scheme: Literal["zscore", "lifted", "fixed", "none"] = "zscore"
    low: float | None = None
    high: float | None = None
    mean: float = 0.0
    deviation: float = Field(1.0, gt=0)


class Foreground(Strict):
    """Which voxels are worth computing on.

    rule: `all`; `above`, those above `threshold` in the file's own numbers in any channel; `nonzero`, those
        that differ from 0 in any channel, for images with the background cut away.
    halo: by how many voxels the region grows, so that what lies at its edge sees what is around it.
    occupancy: the share of the grid that it holds, measured on the training cases.
    """

    rule: Literal["all", "above", "nonzero"] = "all"
    threshold: float = 0.0
    halo: int = Field(1, ge=0, le=16)
    occupancy: float = Field(1.0, ge=0, le=1)


class NetworkPlan(Strict):
    """Sizes of the network. strides: per level after the first, one number per axis."""

    name: NetworkName = "dense-unet"
    why: str = ""
    channels: tuple[Annotated[int, Field(ge=1)], ...] = (16, 32, 64, 128)
    blocks: tuple[Annotated[int, Field(ge=0)], ...] = (1, 1, 1, 1)
    strides: tuple[Sides, ...] = ((2, 2, 2), (2, 2, 2), (2, 2, 2))
    heads: int = Field(2, ge=1)

    @model_validator(mode="after")
    def _levels_agree(self) -> NetworkPlan:
        levels = len(self.channels)
        if len(self.blocks) != levels or len(self.strides) != levels - 1:
            raise ValueError(
                f"{levels} channels need as many blocks and {levels - 1} strides,"
                f" not {len(self.blocks)} and {len(self.strides)}"
            )
        return self


class Plan(Strict):
    """How cases of one data set are prepared and segmented.

    labels: name to the value that the label maps hold; the background is 0 and not named here.
    channels: what the images of a case are, in order.
    spacing: mm per voxel that volumes are resampled to, along x (right), y (front) and z (head), as in RAS+.
    patch: voxels of a patch after resampling, in the same order.
    """

    labels: dict[str, Annotated[int, Field(ge=1, le=65_535)]] = Field(min_length=1, max_length=MAX_LABELS)
    channels: tuple[str, ...] = Field(("image",), min_length=1)
    modality: str = ""
    spacing: tuple[Millimetres, Millimetres, Millimetres] = (1.0, 1.0, 1.0)
    patch: Sides = (64, 64, 64)
    batch_size: int = Field(2, ge=1)
    normalisation: tuple[Normalisation, ...] = (Normalisation(),)
    foreground: Foreground = Foreground()
    network: NetworkPlan = NetworkPlan()
    training_memory_mib: float | None = None
    segmenting_memory_mib: float | None = None

    @model_validator(mode="after")
    def _parts_agree(self) -> Plan:
        if len(set(self.labels.values())) < len(self.labels):
            raise ValueError("two labels have the same value")
        if len(self.normalisation) != len(self.channels):
            raise ValueError(
                f"each channel needs its normalisation: there are {len(self.channels)} channels"
                f" and {len(self.normalisation)} normalisations"
            )
        return self

"""The plan: what a model of this task is made of. `plan` writes it, `train` reads it, the model keeps it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TASK = "medical"
Triple = tuple[float, float, float]
Sides = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
NetworkName = Literal["dense-unet", "sparse-unet", "dynunet", "swinunetr"]


class Strict(BaseModel):
    """Refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Normalisation(Strict):
    """How one channel's numbers become the network's: clip, then subtract and divide.

    scheme: `zscore` takes mean and deviation of each volume's own foreground; `fixed` takes the numbers given
        here, as HU mean the same in every CT; `none` leaves the numbers alone.
    low, high: clip to these first.
    """

    scheme: Literal["zscore", "fixed", "none"] = "zscore"
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


class Plan(Strict):
    """How cases of one data set are prepared and segmented.

    labels: name to the value that the label maps hold; the background is 0 and not named here.
    channels: what the images of a case are, in order.
    spacing: mm per voxel that volumes are resampled to, along x (right), y (front) and z (head), as in RAS+.
    patch: voxels of a patch after resampling, in the same order.
    """

    labels: dict[str, Annotated[int, Field(ge=1, le=65_535)]] = Field(min_length=1)
    channels: tuple[str, ...] = Field(("image",), min_length=1)
    modality: str = ""
    spacing: Triple = (1.0, 1.0, 1.0)
    patch: Sides = (64, 64, 64)
    batch_size: int = Field(2, ge=1)
    normalisation: tuple[Normalisation, ...] = (Normalisation(),)
    foreground: Foreground = Foreground()
    network: NetworkPlan = NetworkPlan()
    training_memory_mib: float | None = None
    segmenting_memory_mib: float | None = None

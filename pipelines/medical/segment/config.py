"""What `suite medical segment` may be told; every default is the one that a newcomer would want."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from pipelines.common.config import DeviceName
from pipelines.common.errors import UserError
from pipelines.medical.config import Foreground, Plan, ReadLimits

ALL = "all"
ABOVE = "above:"


def _one_is_many(value: Any) -> Any:
    """A single name stands for a list of one."""
    return (value,) if isinstance(value, str) else value


class SegmentConfig(ReadLimits):
    """Settings of one segmentation run.

    model: a bundled name or a model folder.
    network: `auto` runs the network as the model has it; the other two run a dense or sparse U-network's
        weights on all voxels or on the active ones only.
    overlap: the share of a patch that it has in common with the next one. A sparse network has patches only
        where blocks would be more work.
    mirror: average over all flips along the axes on which the model's training images were mirrored: 2, 4 or
        8 times the work.
    precision: of a dense network's convolutions; `auto` is float32, so that every machine gives one mask.
    foreground: which voxels are computed on: `auto`, as the model's plan says; `none`, all voxels; `nonzero`;
        `above:VALUE`, in the file's own numbers.
    largest_component: labels of which only the largest connected piece is kept, or `all`.
    uncertainty: write a map of it for each case.
    dicom_seg: also write the masks of DICOM series as DICOM segmentations; needs the extra `dicom-seg`.
    batch: tiles that go through the network at once; None takes 4 on a GPU, and on a CPU 1, or 2
        small ones of a dense network.
    memory_mib: what a block of a sparse network and the scores held beside it may take. More makes larger
        blocks and less double work. Blocks of any size give the same up to rounding; so little memory that
        patches take their place changes a few voxels.
    """

    model: str
    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    network: Literal["auto", "dense-unet", "sparse-unet"] = "auto"
    overlap: float = Field(0.5, ge=0, le=0.9)
    mirror: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    foreground: str = "auto"
    largest_component: Annotated[tuple[str, ...], BeforeValidator(_one_is_many)] = ()
    uncertainty: bool = False
    dicom_seg: bool = False
    batch: int | None = Field(None, ge=1, le=256)
    memory_mib: int = Field(2048, ge=64)

    @field_validator("foreground")
    @classmethod
    def _known_rule(cls, value: str) -> str:
        try:
            known = value in ("auto", "none", "nonzero") or math.isfinite(_threshold(value))
        except ValueError:
            known = False
        if not known:
            raise ValueError("give auto, none, nonzero or above:VALUE, such as above:-200")
        return value


def with_foreground(plan: Plan, rule: str) -> Plan:
    """The plan with the rule of `SegmentConfig.foreground` in place of its own."""
    if rule == "auto":
        return plan
    halo = plan.foreground.halo
    if rule == "none":
        chosen = Foreground(rule="all")
    elif rule == "nonzero":
        chosen = Foreground(rule="nonzero", halo=halo)
    else:
        chosen = Foreground(rule="above", threshold=_threshold(rule), halo=halo)
    return plan.model_copy(update={"foreground": chosen})


def chosen_labels(plan: Plan, names: tuple[str, ...]) -> frozenset[int]:
    """The values of the labels that are named; `all` is every one. Raises UserError for one not there."""
    if ALL in names and ALL not in plan.labels:
        return frozenset(plan.labels.values())
    for name in names:
        if name not in plan.labels:
            raise UserError(
                f"--largest-component: the model has no label {name!r}; it has {', '.join(plan.labels)}"
                f" and {ALL} stands for every one"
            )
    return frozenset(plan.labels[name] for name in names)


def _threshold(rule: str) -> float:
    if not rule.startswith(ABOVE):
        raise ValueError(rule)
    return float(rule.removeprefix(ABOVE))

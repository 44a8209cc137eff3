"""A plan for volumes without labels: spacing, patch and depth by the rules of the labelled one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.common.errors import UserError
from pipelines.medical.config import Foreground, NetworkPlan, Normalisation, Plan, Sides, Triple
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.geometry import Turn, resampled_shape
from pipelines.medical.plan.fingerprint import CT_BELOW
from pipelines.medical.plan.rules import MAX_WIDTH, WIDTH, choose_strides, round_up, target_spacing
from pipelines.medical.prepare import corner_number, spacing_of
from pipelines.medical.pretrain.inputs import Images

LOOKED_AT: Final = 24  # volumes, spread over all
MAX_PATCH_VOXELS: Final = 112**3
EMPTY_BELOW: Final = 0.5  # with fewer voxels than this that are no background, that was cut away
HU: Final = Normalisation(scheme="fixed", low=-1000.0, high=1000.0, mean=0.0, deviation=500.0)
UNLABELLED: Final = {"unlabelled": 1}  # a plan names at least one label; nothing here looks at it


@dataclass(frozen=True, slots=True)
class Look:
    """Of one volume: canonical shape and spacing (mm), the lowest number, the share that is not 0, and the
    share that is not what the corners hold."""

    shape: tuple[int, ...]
    spacing: Triple
    lowest: float
    nonzero: float
    lifted: float


def chosen_channels(plan: Plan | None, channels: Sequence[str] | None) -> tuple[str, ...]:
    """The names of a case's images. Raises UserError if plan and names disagree in number."""
    if plan is None:
        return tuple(channels or ("image",))
    if channels and len(channels) != len(plan.channels):
        raise UserError(
            f"the plan has {len(plan.channels)} channels ({', '.join(plan.channels)}),"
            f" and {len(channels)} are named"
        )
    return tuple(channels or plan.channels)


def simple_plan(
    cases: Sequence[Images],
    channels: Sequence[str],
    progress: Callable[[str], None],
    *,
    max_voxels: int = MAX_VOXELS,
) -> Plan:
    """The plan, from up to LOOKED_AT of the cases. max_voxels: of a volume that is read.

    Raises UserError if none of the cases can be read.
    """
    chosen = np.unique(np.linspace(0, len(cases) - 1, min(LOOKED_AT, len(cases))).round().astype(int))
    looks, reason = [], ""
    for number, index in enumerate(chosen):
        progress(f"looking at volume {number + 1} of {len(chosen)}: {cases[index].name}")
        try:
            sources = cases[index].sources
            looks.append(_look([read_volume(source, max_voxels=max_voxels) for source in sources]))
        except VolumeError as error:
            reason = reason or str(error)
    if not looks:
        raise UserError(f"there is no volume to learn from: {reason}")
    spacing = target_spacing(np.array([look.spacing for look in looks]))
    shapes = [resampled_shape(look.shape, look.spacing, spacing) for look in looks]
    median = tuple(int(side) for side in np.median(np.array(shapes), axis=0))
    strides = choose_strides(median, spacing)
    widths = tuple(min(WIDTH * 2**level, MAX_WIDTH) for level in range(len(strides) + 1))
    network = NetworkPlan(channels=widths, blocks=(1,) * len(widths), strides=strides)
    is_ct = min(look.lowest for look in looks) < CT_BELOW
    nonzero, lifted = (
        float(share) for share in np.mean([(look.nonzero, look.lifted) for look in looks], axis=0)
    )
    occupancy = min(nonzero, lifted)
    cut_away = occupancy < EMPTY_BELOW and not is_ct
    image = Normalisation(scheme="lifted" if cut_away and lifted < nonzero else "zscore")
    return Plan(
        labels=UNLABELLED,
        channels=tuple(channels),
        modality="CT" if is_ct else "",
        spacing=spacing,
        patch=fit_patch(median, network),
        normalisation=(HU if is_ct else image,) * len(channels),
        foreground=Foreground(rule="nonzero", occupancy=round(occupancy, 4)) if cut_away else Foreground(),
        network=network,
    )


def fit_patch(median: Sequence[int], network: NetworkPlan) -> Sides:
    """The median shape, its longest side shortened while there are more than MAX_PATCH_VOXELS."""
    sides = list(round_up(median, network))
    steps = [math.prod(stride[axis] for stride in network.strides) for axis in range(3)]
    while math.prod(sides) > MAX_PATCH_VOXELS:
        longest = max(range(3), key=lambda axis: sides[axis] / steps[axis])
        sides[longest] -= steps[longest]
    return sides[0], sides[1], sides[2]


def _look(channels: Sequence[Volume]) -> Look:
    first = channels[0]
    turn = Turn.of(first.affine, first.shape)
    shape = turn.to_canonical(first.array).shape
    lowest = min(float(one.array.min()) for one in channels)
    nonzero = np.logical_or.reduce([one.array != 0 for one in channels])
    lifted = np.logical_or.reduce([one.array != corner_number(one.array) for one in channels])
    return Look(
        shape, spacing_of(turn.affine(first.affine)), lowest, float(nonzero.mean()), float(lifted.mean())
    )

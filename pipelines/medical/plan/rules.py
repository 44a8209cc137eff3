"""From a fingerprint to a plan; spacing, patch and depth much as in nnU-Net (Isensee et al., 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipelines.common.errors import UserError
from pipelines.medical.config import Foreground, NetworkPlan, Normalisation, Plan, Sides, Triple
from pipelines.medical.data.dataset import Dataset
from pipelines.medical.geometry import resampled_shape
from pipelines.medical.plan.fingerprint import AIR_HU, CT_BELOW, Fingerprint
from pipelines.medical.plan.memory import training_mib

MAX_ANISOTROPY = 3.0
COARSEST = 4  # voxels that an axis keeps at the deepest level
MAX_LEVELS = 5
WIDTH, MAX_WIDTH = 16, 160
BATCH = 2
MAX_BATCH = 4
MEMORY_MIB = 6_000.0
# Below this share of active voxels a training step takes less time on active voxels only, even where a dense
# network computes in bfloat16 in hardware; where it cannot, sparse is faster at most shares
# (`break_even_training` of benchmarks/medical_segment).
SPARSE_BELOW = 0.24
LABELS_MAY_LIE_OUTSIDE = 0.001


def make_plan(fingerprint: Fingerprint, data: Dataset, *, memory_mib: float = MEMORY_MIB) -> Plan:
    """The plan for a data set. memory_mib: what a training step may take. Raises UserError."""
    labels = name_labels(fingerprint.values, data.label_names)
    spacing = target_spacing(np.array([case.spacing for case in fingerprint.cases]))
    shapes = [resampled_shape(case.shape, case.spacing, spacing) for case in fingerprint.cases]
    is_ct = min(case.lowest for case in fingerprint.cases) < CT_BELOW
    foreground = choose_foreground(fingerprint, is_ct)
    median = tuple(int(side) for side in np.median(np.array(shapes), axis=0))
    channels, classes = len(data.channels), 1 + len(labels)
    strides = choose_strides(median, spacing)
    network = _network(strides, foreground)
    patch = fit_patch(median, network, channels, classes, foreground.occupancy, memory_mib)
    strides = choose_strides(patch, spacing)
    network = _network(strides, foreground)
    patch = round_up(patch, network)
    batch = BATCH

    def takes(batch_size: int) -> float:
        return training_mib(network, patch, batch_size, channels, classes, foreground.occupancy)

    while batch < MAX_BATCH and takes(batch + 1) <= memory_mib:
        batch += 1
    return Plan(
        labels=labels,
        channels=data.channels,
        modality="CT" if is_ct else "MR",
        spacing=spacing,
        patch=patch,
        batch_size=batch,
        normalisation=tuple(_normalisation(values, is_ct) for values in fingerprint.pooled()),
        foreground=foreground,
        network=network,
        training_memory_mib=round(takes(batch)),
    )


def name_labels(values: Sequence[int], names: dict[str, int]) -> dict[str, int]:
    """Names of the label values that occur, as the data set gives them, else `label N`. Raises UserError."""
    if not values:
        raise UserError("the label maps hold nothing but background: there is nothing to learn")
    known = {value: name for name, value in names.items()}
    return {known.get(value, f"label {value}"): value for value in values}


def target_spacing(spacings: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Triple:
    """Spacing (mm) to resample to, from those of the cases (N, 3): the median of each axis.

    Where one axis is three times coarser than the others, its tenth percentile is taken, so that cases with
    thin slices do not lose them.
    """
    median = np.median(spacings, axis=0)
    worst = int(median.argmax())
    others = np.delete(median, worst)
    if median[worst] > MAX_ANISOTROPY * others.max():
        finer = float(np.percentile(spacings[:, worst], 10))
        median[worst] = max(finer, float(others.max()))
    x, y, z = (round(float(side), 4) for side in median)
    return x, y, z


def choose_strides(shape: Sequence[int], spacing: Triple) -> tuple[Sides, ...]:
    """Strides between levels: an axis is halved while it keeps COARSEST voxels and no other is far finer."""
    sides, steps = list(map(float, shape)), list(spacing)
    strides: list[Sides] = []
    while len(strides) < MAX_LEVELS - 1:
        long = [step for step, side in zip(steps, sides, strict=True) if side >= 2 * COARSEST]
        finest = min(long, default=0.0)
        halve = [side >= 2 * COARSEST and step < 2 * finest for side, step in zip(sides, steps, strict=True)]
        if not any(halve):
            break
        x, y, z = (2 if yes else 1 for yes in halve)
        strides.append((x, y, z))
        sides = [side / 2 if yes else side for side, yes in zip(sides, halve, strict=True)]
        steps = [step * 2 if yes else step for step, yes in zip(steps, halve, strict=True)]
    return tuple(strides)


def fit_patch(
    median: Sequence[int],
    network: NetworkPlan,
    channels: int,
    classes: int,
    occupancy: float,
    memory_mib: float,
) -> Sides:
    """The median shape, its longest side shortened until a batch of BATCH fits the memory."""
    patch = round_up(median, network)
    total = _total_stride(network)
    while training_mib(network, patch, BATCH, channels, classes, occupancy) > memory_mib:
        sides = list(patch)
        longest = max(range(3), key=lambda axis: sides[axis] / total[axis])
        if sides[longest] <= total[longest]:
            raise UserError(
                f"no patch fits {memory_mib:,.0f} MiB: give more memory, or a smaller network in the plan"
            )
        sides[longest] -= total[longest]
        patch = (sides[0], sides[1], sides[2])
    return patch


def round_up(shape: Sequence[int], network: NetworkPlan) -> Sides:
    """The next sides that the strides of the network divide."""
    x, y, z = (
        max(1, math.ceil(side / step)) * step
        for side, step in zip(shape, _total_stride(network), strict=True)
    )
    return x, y, z


def choose_foreground(fingerprint: Fingerprint, is_ct: bool) -> Foreground:
    """The rule that leaves out the most without leaving out labelled voxels."""
    cases = fingerprint.cases
    nonzero = float(np.mean([case.nonzero for case in cases]))
    solid = float(np.mean([case.solid for case in cases]))
    if max(case.outside_nonzero for case in cases) <= LABELS_MAY_LIE_OUTSIDE and nonzero < 0.9:
        return Foreground(rule="nonzero", occupancy=round(nonzero, 4))
    if is_ct and max(case.outside_solid for case in cases) <= LABELS_MAY_LIE_OUTSIDE and solid < 0.9:
        return Foreground(rule="above", threshold=AIR_HU, occupancy=round(solid, 4))
    return Foreground()


def _network(strides: tuple[Sides, ...], foreground: Foreground) -> NetworkPlan:
    levels = len(strides) + 1
    share = foreground.occupancy
    if foreground.rule == "all":
        name, why = "dense-unet", "Every voxel counts: no rule leaves part of the images out."
    elif share < SPARSE_BELOW:
        name = "sparse-unet"
        why = f"{share:.0%} of the voxels are active, and below {SPARSE_BELOW:.0%} sparse is faster."
    else:
        name = "dense-unet"
        why = f"{share:.0%} of the voxels are active, and from {SPARSE_BELOW:.0%} on dense is faster."
    return NetworkPlan(
        name=name,
        why=why,
        channels=tuple(min(WIDTH * 2**level, MAX_WIDTH) for level in range(levels)),
        blocks=(1,) * levels,
        strides=strides,
        heads=max(1, min(3, levels - 1)),
    )


def _normalisation(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], is_ct: bool) -> Normalisation:
    if not is_ct:
        return Normalisation(scheme="zscore")
    low, high = (float(number) for number in np.percentile(values, [0.5, 99.5]))
    clipped = np.clip(values, low, high)
    return Normalisation(
        scheme="fixed",
        low=round(low, 3),
        high=round(high, 3),
        mean=round(float(clipped.mean()), 3),
        deviation=round(float(clipped.std()) or 1.0, 3),
    )


def _total_stride(network: NetworkPlan) -> Sides:
    x, y, z = (math.prod(stride[axis] for stride in network.strides) for axis in range(3))
    return x, y, z

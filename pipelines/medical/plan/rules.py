"""From a fingerprint to a plan; spacing, patch and depth much as in nnU-Net (Isensee et al., 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from pipelines.common.errors import UserError
from pipelines.medical.config import (
    MAX_LABELS,
    SWIN_STRIDE,
    Foreground,
    NetworkName,
    NetworkPlan,
    Normalisation,
    Plan,
    Sides,
    Triple,
)
from pipelines.medical.data.dataset import Dataset
from pipelines.medical.geometry import resampled_shape
from pipelines.medical.plan.fingerprint import AIR_HU, CT_BELOW, LIFTED, SOLID, Fingerprint
from pipelines.medical.plan.memory import training_mib
from pipelines.medical.plan.occupancy import Occupancy, Pictured, occupancy

MAX_ANISOTROPY = 3.0
COARSEST = 4  # voxels that an axis keeps at the deepest level
MAX_LEVELS = 5
WIDTH, MAX_WIDTH = 16, 160
BATCH = 2
MAX_BATCH = 4
MEMORY_MIB = 6_000.0
# Shares of active voxels from which a dense network takes less time on one patch (`break_even` of
# benchmarks/medical_segment). It trains in bfloat16 where the processor multiplies that in hardware, which is
# taken for granted as it speaks against a sparse one, and segments in float32.
TRAINING_BREAK_EVEN, SEGMENTING_BREAK_EVEN = 0.23, 0.79
LABELS_MAY_LIE_OUTSIDE = 0.001
WORTH_IT = 0.9  # a rule that leaves fewer voxels out than the rest of this is none
LOOKED_AT = 50  # cases whose patches are drawn


def make_plan(
    fingerprint: Fingerprint,
    data: Dataset,
    *,
    memory_mib: float = MEMORY_MIB,
    network: NetworkName | None = None,
    sizes: NetworkPlan | None = None,
) -> Plan:
    """The plan for a data set. Raises UserError.

    memory_mib: what a training step may take. network: the one to plan for, whatever would be faster.
    sizes: channels, blocks and strides that it must have.
    """
    labels = name_labels(fingerprint.values, data.label_names)
    spacing = target_spacing(np.array([case.spacing for case in fingerprint.cases]))
    shapes = [resampled_shape(case.shape, case.spacing, spacing) for case in fingerprint.cases]
    median = tuple(int(side) for side in np.median(np.array(shapes), axis=0))
    channels, classes = len(data.channels), 1 + len(labels)
    is_ct = min(case.lowest for case in fingerprint.cases) < CT_BELOW
    region = choose_region(fingerprint)
    pictures = _pictures(fingerprint, region)

    @cache
    def seen(patch: Sides) -> Occupancy:
        return occupancy(pictures, spacing, patch) if region else Occupancy()

    def takes(chosen: NetworkPlan, patch: Sides, batch: int) -> float:
        share = seen(patch).fullest if chosen.name == "sparse-unet" else 1.0
        return training_mib(chosen, patch, batch, channels, classes, share)

    def fitted(name: NetworkName) -> tuple[NetworkPlan, Sides]:
        chosen = _network(choose_strides(median, spacing), name, sizes)
        patch = fit_patch(median, chosen, lambda patch: takes(chosen, patch, BATCH), memory_mib)
        chosen = _network(choose_strides(patch, spacing), name, sizes)
        return chosen, round_up(patch, chosen)

    chosen, patch = fitted(network or ("sparse-unet" if region else "dense-unet"))
    why = "As --network said."
    if network is None:
        name, why = choose_network(seen(patch) if region else None)
        if name != chosen.name:
            chosen, patch = fitted(name)
    batch = BATCH
    while batch < MAX_BATCH and takes(chosen, patch, batch + 1) <= memory_mib:
        batch += 1
    return Plan(
        labels=labels,
        channels=data.channels,
        modality="CT" if is_ct else "MR",
        spacing=spacing,
        patch=patch,
        batch_size=batch,
        normalisation=tuple(_normalisation(values, is_ct, region) for values in fingerprint.pooled()),
        foreground=_foreground(fingerprint, region),
        network=chosen.model_copy(update={"why": why}),
        training_memory_mib=round(takes(chosen, patch, batch)),
    )


def name_labels(values: Sequence[int], names: dict[str, int]) -> dict[str, int]:
    """Names of the label values that occur, as the data set gives them, else `label N`. Raises UserError."""
    if not values:
        raise UserError("the label maps hold nothing but background: there is nothing to learn")
    if len(values) > MAX_LABELS:
        raise UserError(
            f"the label maps hold {len(values):,} different values, and at most {MAX_LABELS} are labels:"
            " are they images?"
        )
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
    median: Sequence[int], network: NetworkPlan, takes: Callable[[Sides], float], memory_mib: float
) -> Sides:
    """The median shape, its longest side shortened until what it takes, in MiB, fits the memory."""
    patch = round_up(median, network)
    total = _total_stride(network)
    while takes(patch) > memory_mib:
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


def check_patch(patch: Sides, network: NetworkPlan) -> None:
    """Raise UserError unless the network can compute patches of this size."""
    if round_up(patch, network) != patch:
        raise UserError(
            f"the sides of the patch {patch} must be multiples of {_total_stride(network)}, the strides of"
            f" {network.name} taken together: {round_up(patch, network)} would do"
        )


def choose_region(fingerprint: Fingerprint) -> str | None:
    """The region that leaves out the most, but no labelled voxels; None if none leaves out much."""
    fitting = [
        name
        for name in fingerprint.regions
        if fingerprint.share(name) < WORTH_IT
        and max(case.regions[name].outside for case in fingerprint.cases) <= LABELS_MAY_LIE_OUTSIDE
    ]
    return min(fitting, key=fingerprint.share, default=None)


def choose_network(seen: Occupancy | None) -> tuple[NetworkName, str]:
    """The faster U-network, and why. seen: what is active; None where every voxel counts.

    The time of training goes by what is active of the patches that it draws, which lie around labels and are
    fuller than volumes; the time of segmenting by what is active of the volumes, and by the tiles that a
    dense network would go over. Both count alike.
    """
    if seen is None:
        return "dense-unet", "Every voxel counts: no rule leaves part of the images out."
    training = seen.patches / TRAINING_BREAK_EVEN
    segmenting = seen.volumes / (SEGMENTING_BREAK_EVEN * seen.tiles)
    sparse = training * segmenting < 1
    if (training < 1) == (segmenting < 1):
        verdict = f"{'sparse' if sparse else 'dense'} is faster at both"
    else:
        verdict = "sparse gains more than it loses" if sparse else "sparse loses more than it gains"
    return (
        "sparse-unet" if sparse else "dense-unet",
        f"{seen.patches:.0%} of a training patch and {seen.volumes:.0%} of a volume are active. On these"
        f" voxels only, a training step takes about {training:.2g} times as long as dense in bfloat16, and"
        f" segmenting {segmenting:.2g} times as long as dense in float32: {verdict}.",
    )


def _pictures(fingerprint: Fingerprint, region: str | None) -> list[Pictured]:
    """Up to LOOKED_AT of the cases, spread over all."""
    cases = fingerprint.cases
    chosen = np.unique(np.linspace(0, len(cases) - 1, min(LOOKED_AT, len(cases))).round().astype(int))
    return [
        Pictured(case.shape, case.spacing, case.regions[region], tuple(case.places.values()))
        for case in (cases[index] for index in chosen)
        if region
    ]


def _foreground(fingerprint: Fingerprint, region: str | None) -> Foreground:
    if region is None:
        return Foreground()
    share = round(fingerprint.share(region), 4)
    if region == SOLID:
        return Foreground(rule="above", threshold=AIR_HU, occupancy=share)
    return Foreground(rule="nonzero", occupancy=share)


def _network(strides: tuple[Sides, ...], name: NetworkName, sizes: NetworkPlan | None) -> NetworkPlan:
    """A network with these strides, or with the sizes of another."""
    levels = len(strides) + 1
    own = sizes or NetworkPlan(
        channels=tuple(min(WIDTH * 2**level, MAX_WIDTH) for level in range(levels)),
        blocks=(1,) * levels,
        strides=strides,
    )
    return own.model_copy(update={"name": name, "heads": max(1, min(3, len(own.channels) - 1))})


def _normalisation(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], is_ct: bool, region: str | None
) -> Normalisation:
    if not is_ct:
        return Normalisation(scheme="lifted" if region == LIFTED else "zscore")
    low, high = (float(number) for number in np.percentile(values, [0.5, 99.5]))
    clipped = np.clip(values, low, high)
    return Normalisation(
        scheme="fixed",
        low=round(low, 3),
        high=round(high, 3),
        mean=round(float(clipped.mean()), 3),
        deviation=round(float(clipped.std()), 3) or 1.0,
    )


def _total_stride(network: NetworkPlan) -> Sides:
    if network.name == "swinunetr":
        return (SWIN_STRIDE,) * 3
    x, y, z = (math.prod(stride[axis] for stride in network.strides) for axis in range(3))
    return x, y, z

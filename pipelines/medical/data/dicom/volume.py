"""The slices of a series as one volume."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..limits import MAX_VOXELS, check_shape, check_voxels
from ..numbers import rescaled
from ..place import LPS_TO_RAS, check_affine, from_axes
from ..record import Volume, VolumeError
from .reading import decoded
from .series import Series, Slice

EVEN: Final = 0.1  # of the step between slices: what their positions may be off
ROUNDED_MM: Final = 0.11  # what a gap may be off where a scanner rounds positions to tenths


def read(series: Series, name: str, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume of a series.

    Raises:
        VolumeError: slices are missing, doubled or unevenly spaced, their pixels cannot be decoded, or there
            are more than `max_voxels`.
    """
    ordered, notes = _ordered(series)
    affine = _affine(series, ordered)
    shape = check_shape((series.columns, series.rows, len(ordered)))
    check_voxels(shape, max_voxels)
    raw = _pixels(ordered, shape)
    scalings = {(one.slope, one.intercept) for one in ordered}
    if len(scalings) == 1:
        array = rescaled(raw, *scalings.pop())
    else:
        array = np.empty(shape, np.float32, order="F")
        for number, one in enumerate(ordered):
            array[..., number] = raw[..., number].astype(np.float64) * one.slope + one.intercept
    return Volume(
        array=array,
        affine=affine,
        source=series.folder,
        name=name,
        modality=series.modality,
        header={"format": "dicom", "slices": tuple((one.path, one.frame) for one in ordered)},
        notes=tuple(notes),
    )


def _ordered(series: Series) -> tuple[list[Slice], list[str]]:
    """The slices along their normal, evenly spaced; VolumeError if they are not."""
    once = list({one.instance or one: one for one in series.slices}.values())
    notes = list(series.notes)
    if len(once) < len(series.slices):
        notes.append(f"{len(series.slices) - len(once)} copies of slices were left out")
    normal = np.cross(series.directions[:3], series.directions[3:])
    if not np.linalg.norm(normal) > 0.5:
        raise VolumeError("the directions of its rows and columns do not span a plane: the files are damaged")
    along = np.array([one.position for one in once]) @ normal
    order = np.argsort(along, kind="stable")
    ordered, along = [once[number] for number in order], along[order]
    _check_even(along, ordered)
    return ordered, notes


def _check_even(along: NDArray[np.float64], ordered: Sequence[Slice]) -> None:
    gaps = np.diff(along)
    if len(gaps) == 0:
        raise VolumeError("it has a single slice, which is no volume")
    step = float(np.median(gaps))
    if step <= 0 or gaps.min() < EVEN * step:
        worst = int(gaps.argmin())
        raise VolumeError(
            f"{int((gaps < EVEN * max(step, 1e-6)).sum()) or len(gaps)} slices lie where others lie, such as"
            f" {_pair(ordered, worst)} at {along[worst]:.2f} mm: the series holds several scans (phases,"
            " echoes or times); give each a folder of its own"
        )
    off = np.abs(gaps - step)
    tolerance = min(max(EVEN * step, ROUNDED_MM), 0.4 * step)
    if off.max() > tolerance:
        worst = int(off.argmax())
        missing = round(float(gaps[worst]) / step) - 1
        cause = (
            f"{missing} {'slice is' if missing == 1 else 'slices are'} missing"
            if missing >= 1 and abs(gaps[worst] - (missing + 1) * step) <= tolerance
            else "the slices are unevenly spaced"
        )
        raise VolumeError(
            f"{cause}: {gaps[worst]:.2f} mm between {_pair(ordered, worst)} (at {along[worst]:.2f} and"
            f" {along[worst + 1]:.2f} mm), {step:.2f} mm between the others"
        )


def _pair(ordered: Sequence[Slice], number: int) -> str:
    names = [
        one.path.name if one.frame is None else f"frame {one.frame + 1}"
        for one in ordered[number : number + 2]
    ]
    return " and ".join(names)


def _affine(series: Series, ordered: Sequence[Slice]) -> NDArray[np.float64]:
    """To RAS+ mm. The step between slices is that of their positions, so a tilted gantry shears the grid."""
    places = np.array([one.position for one in ordered])
    step = (places[-1] - places[0]) / (len(places) - 1)
    line = places[0] + np.arange(len(places))[:, None] * step
    off = np.linalg.norm(places - line, axis=1)
    if off.max() > max(EVEN * np.linalg.norm(step), EVEN * min(series.spacing)):
        name = ordered[int(off.argmax())].path.name
        raise VolumeError(f"its slices do not lie on a line: {name} is {off.max():.2f} mm off")
    rows, columns = series.spacing
    axes = np.stack(
        [np.array(series.directions[:3]) * columns, np.array(series.directions[3:]) * rows, step], axis=1
    )
    return check_affine(LPS_TO_RAS @ from_axes(axes, places[0]))


def _pixels(ordered: Sequence[Slice], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Stored values (I, J, K). Each file is decoded once."""
    voxels: NDArray[Any] | None = None
    numbered = sorted(enumerate(ordered), key=lambda pair: str(pair[1].path))
    for path, group in itertools.groupby(numbered, key=lambda pair: pair[1].path):
        frames = decoded(path)
        if voxels is None:
            voxels = np.empty(shape, frames.dtype, order="F")
        elif frames.dtype != voxels.dtype:  # some scanners store the odd slice with a sign
            voxels = voxels.astype(np.promote_types(frames.dtype, voxels.dtype))
        for number, one in group:
            image = frames if frames.ndim == 2 else frames[one.frame or 0]
            if image.shape != shape[1::-1]:
                raise VolumeError(f"{path.name} has pixels of another shape than it states: it is damaged")
            voxels[..., number] = image.T
    assert voxels is not None
    return voxels

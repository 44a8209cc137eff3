"""Plane geometry of closed rings: float64 (N, 2), corners in order, the first not repeated."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
PAIRS_AT_ONCE: Final = 2**20


def area(ring: Ring) -> float:
    """Area by the shoelace formula, without its sign."""
    # About the middle, so that coordinates far from 0 lose no digits.
    x, y = (ring - ring.mean(axis=0)).T
    return abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())) / 2


def first_crossing(ring: Ring) -> tuple[float, float] | None:
    """A place where two edges of a ring meet that are not neighbours, or where neighbours lie on each other.

    None if the ring is simple. Corners that repeat count as meeting.
    """
    starts, ends = ring, np.roll(ring, -1, axis=0)
    count = len(ring)
    following = ends - starts
    if (following == 0).all(axis=1).any():
        place = ring[int(np.flatnonzero((following == 0).all(axis=1))[0])]
        return float(place[0]), float(place[1])
    # Neighbours share a corner; they overlap only if one runs straight back along the other.
    after = np.roll(following, -1, axis=0)
    back = (_cross(following, after) == 0) & ((following * after).sum(axis=1) < 0)
    if back.any():
        place = ends[int(np.flatnonzero(back)[0])]
        return float(place[0]), float(place[1])
    step = max(1, PAIRS_AT_ONCE // count)
    numbers = np.arange(count)
    for begin in range(0, count, step):
        rows = numbers[begin : begin + step, None]
        apart = np.minimum((numbers - rows) % count, (rows - numbers) % count) > 1
        meeting = _meet(starts[rows], ends[rows], starts[None], ends[None]) & apart
        if meeting.any():
            row, column = (int(one[0]) for one in np.nonzero(meeting))
            middle = (starts[begin + row] + ends[begin + row] + starts[column] + ends[column]) / 4
            return float(middle[0]), float(middle[1])
    return None


def crossing(one: Ring, other: Ring) -> bool:
    """Whether edges of two rings pass through each other; to touch or to share an edge is no crossing."""
    starts, ends = other[None], np.roll(other, -1, axis=0)[None]
    step = max(1, PAIRS_AT_ONCE // len(other))
    far = np.roll(one, -1, axis=0)
    for begin in range(0, len(one), step):
        part = slice(begin, begin + step)
        if _pass_through(one[part, None], far[part, None], starts, ends).any():
            return True
    return False


def contains(outer: Ring, inner: Ring) -> bool:
    """Whether a ring that does not cross `outer` lies inside it."""
    # A corner or the middle of an edge tells, if it is not itself on the edge of `outer`.
    for point in np.concatenate([inner, (inner + np.roll(inner, -1, axis=0)) / 2]):
        side = _side(outer, point)
        if side:
            return side > 0
    return bool(
        area(inner) <= area(outer)
    )  # all on the edge: the same ring, or one drawn through its corners


def _side(ring: Ring, point: Ring) -> int:
    """1 for a point inside, -1 outside, 0 on the edge (even-odd rule)."""
    a, b = ring, np.roll(ring, -1, axis=0)
    turn = _cross(b - a, point - a)
    within = ((np.minimum(a, b) <= point) & (point <= np.maximum(a, b))).all(axis=1)
    if (within & (turn == 0)).any():
        return 0
    spans = (a[:, 1] > point[1]) != (b[:, 1] > point[1])
    right = (turn > 0) == (b[:, 1] > a[:, 1])
    return 1 if int(np.count_nonzero(spans & right)) % 2 else -1


def _cross(a: Ring, b: Ring) -> Ring:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _sides(a: Ring, b: Ring, c: Ring, d: Ring) -> tuple[Ring, Ring, Ring, Ring]:
    """On which side of edge ab lie c and d, and on which of cd lie a and b: signs."""
    return (
        np.sign(_cross(b - a, c - a)),
        np.sign(_cross(b - a, d - a)),
        np.sign(_cross(d - c, a - c)),
        np.sign(_cross(d - c, b - c)),
    )


def _pass_through(a: Ring, b: Ring, c: Ring, d: Ring) -> NDArray[np.bool_]:
    one, two, three, four = _sides(a, b, c, d)
    return (one * two < 0) & (three * four < 0)


def _meet(a: Ring, b: Ring, c: Ring, d: Ring) -> NDArray[np.bool_]:
    """Whether two edges have a point in common, their ends included."""
    one, two, three, four = _sides(a, b, c, d)
    boxes = ((np.minimum(a, b) <= np.maximum(c, d)) & (np.minimum(c, d) <= np.maximum(a, b))).all(axis=-1)
    return boxes & (one * two <= 0) & (three * four <= 0)

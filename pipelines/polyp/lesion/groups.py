"""Which frames must stay together: those of one patient, of one sequence, and those that are nearly the same.

Data sets of still pictures do not say which of them show one polyp, and have the same picture twice. Free of
torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.media.record import Pixels
from pipelines.polyp.lesion.frames import LesionFrame

SIDE: Final = 32  # px of the gray picture that is compared
LOW: Final = 8  # lowest frequencies along each axis that make the hash
MOST_BITS: Final = 10  # of 63 that may differ
LEAST_ALIKE: Final = 0.9  # correlation of the gray pictures
AT_ONCE: Final = 1_024  # frames compared with all others at a time
# Names of PolypGen begin with a number for each examination: 556OLCV1_100H0004, 9_endocv2021_positive_457.
_SEQUENCE: Final = re.compile(r"(\d+OLCV\d+)_|(\d+_endocv2021)_", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """Of frames, in their order. bits: bool (N, 63), the perceptual hash: which of the low frequencies are
    above their median. gray: float32 (N, 1024), small gray pictures of mean 0 and length 1."""

    bits: NDArray[np.bool_]
    gray: NDArray[np.float32]


def prints_of(pictures: Iterable[Pixels]) -> Prints:
    """Prints of pictures, RGB uint8 (H, W, 3) each, cut to their optical fields."""
    bits, grays = [], []
    for pixels in pictures:
        gray = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
        small = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        low = cv2.dct(small)[:LOW, :LOW].ravel()[1:]
        bits.append(low > np.median(low))
        flat = (small - small.mean()).ravel()
        grays.append(flat / max(float(np.linalg.norm(flat)), 1e-6))
    return Prints(
        np.array(bits, bool).reshape(-1, LOW**2 - 1), np.array(grays, np.float32).reshape(-1, SIDE**2)
    )


def near_pairs(prints: Prints, others: Prints) -> list[tuple[int, int]]:
    """Pairs of a frame and one of the others that are nearly the same picture.

    Both the hash and the gray pictures must agree: smooth walls of the stomach have hashes alike.
    """
    found: list[tuple[int, int]] = []
    signs = np.where(others.bits, 1.0, -1.0).astype(np.float32)
    for start in range(0, len(prints.bits), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        equal = np.where(prints.bits[part], 1.0, -1.0).astype(np.float32) @ signs.T
        differing = (signs.shape[1] - equal) / 2
        alike = prints.gray[part] @ others.gray.T
        rows, columns = np.nonzero((differing <= MOST_BITS + 0.5) & (alike >= LEAST_ALIKE))
        found += zip((rows + start).tolist(), columns.tolist(), strict=True)
    return found


def sequence_of(frame: LesionFrame) -> str:
    """The examination that a frame's name tells; empty if it tells none."""
    match = _SEQUENCE.match(frame.ref.name)
    return f"{frame.data}/{match[1] or match[2]}" if match else ""


@dataclass(frozen=True, slots=True)
class Grouping:
    """group: of each frame, the number of the first frame in it. near: groups that hold nearly the same
    picture twice; sequences: examinations with several frames."""

    group: tuple[int, ...]
    near: int
    sequences: int


def group_frames(frames: Sequence[LesionFrame]) -> Grouping:
    """Groups of what is linked by a patient, a sequence or near-duplicates, in any data set."""
    prints = prints_of(one.pixels for one in frames)
    near = [(a, b) for a, b in near_pairs(prints, prints) if a < b]
    first: dict[str, int] = {}
    known, sequences = [], set()
    for number, one in enumerate(frames):
        for key in (one.patient, sequence_of(one)):
            if key and first.setdefault(key, number) != number:
                known.append((first[key], number))
                if key != one.patient:
                    sequences.add(key)
    parent = _joined(len(frames), near)
    return Grouping(
        tuple(_joined(len(frames), [*near, *known])), len({parent[a] for a, _ in near}), len(sequences)
    )


def parted(
    frames: Sequence[LesionFrame], group: Sequence[int], share: float, seed: int
) -> tuple[list[int], list[int]]:
    """Numbers of frames to keep and to hold out, about `share` of them, in whole groups.

    Each data set gives its share, and so do its frames without a lesion. The same seed gives the same parts.
    Raises UserError if there are fewer than two groups.
    """
    members: dict[int, list[int]] = {}
    for number, one in enumerate(group):
        members.setdefault(one, []).append(number)
    if len(members) < 2:
        raise UserError(
            f"{len(frames)} frames of {len(members)} patients or sequences cannot be split: two are needed"
        )
    kinds = [(one.data, one.empty) for one in frames]
    wanted = {kind: share * kinds.count(kind) for kind in kinds}
    order = np.random.default_rng(seed).permutation(len(members))
    shuffled = [list(members.values())[place] for place in order]
    shuffled.sort(key=len, reverse=True)  # large groups while there is room for them
    out: list[int] = []
    for numbers in shuffled:
        room = sum(wanted[kinds[one]] for one in numbers) / len(numbers)
        if room >= len(numbers) / 2:
            out += numbers
            for one in numbers:
                wanted[kinds[one]] -= 1
    if not out:
        out = shuffled[-1]
    if len(out) == len(frames):
        out = [one for one in out if one not in shuffled[-1]]
    held = set(out)
    return [one for one in range(len(frames)) if one not in held], sorted(held)


def _joined(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The lowest number of what each of the numbers below `count` is linked to."""
    parent = list(range(count))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for a, b in pairs:
        a, b = root(a), root(b)
        parent[max(a, b)] = min(a, b)
    return [root(one) for one in range(count)]

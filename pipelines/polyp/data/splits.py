"""Splits by patient, and where that is unknown by recording or polyp; never by frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.common.errors import UserError

from .record import Polyp

# Of sizes in mm, for spreading them evenly; as the classes of the metrics, with unknown sizes apart.
_EDGES: Final = (5.0, 10.0)
_NAMED: Final = 5  # ids in a message


@dataclass(frozen=True, slots=True)
class Fold:
    """Polyps to train on and to hold out, each in the order of the data set."""

    train: tuple[Polyp, ...]
    held_out: tuple[Polyp, ...]


def groups_of(polyps: Sequence[Polyp]) -> list[str]:
    """The group of each polyp, which must stay together: named by the first polyp in it.

    Polyps of one patient are together, and those of one recording, and so what is linked by either: if a
    recording is known to be of a patient for one polyp only, the other polyps in it are that patient's too.
    """
    parent = list(range(len(polyps)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, one in enumerate(polyps):
        for key in (("patient", one.patient), ("video", one.video), ("polyp", one.id)):
            if key[1]:
                other = root(first.setdefault(key, place))
                parent[max(other, root(place))] = min(other, root(place))
    return [polyps[root(place)].id for place in range(len(polyps))]


def folds(polyps: Sequence[Polyp], count: int, *, seed: int = 0) -> tuple[Fold, ...]:
    """As many folds as `count`; each polyp is held out in one of them. The same seed gives the same folds.

    Groups are dealt out whole, the rarest class of sizes first, each to the fold that has the fewest of that
    class and then the fewest polyps, so that classes are spread as evenly as whole groups allow. Raises
    UserError if there are fewer groups than folds.
    """
    if count < 2:
        raise UserError(f"at least 2 folds are needed, not {count}")
    parts = _dealt(polyps, [1.0] * count, seed)
    return tuple(
        Fold(
            tuple(one for one, part in zip(polyps, parts, strict=True) if part != number),
            tuple(one for one, part in zip(polyps, parts, strict=True) if part == number),
        )
        for number in range(count)
    )


def hold_out(polyps: Sequence[Polyp], share: float, *, seed: int = 0) -> Fold:
    """One split with about this share of the polyps held out, in whole groups, sizes spread as in `folds`.

    Raises UserError for a share that is not between 0 and 1, or if there is one group only.
    """
    if not 0 < share < 1:
        raise UserError(f"the share that is held out must lie between 0 and 1, not {share}")
    parts = _dealt(polyps, [1 - share, share], seed)
    fold = Fold(
        tuple(one for one, part in zip(polyps, parts, strict=True) if part == 0),
        tuple(one for one, part in zip(polyps, parts, strict=True) if part == 1),
    )
    refuse_leaks({"train": fold.train, "held out": fold.held_out})
    return fold


def refuse_leaks(parts: Mapping[str, Sequence[Polyp]]) -> None:
    """Raises UserError if a patient, a recording or a polyp is in two parts; it names them and some ids."""
    names = [name for name, polyps in parts.items() for _ in polyps]
    listed = [one for polyps in parts.values() for one in polyps]
    seen: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for group, name, one in zip(groups_of(listed), names, listed, strict=True):
        seen[group][name].append(one.id)
    torn = {group: members for group, members in seen.items() if len(members) > 1}
    if not torn:
        return
    texts = []
    for members in list(torn.values())[:_NAMED]:
        ids = {id for found in members.values() for id in found}
        of = next(
            (
                f"{kind} {value}"
                for kind in ("patient", "video")
                for one in listed
                if one.id in ids and (value := getattr(one, kind))
            ),
            f"polyp {min(ids)}",
        )
        where = "; ".join(
            f"{name} has {', '.join(found[:_NAMED])}{', ...' if len(found) > _NAMED else ''}"
            for name, found in members.items()
        )
        texts.append(f"{of}: {where}")
    more = f" and {len(torn) - _NAMED} more" if len(torn) > _NAMED else ""
    raise UserError(
        "the split leaks: what belongs to one patient, recording or polyp is in several parts: "
        + " | ".join(texts)
        + more
    )


def _dealt(polyps: Sequence[Polyp], shares: list[float], seed: int) -> list[int]:
    """The part of each polyp."""
    groups = groups_of(polyps)
    members: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    if len(members) < len(shares):
        raise UserError(
            f"{len(polyps)} polyps of {len(members)} patients or recordings cannot be split into"
            f" {len(shares)} parts: each part needs one of its own"
        )
    classes = np.array([_size_class(one) for one in polyps], np.int64)
    often = np.bincount(classes, minlength=len(_EDGES) + 2)
    order = np.random.default_rng(seed).permutation(len(members))
    shuffled = [list(members.values())[place] for place in order]
    # Groups that hold a rare class first, and large ones before small ones, while there is room for choice.
    shuffled.sort(key=lambda places: (min(often[classes[one]] for one in places), -len(places)))
    wanted = np.array(shares) / sum(shares)
    counts = np.zeros((len(shares), len(often)))
    parts = [0] * len(polyps)
    empty = set(range(len(shares)))
    for left, places in zip(range(len(shuffled), 0, -1), shuffled, strict=True):
        own = np.bincount(classes[places], minlength=len(often))
        rare = min(np.flatnonzero(own), key=lambda one: often[one])
        among = sorted(empty) if left <= len(empty) else range(len(shares))
        best = min(
            among,
            key=lambda part: (counts[part, rare] / wanted[part], counts[part].sum() / wanted[part], part),
        )
        counts[best] += own
        empty.discard(best)
        for place in places:
            parts[place] = best
    return parts


def _size_class(polyp: Polyp) -> int:
    """0 to 2 by size, 3 if unknown. A lower bound counts as the size it gives."""
    if polyp.size_mm is None:
        return len(_EDGES) + 1
    return int(polyp.size_mm > _EDGES[0]) + int(polyp.size_mm >= _EDGES[1])

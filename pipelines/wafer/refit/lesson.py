"""What a refit learns from: the reviewed maps, and the training data that is replayed with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.wafer.data import WaferMap
from pipelines.wafer.model.kinds import Kind
from pipelines.wafer.reviewed import LeftOut, Verdict, find_maps, read_review
from pipelines.wafer.rows import item_hash
from pipelines.wafer.train import read_data, split
from pipelines.wafer.train_config import TrainConfig

HELD_OUT: Final = 0.2  # share of the reviewed maps that trains nothing

Pair = tuple[WaferMap, Verdict]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """N maps with their classes int64 (N,); reviewed: bool (N,), False for those that are replayed."""

    maps: list[WaferMap]
    classes: NDArray[np.int64]
    reviewed: NDArray[np.bool_]

    def __add__(self, other: Part) -> Part:
        return Part(
            self.maps + other.maps,
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.reviewed, other.reviewed]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What there is to learn.

    labels: the classes of the old model in their order, then the new ones. train, held: the maps that train
    and those that only measure. left_out: rows of the review that cannot be learnt from; unsure: how many
    were left.
    """

    labels: tuple[str, ...]
    new_classes: tuple[str, ...]
    train: Part
    held: Part
    left_out: tuple[LeftOut, ...]
    unsure: int

    @property
    def unmeasured(self) -> list[str]:
        """Reviewed classes of which no map is held out."""
        taught = {self.labels[number] for number in self.train.classes[self.train.reviewed]}
        return sorted(taught - {self.labels[number] for number in self.held.classes})


def read_lesson(
    review: Path,
    data: Path | None,
    *,
    kind: Kind,
    old_labels: Sequence[str],
    config: TrainConfig,
    root: Path | None,
    diameter_mm: float,
    progress: Callable[[str], None],
) -> Lesson:
    """Read the review, its maps, and the training set `data`; divide them into what trains and what measures.

    A label that differs from an old class in upper and lower case only is that class. Of `data` the same maps
    are held out as in the first training; maps of it that were reviewed count as reviewed. Raises UserError.
    """
    progress(f"reading {review}")
    verdicts, left_out, unsure = read_review(review)
    found, gone = find_maps(verdicts, review, root, diameter_mm, config.limits)
    pairs, unsuitable = suitable(found, kind)
    left_out += [*gone, *unsuitable]
    if not pairs:
        first = f", such as {left_out[0].source}#{left_out[0].map}: {left_out[0].reason}" if left_out else ""
        raise UserError(
            f"{review} leaves nothing to learn: {unsure} are unsure, {len(left_out)} cannot be used{first}"
        )
    spelled = {label.casefold(): label for label in old_labels}
    names = [spelled.get(verdict.label.casefold(), verdict.label) for _, verdict in pairs]
    replay_maps, replay_names = read_data(data, progress, config.limits) if data else ([], [])
    new = sorted({*names, *replay_names} - set(old_labels))
    labels = (*old_labels, *new)
    place = {label: number for number, label in enumerate(labels)}
    items = [verdict.item for _, verdict in pairs]
    train, held = _reviewed_parts(pairs, np.array([place[name] for name in names], np.int64), items)
    if data:
        classes = np.array([place[name] for name in replay_names], np.int64)
        replay, replay_held = _replayed_parts(replay_maps, classes, labels, kind, config, set(items))
        train, held = replay + train, replay_held + held
        missing = [label for label in labels if place[label] not in train.classes]
        if missing:
            raise UserError(
                f"--data and the review have no map of {', '.join(missing)}, which the model knows"
            )
    return Lesson(labels, tuple(new), train, held, tuple(left_out), unsure)


def suitable(pairs: Sequence[Pair], kind: Kind) -> tuple[list[Pair], list[LeftOut]]:
    """The maps that a model of this kind can see, and the others with the reason."""
    if kind.name != "dies":
        return list(pairs), []
    why = "the model classifies die results, and the file does not say which dies there are"
    good = [pair for pair in pairs if pair[0].dies is not None]
    return good, [LeftOut(v.source, str(v.map), why) for wafer, v in pairs if wafer.dies is None]


def held_by_hash(items: Sequence[str], classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which maps are held out, bool (N,): by their hash, so that a later round holds out the same.

    One map of each class trains.
    """
    chance = np.array([int(item[:8], 16) / 2**32 for item in items])
    held = chance < HELD_OUT
    for number in np.unique(classes):
        of = np.flatnonzero(classes == number)
        if held[of].all():
            held[of[chance[of].argmax()]] = False
    return held


def _reviewed_parts(
    pairs: Sequence[Pair], classes: NDArray[np.int64], items: Sequence[str]
) -> tuple[Part, Part]:
    held = held_by_hash(items, classes)

    def part(chosen: NDArray[np.bool_]) -> Part:
        maps = [wafer for (wafer, _), take in zip(pairs, chosen, strict=True) if take]
        return Part(maps, classes[chosen], np.ones(len(maps), bool))

    return part(~held), part(held)


def _replayed_parts(
    maps: Sequence[WaferMap],
    classes: NDArray[np.int64],
    labels: Sequence[str],
    kind: Kind,
    config: TrainConfig,
    reviewed: Collection[str],
) -> tuple[Part, Part]:
    """The training and the held-out part of the replayed data, without maps that were reviewed."""
    if kind.name == "dies" and any(wafer.dies is None for wafer in maps):
        raise UserError("the model classifies die results, which some maps of --data do not have")
    names, numbers = np.unique(np.array(labels)[classes], return_inverse=True)
    parts = []
    for rows in split(numbers, names, config):
        kept = [int(row) for row in rows if item_hash(maps[row]) not in reviewed]
        parts.append(Part([maps[row] for row in kept], classes[kept], np.zeros(len(kept), bool)))
    return parts[0], parts[1]

"""The work of a classification: from files to rows, whichever process does it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.runner import Work
from pipelines.common.runs import Key
from pipelines.wafer import rows
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.data import FailedMap, FoundFile, Limits, SkippedFile, WaferMap, find_files, read_found
from pipelines.wafer.drawing import pack

if TYPE_CHECKING:
    from pipelines.wafer.predict import Prediction

NO_DRAWING: Final = "null"
AT_ONCE: Final = 64  # files that an actor gets at a time

Map = WaferMap | FailedMap
Part = WaferMap | FailedMap | SkippedFile


class Classifier(Protocol):
    """What classifies maps: `pipelines.wafer.predict.Predictor`."""

    def predict(self, maps: Sequence[WaferMap]) -> Sequence[Prediction]:
        """One prediction per map, in order."""

    def describe(self) -> dict[str, Any]:
        """The models, the engine and the device, as JSON holds them."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a run.

    finished: the maps of it that have a row, by their position, with the hash of each, or None if it failed.
    """

    found: FoundFile | FailedMap | SkippedFile
    finished: Mapping[int, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a map. drawing: as `drawing.pack` makes it. latent: float32 (D,), None if it has none."""

    row: rows.Row
    drawing: str
    latent: NDArray[np.float32] | None


Done = list[Made | SkippedFile]


def sources(paths: Sequence[Path], finished: Mapping[Key, str | None]) -> Iterator[Source]:
    """The files among files and folders, each once, however often it is named. Raises WaferFileError at once
    for a path that is not there.

    finished: the key of each map that has a row, with its hash.
    """
    earlier: dict[str, dict[int, str | None]] = {}
    for (path, position), item in finished.items():
        earlier.setdefault(path, {})[int(position)] = item
    return _sources(find_files(paths), {str(path) for path in paths}, earlier)


def _sources(
    files: Iterable[FoundFile | FailedMap | SkippedFile],
    named: set[str],
    earlier: Mapping[str, Mapping[int, str | None]],
) -> Iterator[Source]:
    seen: set[str] = set()
    for found in files:
        if isinstance(found, FoundFile):
            name = str(found.path)
            if name in seen:
                continue
            seen.add(name)
            if name in named:
                found = replace(found, named=True)
        else:
            name = str(found.source)
        finished = earlier.get(name, {})
        if rows.LOST not in finished.values():  # it would take its process with it again
            yield Source(found, finished)


def work_of(config: ClassifyConfig) -> Work[Source, Part, Done]:
    """What a runner is told of a classification."""
    reading = partial(read, config.diameter_mm, config.limits)
    return Work(reading, lost, partial(load, config), AT_ONCE, config.device)


def read(diameter_mm: float, limits: Limits, source: Source) -> Iterator[Part]:
    """The maps of a file that have no row yet. Raises UserError if one with a row has changed since."""
    seen: set[int] = set()
    for item in read_found(source.found, assumed_diameter_mm=diameter_mm, limits=limits):
        if isinstance(item, SkippedFile):
            yield item
        elif item.position in source.finished:
            _check_unchanged(item, source.finished[item.position])
        elif item.position not in seen:
            seen.add(item.position)
            yield item


class LostMaps(FailedMap):
    """Stands for the rest of a file whose process died."""


def lost(source: Source, taken: int, why: str) -> Part:
    """What stands for the rest of a file whose process died after `taken` of its maps."""
    path = source.found.path if isinstance(source.found, FoundFile) else source.found.source
    return LostMaps(path, taken + len(source.finished), why)


def load(config: ClassifyConfig) -> ClassifyJob:
    """Load the models that the config names. Raises UserError."""
    from pipelines.wafer.predict import Predictor

    return ClassifyJob(Predictor.of(config), config)


@dataclass(frozen=True, slots=True)
class ClassifyJob:
    """Models that were loaded once, at work on batches of maps."""

    predictor: Classifier
    config: ClassifyConfig

    def do(self, parts: Iterable[Part], /) -> Iterator[Done]:
        """The rows of the maps, batch by batch."""
        for batch in batches(iter(parts), self.config):
            maps = [item for item in batch if isinstance(item, WaferMap) and item.locatable]
            predictions = iter(_predict(maps, self.predictor))
            yield [_made(item, predictions) for item in batch]


def batches(items: Iterator[Part], config: ClassifyConfig) -> Iterator[list[Part]]:
    """Consecutive items, as many as the limits on maps and on defects allow and at least one. Files that are
    no map do not count."""
    batch: list[Part] = []
    maps = defects = 0
    for item in items:
        size = len(item.defects) if isinstance(item, WaferMap) else 0
        if batch and (maps >= config.batch_maps or defects + size > config.batch_defects):
            yield batch
            batch, maps, defects = [], 0, 0
        batch.append(item)
        maps += not isinstance(item, SkippedFile)
        defects += size
    if batch:
        yield batch


def _predict(maps: Sequence[WaferMap], predictor: Classifier) -> Sequence[Prediction | str]:
    """The prediction of each map, or the reason why it has none."""
    if not maps:
        return []
    try:
        return predictor.predict(maps)
    except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        # RuntimeError is what torch raises for want of memory too. Alone, the other maps may well pass.
        if len(maps) == 1:
            return [f"cannot be classified: {str(error) or type(error).__name__}"]
        return [result for one in maps for result in _predict([one], predictor)]


def _made(item: Part, predictions: Iterator[Prediction | str]) -> Made | SkippedFile:
    if isinstance(item, SkippedFile):
        return item
    if isinstance(item, FailedMap):
        row = rows.failed_row(item)
        return Made(row | {"item": rows.LOST} if isinstance(item, LostMaps) else row, NO_DRAWING, None)
    name, drawing = rows.item_hash(item), pack(item)
    if not item.locatable:
        return Made(rows.unplaced_row(item, name), drawing, None)
    found = next(predictions)
    if isinstance(found, str):
        return Made(rows.unpredicted_row(item, found, name), drawing, None)
    return Made(rows.ok_row(item, found, name), drawing, found.latent)


def _check_unchanged(item: Map, before: str | None) -> None:
    if before is None:
        return  # it failed, and that stands, whatever it is now
    if isinstance(item, FailedMap):
        raise UserError(f"{item.source} was read when the run began, and cannot be read now: {item.error}")
    if rows.item_hash(item) != before:
        raise UserError(
            f"{item.source} has changed since the run began; start again with --overwrite or a new folder"
        )

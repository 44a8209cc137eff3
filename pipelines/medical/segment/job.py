"""The work of a run: a case to its row and its files, whichever process does it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipelines.common.files import new_folder
from pipelines.common.runner import FAILS_ONE, Work, reason_of
from pipelines.medical.data.dicom_seg import write_dicom_seg
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.data.write import write_labels, write_map
from pipelines.medical.segment import rows
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.modality import modality_warnings
from pipelines.medical.segment.pictures import draw, write_pictures
from pipelines.medical.segment.predict import Predictor, Segmentation
from pipelines.medical.segment.reading import Ready, Todo, lost, read

MASKS, UNCERTAINTY, PICTURES, DICOM_SEG = "masks", "uncertainty", "pictures", "dicom-seg"
ENDING: Final = ".nii.gz"


@dataclass(frozen=True, slots=True)
class Segmented:
    """What came of a case. drawing: its line in the companion file."""

    row: rows.Row
    drawing: str


def work_of(config: SegmentConfig, out: Path) -> Work[Todo, Ready, Segmented]:
    """What a runner is told of a segmentation into the folder `out`."""
    return Work(partial(read, config.max_voxels), lost, partial(load, config, out), device=config.device)


def load(config: SegmentConfig, out: Path) -> SegmentJob:
    """Load the model that the config names. Raises UserError."""
    return SegmentJob(Predictor.load(config), out)


def _silent(number: int, name: str, share: float) -> None:
    pass


@dataclass(slots=True)
class SegmentJob:
    """Segments case after case. out: the run folder, to which it writes masks and pictures but no rows. tell:
    gets the number and the name of a case, and the share of it that is done, 0 to 1."""

    predictor: Predictor
    out: Path
    tell: Callable[[int, str, float], None] = field(default=_silent)

    def do(self, parts: Iterable[Ready], /) -> Iterator[Segmented]:
        """Segment cases as they are read; the files of one are there before its row."""
        for ready in parts:
            row, pictures = self._one(ready)
            done = Segmented(row | {"bytes": ready.todo.bytes}, json.dumps(pictures))
            del ready  # its volumes, before those of the next case are read
            yield done

    def _one(self, ready: Ready) -> tuple[rows.Row, dict[str, Any] | None]:
        todo, predictor = ready.todo, self.predictor
        if ready.problem:
            return self._failed(todo, ready.problem), None
        begun = time.monotonic() - ready.seconds
        told = partial(self.tell, todo.number, todo.name)
        try:
            told(0.0)
            found = predictor.predict(ready.channels, told)
        except FAILS_ONE as error:
            return self._failed(todo, reason_of(error, "segmented")), None
        first = ready.channels[0]
        try:
            notes = _write(todo, first, found, predictor, self.out)
        except OSError as error:
            return self._failed(todo, reason_of(error, "segmented")), None
        seconds = time.monotonic() - begun
        row = rows.ok_row(todo.source, todo.name, ready.channels, found, predictor.model.name, seconds)
        warnings = modality_warnings(ready.channels, predictor.plan.modality)
        row["notes"] = [*warnings, *row["notes"], *notes]
        modality = first.modality or ("" if warnings else predictor.plan.modality)
        pictures = draw(first, found.labels, predictor.names, modality=modality)
        return row, write_pictures(self.out / PICTURES, todo.name, pictures)

    def _failed(self, todo: Todo, reason: str) -> rows.Row:
        names, model = list(self.predictor.names), self.predictor.model.name
        return rows.failed_row(todo.source, todo.name, reason, names, model)


def _write(todo: Todo, like: Volume, found: Segmentation, predictor: Predictor, out: Path) -> list[str]:
    """Write the files of a case; returns what the user should know of them."""
    new_folder(out / MASKS)
    write_labels(out / MASKS / f"{todo.name}{ENDING}", found.labels, like)
    if predictor.config.uncertainty:
        new_folder(out / UNCERTAINTY)
        # In half precision every step of 1/255 stays itself, at half the memory.
        shares = found.uncertainty.astype("float16") / 255
        write_map(out / UNCERTAINTY / f"{todo.name}{ENDING}", shares, like)
    if not predictor.config.dicom_seg:
        return []
    new_folder(out / DICOM_SEG)
    try:
        file = out / DICOM_SEG / f"{todo.name}.dcm"
        write_dicom_seg(file, found.labels, like, predictor.names, predictor.model.name)
    except VolumeError as error:  # the mask itself is there
        return [f"no DICOM segmentation: {error}"]
    return []

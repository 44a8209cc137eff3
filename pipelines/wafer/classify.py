"""From files to a run folder: read, classify, write rows as they come, then the table and the report."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runs import REPORT, TABLE, RunFolder
from pipelines.common.summary import MAX_LISTED, record_of
from pipelines.wafer import report, rows
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.data import FailedMap, SkippedFile, WaferFileError, WaferMap, iter_maps
from pipelines.wafer.drawing import pack
from pipelines.wafer.latents import LatentFile

if TYPE_CHECKING:
    from pipelines.wafer.predict import Prediction

DRAWINGS = "maps.jsonl"
NO_DRAWING = "null"

Item = WaferMap | FailedMap


class Classifier(Protocol):
    """What classifies maps: `pipelines.wafer.predict.Predictor`."""

    def predict(self, maps: Sequence[WaferMap]) -> Sequence[Prediction]:
        """One prediction per map, in order."""

    def describe(self) -> dict[str, Any]:
        """The models, the engine and the device, as JSON holds them."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to. counts: as in `run.json`; skipped: files in folders that were no wafer map."""

    out: Path
    counts: dict[str, Any]
    skipped: int
    seconds: float

    @property
    def report(self) -> Path:
        return self.out / REPORT


@dataclass(slots=True)
class _Skipped:
    count: int = 0
    listed: list[dict[str, str]] = field(default_factory=list)

    def add(self, file: SkippedFile) -> None:
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append({"source": str(file.source), "reason": file.reason})


def open_run(out: Path, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    """The run folder of a classification, locked for this process."""
    return RunFolder(out, key=rows.KEY, companion=DRAWINGS, resume=resume, overwrite=overwrite)


def classify(
    paths: Sequence[Path],
    *,
    predictor: Classifier,
    out: Path,
    config: ClassifyConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> RunSummary:
    """Classify every wafer map in the files and folders `paths` into the run folder `out`.

    Rows come in the order of the input, one per map; a map that cannot be read or classified is a row
    with the status `failed` and the reason. Memory is bounded by a batch, not by the number of maps.
    Raises UserError if the folder may not be written to, if the run in it is another one (`resume`), or
    if there is no wafer map at all.
    """
    config = config or ClassifyConfig()
    started = time.monotonic()
    with (
        open_run(out, resume=resume, overwrite=overwrite) as run,
        LatentFile(out, resume=resume) as latents,
    ):
        run.begin(_record(paths, predictor, config))
        skipped = _Skipped()
        try:
            found = iter_maps(paths, assumed_diameter_mm=config.diameter_mm)
        except WaferFileError as error:
            latents.discard()
            run.discard()
            raise UserError(str(error)) from error
        items = _unfinished(found, run, skipped)
        done = len(run.finished)
        for batch in batches(items, config):
            made = [(_row(item, found), item, found) for item, found in _predict(batch, predictor)]
            latents.append((row, _latent(found)) for row, _, found in made)
            run.append([row for row, _, _ in made], [_drawing(item) for _, item, _ in made])
            new = len(run.finished) - done
            rate = new / (time.monotonic() - started)
            progress(f"{len(run.finished):,} maps, {rate:,.0f} a second, at {batch[-1].source.name}")
        if not run.finished:
            latents.discard()
            run.discard()
            raise UserError(_nothing(paths, skipped))
        progress("writing the report")
        counts, seconds = _conclude(run, config, skipped)
        return RunSummary(out, counts, skipped.count, seconds)


def batches(items: Iterator[Item], config: ClassifyConfig) -> Iterator[list[Item]]:
    """Consecutive items, as many as the limits on maps and on defects allow and at least one."""
    batch: list[Item] = []
    defects = 0
    for item in items:
        size = len(item.defects) if isinstance(item, WaferMap) else 0
        if batch and (len(batch) >= config.batch_maps or defects + size > config.batch_defects):
            yield batch
            batch, defects = [], 0
        batch.append(item)
        defects += size
    if batch:
        yield batch


def _record(paths: Sequence[Path], predictor: Classifier, config: ClassifyConfig) -> dict[str, Any]:
    description = predictor.describe()
    return record_of(
        "wafer",
        "classify",
        paths,
        config,
        model=description,
        named=config.model,
        engine=description.get("engine", config.engine),
        device=description.get("device", config.device),
    )


def _unfinished(
    items: Iterator[WaferMap | FailedMap | SkippedFile], run: RunFolder, skipped: _Skipped
) -> Iterator[Item]:
    """The items without a row yet, each once, however often its file is named."""
    earlier = dict(run.finished)
    seen: set[tuple[str, ...]] = set()
    for item in items:
        if isinstance(item, SkippedFile):
            skipped.add(item)
            continue
        key = (str(item.source), str(item.position))
        if key in earlier:
            _check_unchanged(item, earlier[key])
        elif key not in seen:
            seen.add(key)
            yield item


def _check_unchanged(item: Item, before: str | None) -> None:
    now = rows.item_hash(item) if isinstance(item, WaferMap) else None
    if now != before:
        raise UserError(
            f"{item.source} has changed since the run began; start again with --overwrite or a new folder"
        )


def _predict(batch: Sequence[Item], predictor: Classifier) -> Iterator[tuple[Item, Prediction | str | None]]:
    """Each item with its prediction, the reason why it has none, or None where none was asked for."""
    maps = [item for item in batch if isinstance(item, WaferMap) and item.locatable]
    predictions = iter(_predict_maps(maps, predictor))
    for item in batch:
        yield item, next(predictions) if isinstance(item, WaferMap) and item.locatable else None


def _predict_maps(maps: Sequence[WaferMap], predictor: Classifier) -> Sequence[Prediction | str]:
    if not maps:
        return []
    try:
        return predictor.predict(maps)
    except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        # RuntimeError is what torch raises for want of memory too. Alone, the other maps may well pass.
        if len(maps) == 1:
            return [f"cannot be classified: {str(error) or type(error).__name__}"]
        return [result for one in maps for result in _predict_maps([one], predictor)]


def _row(item: Item, prediction: Prediction | str | None) -> rows.Row:
    if isinstance(item, FailedMap):
        return rows.failed_row(item)
    item_hash = rows.item_hash(item)
    if prediction is None:
        return rows.unplaced_row(item, item_hash)
    if isinstance(prediction, str):
        return rows.unpredicted_row(item, prediction, item_hash)
    return rows.ok_row(item, prediction, item_hash)


def _latent(prediction: Prediction | str | None) -> NDArray[np.float32] | None:
    return None if prediction is None or isinstance(prediction, str) else prediction.latent


def _drawing(item: Item) -> str:
    return pack(item) if isinstance(item, WaferMap) else NO_DRAWING


def _conclude(run: RunFolder, config: ClassifyConfig, skipped: _Skipped) -> tuple[dict[str, Any], float]:
    """Write the table, the report and run.json from the rows, read back one at a time."""
    tally, sizes = rows.Tally(), array("L")
    failures: list[dict[str, Any]] = []
    alarm_on = frozenset(config.alarm_on)
    with replacing(run.path / TABLE) as file:
        table = rows.write_table(file)
        for row, drawing in run.rows():
            table.writerow(row)
            sizes.append(len(drawing))
            tally.add(row, alarm_on)
            if row["status"] != "ok" and len(failures) < MAX_LISTED:
                failures.append({name: row[name] for name in ("source", "map", "error")})
    counts = tally.counts() | {"skipped": skipped.count}
    facts = {
        "counts": counts,
        "classified_by": tally.used_models(),
        "normal_classes": sorted(tally.normal),
        "failures": failures,
        "skipped": skipped.listed,
    }
    with replacing(run.path / REPORT) as file:
        report.write(file, run.record | facts, run.rows(), sizes)
    run.finish(facts)
    return counts, run.record["seconds"]


def _nothing(paths: Sequence[Path], skipped: _Skipped) -> str:
    named = ", ".join(str(path) for path in paths)
    text = f"there is no wafer map in {named}"
    if skipped.count:
        first = skipped.listed[0]
        text += f"; {skipped.count} files are none, such as {Path(first['source']).name}: {first['reason']}"
    return text

"""From files to a run folder: read, segment, write the mask, then its row; then the table and the report."""

from __future__ import annotations

import errno
import glob
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runs import REPORT, TABLE, RunFolder
from pipelines.common.summary import MAX_LISTED, Say, record_of, silent
from pipelines.common.summary import RunSummary as Summary
from pipelines.medical.config import TASK
from pipelines.medical.data.dicom_seg import write_dicom_seg
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.data.walk import SkippedFile
from pipelines.medical.data.write import write_labels, write_map
from pipelines.medical.segment import report, rows
from pipelines.medical.segment.cases import Task, largest, list_tasks, work
from pipelines.medical.segment.memory import available_bytes, predicted_mib
from pipelines.medical.segment.modality import modality_warnings
from pipelines.medical.segment.pictures import draw, write_pictures
from pipelines.medical.segment.predict import Predictor, Segmentation
from pipelines.medical.segment.timing import Clock

MASKS, UNCERTAINTY, PICTURES, DICOM_SEG = "masks", "uncertainty", "pictures", "dicom-seg"
DRAWINGS = "pictures.jsonl"
ENDING = ".nii.gz"


@dataclass(frozen=True, slots=True)
class RunSummary(Summary):
    """Also the memory that was foreseen for the largest case, MiB."""

    memory_mib: int = 0


def segment(
    paths: Sequence[Path],
    *,
    predictor: Predictor,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    progress: Say = silent,
    note: Say = silent,
) -> RunSummary:
    """Segment every case in the files and folders `paths` into the run folder `out`.

    There is one row per case; one that cannot be read or segmented has the status `failed` and the reason.
    The mask of a case is whole before its row is written. progress: gets a line for the screen. note: gets
    what the user should know before hours of work. Raises UserError if the folder may not be written to, if
    the run in it is another one (`resume`), or if there is no case at all.
    """
    started = time.monotonic()
    progress("looking for volumes")
    tasks, skipped = list_tasks(paths, predictor.plan.channels)
    if not tasks:
        raise UserError(_nothing(paths, skipped))
    need, name = largest(tasks, predictor)
    memory = predicted_mib(need)
    note(memory_note(memory, name))
    old = _artefacts(out) if overwrite else []
    with RunFolder(out, key=rows.KEY, companion=DRAWINGS, resume=resume, overwrite=overwrite) as run:
        _remove([*old, *_left_over(out)])
        run.begin(_record(paths, predictor, memory, name))
        waiting = list(_unfinished(tasks, run, resume))
        clock = Clock([work(task) for task in waiting], len(tasks), len(tasks) - len(waiting))
        for task in waiting:
            row, pictures = _one(task, predictor, out, _teller(clock, task, progress))
            run.append([row | {"bytes": task.stored_bytes}], [json.dumps(pictures)])
            clock.next()
        progress("writing the report")
        counts = _conclude(run, predictor, skipped)
    return RunSummary(out, counts, time.monotonic() - started, memory_mib=memory)


def memory_note(memory_mib: int, name: str) -> str:
    """What is predicted, and whether the machine has it."""
    text = f"the largest case{f', {name},' if name else ''} will take about {memory_mib:,} MiB of memory"
    free = available_bytes()
    if free is not None and memory_mib * 2**20 > free:
        text += (
            f", but {free / 2**20:,.0f} MiB are free: close other programs, or lower --batch or"
            " --set memory_mib"
        )
    return text


def read_case(task: Task) -> list[Volume]:
    """The volumes of a case. Raises VolumeError."""
    return [read_volume(image) for image in task.images]


def _one(
    task: Task, predictor: Predictor, out: Path, told: Callable[[float], None]
) -> tuple[rows.Row, dict[str, Any] | None]:
    """Segment one case and write its files; its row, and what the report shows of it."""
    names, model = list(predictor.names), predictor.model.name
    if task.problem:
        return rows.failed_row(task.source, task.name, task.problem, names, model), None
    begun = time.monotonic()
    try:
        told(0.0)
        channels = read_case(task)
        found = predictor.predict(channels, told)
    except UserError as error:
        return rows.failed_row(task.source, task.name, str(error), names, model), None
    except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        # RuntimeError is what torch raises for want of memory too. The next case may well pass.
        reason = f"cannot be segmented: {str(error) or type(error).__name__}"
        return rows.failed_row(task.source, task.name, reason, names, model), None
    try:
        notes = _write(task, channels[0], found, predictor, out)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # anything else, such as a full disk, ends the run
            raise
        return rows.failed_row(task.source, task.name, "its name is too long for a file", names, model), None
    seconds = time.monotonic() - begun
    row = rows.ok_row(task.source, task.name, channels, found, model, seconds)
    warnings = modality_warnings(channels, predictor.plan.modality)
    row["notes"] = [*warnings, *row["notes"], *notes]
    modality = channels[0].modality or ("" if warnings else predictor.plan.modality)
    pictures = draw(channels[0], found.labels, predictor.names, modality=modality)
    return row, write_pictures(out / PICTURES, task.name, pictures)


def _teller(clock: Clock, task: Task, progress: Say) -> Callable[[float], None]:
    return lambda share: progress(clock.line(task.name, share))


def _write(task: Task, like: Volume, found: Segmentation, predictor: Predictor, out: Path) -> list[str]:
    """Write the files of a case; returns what the user should know of them."""
    (out / MASKS).mkdir(exist_ok=True)
    write_labels(out / MASKS / f"{task.name}{ENDING}", found.labels, like)
    if predictor.config.uncertainty:
        (out / UNCERTAINTY).mkdir(exist_ok=True)
        # In half precision every step of 1/255 stays itself, at half the memory.
        shares = found.uncertainty.astype("float16") / 255
        write_map(out / UNCERTAINTY / f"{task.name}{ENDING}", shares, like)
    if not predictor.config.dicom_seg:
        return []
    (out / DICOM_SEG).mkdir(exist_ok=True)
    try:
        file = out / DICOM_SEG / f"{task.name}.dcm"
        write_dicom_seg(file, found.labels, like, predictor.names, predictor.model.name)
    except VolumeError as error:  # the mask itself is there
        return [f"no DICOM segmentation: {error}"]
    return []


def _record(paths: Sequence[Path], predictor: Predictor, memory: int, name: str) -> dict[str, Any]:
    return {
        **record_of(
            TASK,
            "segment",
            paths,
            predictor.config,
            model=predictor.describe(),
            named=predictor.config.model,
            engine=predictor.engine,
            device=str(predictor.model.device),
        ),
        "plan": predictor.plan.model_dump(mode="json"),
        "memory": {"predicted_mib": memory, "case": name},
    }


def _unfinished(tasks: Sequence[Task], run: RunFolder, resume: bool) -> Iterator[Task]:
    """The cases without a row. Raises UserError if the files or the mask of one with a row have changed."""
    earlier = {run.key_of(row): row for row, _ in run.rows()} if resume else {}
    for task in tasks:
        row = earlier.get(task.key)
        if row is None:
            yield task
            continue
        if row.get("bytes") != task.stored_bytes:
            raise UserError(
                f"{task.source} has changed since the run began; start again with --overwrite or a new folder"
            )
        mask = run.path / MASKS / f"{task.name}{ENDING}"
        if row["status"] == "ok" and not mask.is_file():
            raise UserError(f"{mask} is gone; start again with --overwrite or a new folder")


def _conclude(run: RunFolder, predictor: Predictor, skipped: Sequence[SkippedFile]) -> dict[str, Any]:
    """Write the table, the report and run.json from the rows, read back one at a time."""
    counts = {"cases": 0, "ok": 0, "failed": 0, "skipped": len(skipped)}
    failures: list[dict[str, Any]] = []
    pairs: list[report.Pair] = []
    with replacing(run.path / TABLE) as file:
        table = rows.write_table(file, list(predictor.names))
        for row, drawing in run.rows():
            table.writerow(row)
            counts["cases"] += 1
            counts["ok" if row["status"] == "ok" else "failed"] += 1
            pairs.append((row, json.loads(drawing)))
            if row["status"] != "ok" and len(failures) < MAX_LISTED:
                failures.append({name: row[name] for name in ("source", "case", "error")})
    facts = {
        "counts": counts,
        "failures": failures,
        "skipped": [{"source": str(one.path), "reason": one.reason} for one in skipped[:MAX_LISTED]],
    }
    with replacing(run.path / REPORT) as file:
        report.write(file, run.record | facts, pairs, run.path / PICTURES)
    run.finish(facts)
    return counts


def _artefacts(out: Path) -> list[Path]:
    """The masks, maps and pictures of the run in `out`, by the names of its cases: what it wrote itself."""
    path = out / "results.jsonl"
    if not path.is_file():
        return []
    files = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            name = Path(json.loads(line)["case"]).name
        except (ValueError, LookupError, TypeError):
            continue
        files += [out / folder / f"{name}{ENDING}" for folder in (MASKS, UNCERTAINTY)]
        files.append(out / DICOM_SEG / f"{name}.dcm")
        files += (out / PICTURES).glob(f"{glob.escape(name)}-*.png")
    return files


def _left_over(out: Path) -> list[Path]:
    """Files that a run was writing when it was killed."""
    return [
        path
        for folder in (MASKS, UNCERTAINTY, PICTURES, DICOM_SEG)
        for path in (out / folder).glob(".*.new-*")
    ]


def _remove(files: Sequence[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


def _nothing(paths: Sequence[Path], skipped: Sequence[SkippedFile]) -> str:
    text = f"there is no volume in {', '.join(map(str, paths))}"
    if skipped:
        text += f"; {len(skipped)} files are none, such as {skipped[0].path.name}: {skipped[0].reason}"
    return text

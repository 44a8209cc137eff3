"""From files to a run folder: read, segment, write the mask, then its row; then the table and the report."""

from __future__ import annotations

import glob
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runner import IN_PROCESS, Runner
from pipelines.common.runner import run as compute
from pipelines.common.runs import FAILED, REPORT, TABLE, RunFolder, again, has_failed, mended
from pipelines.common.summary import MAX_LISTED, Say, record_of, silent
from pipelines.common.summary import RunSummary as Summary
from pipelines.medical.config import TASK
from pipelines.medical.data.walk import SkippedFile
from pipelines.medical.segment import report, rows
from pipelines.medical.segment.cases import Task, largest, list_tasks, work
from pipelines.medical.segment.job import (
    DICOM_SEG,
    ENDING,
    MASKS,
    PICTURES,
    UNCERTAINTY,
    SegmentJob,
    work_of,
)
from pipelines.medical.segment.memory import available_bytes, predicted_mib
from pipelines.medical.segment.predict import Predictor
from pipelines.medical.segment.reading import Todo
from pipelines.medical.segment.timing import Clock

DRAWINGS = "pictures.jsonl"
AHEAD = 4  # times a volume, in a process that reads: one that waits, its copy on the way, and one being read


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
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Say = silent,
    note: Say = silent,
    runner: Runner = IN_PROCESS,
) -> RunSummary:
    """Segment every case in the files and folders `paths` into the run folder `out`.

    There is one row per case; one that cannot be read or segmented has the status `failed` and the reason.
    The mask of a case is whole before its row is written. progress: gets a line for the screen. note: gets
    what the user should know before hours of work. retry_failed: do again what failed or lost its mask
    (`resume`). runner: where it is computed. Raises UserError if the folder may not be written to, if the run
    in it is another one (`resume`), or if there is no case at all.
    """
    started = time.monotonic()
    progress("looking for volumes")
    tasks, skipped = list_tasks(paths, predictor.plan.channels)
    if not tasks:
        raise UserError(_nothing(paths, skipped))
    runner = _usual(runner, predictor)
    need, name = largest(tasks, predictor)
    memory = predicted_mib(need + _read_ahead_bytes(tasks, runner))
    if name:  # else no header says how large a case is, as with an empty folder
        note(memory_note(memory, name))
    old = _artefacts(out) if overwrite else []
    with RunFolder(out, key=rows.KEY, companion=DRAWINGS, resume=resume, overwrite=overwrite) as run:
        _remove(old)
        there = {task.key for task in tasks}

        def is_undone(row: rows.Row) -> bool:
            return has_failed(row) or (run.key_of(row) in there and _is_lost(out, row))

        taken = run.begin(_record(paths, predictor, memory, name), is_undone if retry_failed else None)
        if retry_failed:
            note(again(taken, "failed before, or lost a mask,"))
        waiting = list(_unfinished(tasks, run, resume))
        clock = Clock([work(task) for task in waiting], len(tasks), len(tasks) - len(waiting))

        def tell(number: int, name: str, share: float) -> None:
            progress(clock.line(name, share))

        job = SegmentJob(predictor, out, tell)
        with closing(compute(work_of(predictor.config, out), _todos(waiting), job, runner)) as results:
            for result in results:
                run.append([result.row], [result.drawing])
                clock.next()
                if runner.name == "ray":
                    progress(f"{len(run.finished):,} of {len(tasks):,} cases done")
        progress("writing the report")
        counts = _conclude(run, predictor, skipped)
    return RunSummary(out, counts, time.monotonic() - started, memory_mib=memory)


def _usual(runner: Runner, predictor: Predictor) -> Runner:
    """On a CPU reading is a small part of the work and not worth the memory, if nobody asks for it."""
    if runner.name == "local" and runner.workers is None and predictor.model.device.type == "cpu":
        return replace(runner, workers=0)
    return runner


def _read_ahead_bytes(tasks: Sequence[Task], runner: Runner) -> float:
    """What cases take that wait in processes which read ahead; on a cluster there are none."""
    if runner.name != "local" or not runner.workers:
        return 0.0
    stored = (math.prod(task.sizes.shape) * task.sizes.item_bytes for task in tasks if task.sizes)
    return AHEAD * runner.workers * max(stored, default=0.0)


def memory_note(memory_mib: int, name: str) -> str:
    """What is predicted, and whether the machine has it."""
    text = f"the largest case, {name}, will take about {memory_mib:,} MiB of memory"
    free = available_bytes()
    if free is not None and memory_mib * 2**20 > free:
        text += (
            f", but {free / 2**20:,.0f} MiB are free: close other programs, or lower --batch or"
            " --set memory_mib"
        )
    return text


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
        if row["status"] == FAILED:
            continue  # that stands, whatever the files are now
        if row.get("bytes") != task.stored_bytes:
            raise UserError(
                f"{task.source} has changed since the run began; start again with --overwrite or a new folder"
            )
        if not _mask(run.path, row).is_file():
            raise UserError(f"{_mask(run.path, row)} is gone; {mended(_is_lost(run.path, row))}")


def _is_lost(out: Path, row: rows.Row) -> bool:
    """Whether the mask of a segmented case is gone, and not the folder of all, as a disk that is away."""
    return not _mask(out, row).is_file() and (out / MASKS).is_dir()


def _mask(out: Path, row: rows.Row) -> Path:
    return out / MASKS / f"{Path(row['case']).name}{ENDING}"


def _todos(tasks: Sequence[Task]) -> Iterator[Todo]:
    for number, task in enumerate(tasks):
        yield Todo(task.source, task.name, task.images, task.problem, number, task.stored_bytes)


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


def _remove(files: Sequence[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


def _nothing(paths: Sequence[Path], skipped: Sequence[SkippedFile]) -> str:
    text = f"there is no volume in {', '.join(map(str, paths))}"
    if skipped:
        text += f"; {len(skipped)} files are none, such as {skipped[0].path.name}: {skipped[0].reason}"
    return text

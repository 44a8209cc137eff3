"""From frames to a run folder: a row per polyp with its frames and pictures, then tables and the report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runner import IN_PROCESS, Runner
from pipelines.common.runner import run as compute
from pipelines.common.runs import REPORT, TABLE, RunFolder, again, has_failed
from pipelines.common.summary import MAX_LISTED, RunSummary, Say, record_of, silent, teller
from pipelines.polyp.config import TASK
from pipelines.polyp.size import report, rows
from pipelines.polyp.size.config import PredictConfig, SizeConfig
from pipelines.polyp.size.items import Inputs, Item, list_items
from pipelines.polyp.size.job import OVERLAYS, SizeJob, todos, work_of
from pipelines.polyp.size.marks import read_marks
from pipelines.polyp.size.predict import Predictor
from pipelines.polyp.size.scores import scores_of

COMPANION: Final = "frames.jsonl"
FRAMES: Final = "frames.csv"
SCORES: Final = "metrics.json"  # of an evaluation


def size(
    paths: Sequence[Path],
    *,
    predictor: Predictor,
    config: SizeConfig,
    out: Path,
    resume: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Say = silent,
    note: Say = silent,
    runner: Runner = IN_PROCESS,
) -> RunSummary:
    """Size every polyp among data sets, folders, images and videos.

    There is one row per polyp in the run folder `out`; one that cannot be opened, or in which no lesion is
    marked, or no frame of which can be read, has the status `failed` and the reason; one of which the model
    says no size, or of which no frame can be used, has a `reason`.

    progress: gets a line for the screen. note: gets what the user should know. retry_failed: do again what
    failed (`resume`). runner: where it is computed.
    Raises UserError if the folder may not be written to, if the run in it is another one (`resume`), if there
    is nothing to size, or nobody says where lesions are.
    """
    progress("looking for polyps")
    inputs = find(paths, predictor, config)
    for text in [*about_the_model(predictor), *inputs.notes]:
        note(text)
    return size_items(
        inputs,
        predictor=predictor,
        record=record_for("size", paths, predictor, config),
        marks=marks_of(config),
        out=out,
        resume=resume,
        retry_failed=retry_failed,
        overwrite=overwrite,
        progress=progress,
        note=note,
        runner=runner,
    )


def find(paths: Sequence[Path], predictor: Predictor, config: SizeConfig) -> Inputs:
    """The polyps of a run. Raises UserError; see `size`."""
    inputs = list_items(paths, read_marks(config.boxes, config.masks), config.layout)
    if not inputs.items:
        text = f"there is no polyp, no image and no video in {', '.join(map(str, paths))}"
        raise UserError(
            text + (f"; {inputs.skipped[0][0]}: {inputs.skipped[0][1]}" if inputs.skipped else "")
        )
    if predictor.finder is None and not any(item.labelled for item in inputs.items):
        raise UserError(
            "nothing says where the lesions are: give --boxes (a CSV or a folder of VOC annotations), --masks"
            " (a folder of images), or --finder with a model that finds them"
        )
    if predictor.finder is None and config.ignore_labels:
        raise UserError("ignore_labels needs a model that finds lesions: name one with --finder")
    return inputs


def marks_of(config: SizeConfig) -> str:
    """Where boxes come from, unless a finder looks for them."""
    return "boxes" if config.boxes is not None else "masks" if config.masks is not None else "labels"


def size_items(
    inputs: Inputs,
    *,
    predictor: Predictor,
    record: dict[str, Any],
    marks: str,
    out: Path,
    resume: bool,
    overwrite: bool,
    progress: Say,
    retry_failed: bool = False,
    note: Say = silent,
    keep_trained: bool = False,
    runner: Runner = IN_PROCESS,
) -> RunSummary:
    """Size the polyps of `inputs` into the run folder `out`.

    Where sizes are known, scores go into `run.json`. record: of `record_for`. marks: of `marks_of`.
    keep_trained: polyps that the model was trained on count in the scores. runner: where it is computed.
    """
    started = time.monotonic()
    with RunFolder(out, key=rows.KEY, companion=COMPANION, resume=resume, overwrite=overwrite) as run:
        if overwrite:
            _remove(out)
        taken = run.begin(record, has_failed if retry_failed else None)
        if retry_failed:
            note(again(taken))

        def tell(number: int, name: str, share: float) -> None:
            teller(progress, number, len(inputs.items), name)(share)

        job = SizeJob(predictor, marks, out, tell)
        if resume:
            _check_unchanged(run, inputs.items, job)
        waiting = todos(inputs.items, frozenset(run.finished))
        with closing(compute(work_of(job, out), waiting, job, runner)) as results:
            for result in results:
                run.append([result.row], [result.companion])
                if runner.name == "ray":
                    progress(f"{len(run.finished):,} of {len(inputs.items):,} done")
        progress("writing the report")
        counts = _conclude(run, inputs, predictor, keep_trained)
    return RunSummary(out, counts, time.monotonic() - started)


def record_for(
    verb: str, paths: Sequence[Path], predictor: Predictor, config: PredictConfig
) -> dict[str, Any]:
    """What `run.json` says of a run when it begins."""
    return record_of(
        TASK,
        verb,
        paths,
        config,
        model=predictor.describe(),
        named=config.model,
        engine=predictor.engine,
        device=str(predictor.model.device),
    )


def about_the_model(predictor: Predictor) -> list[str]:
    """What the user should know of the model before its sizes."""
    name = predictor.model.name
    notes = [f"{name} was trained on {predictor.data}; for research, not a medical device"]
    if not predictor.model.calibration:
        notes.append(f"{name} was not calibrated, so its sizes have no interval (low and high stay empty)")
    if predictor.camera is not None and not predictor.knows_cameras:
        notes.append(f"{name} never saw a calibrated frame in its training, so --calibration changes nothing")
    return notes


def _check_unchanged(run: RunFolder, items: Sequence[Item], job: SizeJob) -> None:
    """Raises UserError if the frames of a polyp with a row have changed since, or the polyp is gone."""
    known = {(item.source, item.polyp.id): item for item in items}
    for row, _ in run.rows():
        item = known.get((row["source"], row["polyp"]))
        if item is None or row["name"] != item.name:
            raise UserError(
                f"other polyps are there than when the run began ({row['polyp']} of {row['source']}); start"
                " again with --overwrite or a new folder"
            )
        if row["status"] == "ok" and row["item"] != job.fingerprint(item):
            raise UserError(
                f"the frames or boxes of {row['polyp']} of {row['source']} have changed since the run began;"
                " start again with --overwrite or a new folder"
            )


def _conclude(run: RunFolder, inputs: Inputs, predictor: Predictor, keep_trained: bool) -> dict[str, int]:
    """Write the tables, the report and run.json from the rows, read back one at a time."""
    counts = {"rows": 0, "ok": 0, "abstained": 0, "indeterminate": 0, "failed": 0}
    counts["skipped"] = len(inputs.skipped)
    failures: list[dict[str, Any]] = []
    with replacing(run.path / TABLE) as file, replacing(run.path / FRAMES) as frames_file:
        table, frames = rows.Table(file), rows.FrameTable(frames_file)
        for row, line in run.rows():
            table.write(row)
            frames.write(row, json.loads(line)["frames"])
            counts["rows"] += 1
            counts["ok" if row["status"] == "ok" else "failed"] += 1
            counts["abstained"] += row["decision"] == rows.ABSTAINED
            counts["indeterminate"] += row["decision"] == "indeterminate"
            if row["status"] != "ok" and len(failures) < MAX_LISTED:
                failures.append({name: row[name] for name in ("source", "polyp", "error")})
    facts: dict[str, Any] = {
        "counts": counts,
        "failures": failures,
        "skipped": [{"source": path, "reason": why} for path, why in inputs.skipped[:MAX_LISTED]],
        "notes": inputs.notes[:MAX_LISTED],
        "gates": predictor.gates(),
        "scores": scores_of(
            run.rows(), predictor.median_mm, predictor.config.confidence, keep_trained=keep_trained
        ),
    }
    with replacing(run.path / REPORT) as file:
        report.write(file, run.record | facts, run.rows(), run.path)
    run.finish(facts)
    return counts


def _remove(out: Path) -> None:
    """What an earlier run wrote beside its rows."""
    shutil.rmtree(out / OVERLAYS, ignore_errors=True)
    for name in (FRAMES, SCORES):
        (out / name).unlink(missing_ok=True)

"""From files to a run folder: read, count, write map and picture, then the row; then the table and report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runner import IN_PROCESS, Runner
from pipelines.common.runner import run as compute
from pipelines.common.runs import FAILED, REPORT, ROWS, TABLE, RunFolder, again, has_failed, mended
from pipelines.common.summary import MAX_LISTED, RunSummary, Say, record_of, silent, teller
from pipelines.crowd.config import TASK
from pipelines.crowd.count import report, rows
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.files import COMPANION, MAPS, ZONES, files_of
from pipelines.crowd.count.items import Item, list_items
from pipelines.crowd.count.job import CountJob, Watched, check, todos, work_of
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.data.inputs import SkippedFile


def count(
    paths: Sequence[Path],
    *,
    predictor: Predictor,
    config: CountConfig,
    out: Path,
    resume: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Say = silent,
    note: Say = silent,
    runner: Runner = IN_PROCESS,
) -> RunSummary:
    """Count people in every image and in the frames of every video among the files and folders `paths`.

    There is one row per image or frame in the run folder `out`; one that cannot be read or counted has the
    status `failed` and the reason. The map of an image is whole before its row is written. progress: gets a
    line for the screen. note: gets what the user should know. retry_failed: do again what failed or lost its
    map (`resume`). runner: where it is computed. Raises UserError if the folder may not be written to, if the
    run in it is another one (`resume`), if zones or ground are wrong for any image, or if there is nothing to
    count.
    """
    started = time.monotonic()
    scene = check(predictor, config)
    progress("looking for images and videos")
    items, skipped = list_items(paths)
    if not items:
        raise UserError(_nothing(paths, skipped))
    for text in about_the_model(predictor, config):
        note(text)
    # Read now: it may be the copy in the very folder that is overwritten.
    zones = config.zones.read_bytes() if config.zones is not None else b""
    old = _artefacts(out) if overwrite else []
    with RunFolder(out, key=rows.KEY, companion=COMPANION, resume=resume, overwrite=overwrite) as run:
        _remove(old)
        there = {str(item.source) for item in items}

        def is_undone(row: rows.Row) -> bool:
            return has_failed(row) or (row["source"] in there and _is_lost(out, row))

        record = record_of(
            TASK,
            "count",
            paths,
            config,
            model=predictor.describe(),
            named=config.model,
            engine=predictor.engine,
            device=str(predictor.model.device),
        )
        taken = run.begin(record, is_undone if retry_failed else None)
        if retry_failed:
            note(again(taken, "failed before, or lost a map,"))
        if zones:
            (out / ZONES).write_bytes(zones)
        if resume:
            _check_unchanged(run, items)
        videos: list[dict[str, Any]] = []

        def tell(number: int, name: str, share: float) -> None:
            teller(progress, number, len(items), name)(share)

        job = CountJob(predictor, config, scene, out, tell)
        with closing(compute(work_of(config, out), todos(items, run), job, runner)) as results:
            for result in results:
                if isinstance(result, Watched):
                    videos.append(result.facts)
                    continue
                run.append([result.row], [json.dumps(result.files)])
                if runner.name == "ray":
                    progress(f"{len(run.finished):,} images and frames done")
        progress("writing the report")
        counts = _conclude(run, items, skipped, videos)
    notes = [f"{one['source']}: {text}" for one in videos for text in one["notes"]]
    return RunSummary(out, counts, time.monotonic() - started, notes)


def about_the_model(predictor: Predictor, config: CountConfig) -> list[str]:
    """What the user should know of the model before its counts."""
    notes = []
    if not predictor.describe()["intervals"]:
        notes.append(
            f"the model {predictor.model.name} was not calibrated, so its counts have no interval (low and"
            " high stay empty)"
        )
    return notes


def _check_unchanged(run: RunFolder, items: Sequence[Item]) -> None:
    """Raises UserError if a file or the map of an item with a row has changed since, or its files' name."""
    known = {str(item.source): item for item in items}
    for row, _ in run.rows():
        item = known.get(row["source"])
        if item is None or row["name"] != item.name:
            raise UserError(
                f"other files are there than when the run began ({row['source']}); start again with"
                " --overwrite or a new folder"
            )
        if row["status"] == FAILED:
            continue  # that stands, whatever the file is now
        if row["bytes"] != item.stored_bytes:
            raise UserError(
                f"{item.source} has changed since the run began; start again with --overwrite or a new folder"
            )
        path = files_of(run.path, row)[0]
        if not path.is_file():
            raise UserError(f"{path} is gone; {mended(_is_lost(run.path, row))}")


def _is_lost(out: Path, row: rows.Row) -> bool:
    """Whether the map of an image or frame is gone, and not the folder of all, as a disk that is away."""
    return not files_of(out, row)[0].is_file() and (out / MAPS).is_dir()


def _conclude(
    run: RunFolder, items: Sequence[Item], skipped: Sequence[SkippedFile], videos: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Write the table, the report and run.json: rows in the order of the items, frames in that of time."""
    counts = {"rows": 0, "ok": 0, "failed": 0, "skipped": len(skipped)}
    failures: list[dict[str, Any]] = []
    numbers = {str(item.source): number for number, item in enumerate(items)}
    # What failed and was done again, and what a cluster did, is kept in the order in which it was done.
    listed = sorted(
        (row for row, _ in run.rows()),
        key=lambda row: (numbers[row["source"]], row["frame"] is None, row["frame"] or 0),
    )
    with replacing(run.path / TABLE) as file:
        table = rows.Table(file)
        for row in listed:
            table.write(row)
            counts["rows"] += 1
            counts["ok" if row["status"] == "ok" else "failed"] += 1
            if row["status"] != "ok" and len(failures) < MAX_LISTED:
                failures.append({name: row[name] for name in ("source", "frame", "error")})
    facts = {
        "counts": counts,
        "failures": failures,
        "videos": list(videos),
        "skipped": [{"source": str(one.path), "reason": one.reason} for one in skipped[:MAX_LISTED]],
    }
    with replacing(run.path / REPORT) as file:
        report.write(file, run.record | facts, listed, run.path)
    run.finish(facts)
    return counts


def _artefacts(out: Path) -> list[Path]:
    """The files of the run in `out`, by the names in its rows: what it wrote itself."""
    path = out / ROWS
    if not path.is_file():
        return []
    files = [out / ZONES]
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            files += files_of(out, json.loads(line))
        except (ValueError, LookupError, TypeError):
            continue
    return files


def _remove(files: Sequence[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


def _nothing(paths: Sequence[Path], skipped: Sequence[SkippedFile]) -> str:
    text = f"there is no image and no video in {', '.join(map(str, paths))}"
    others = [one for one in skipped if not one.named]
    if others:
        text += f"; {len(others)} files are none, such as {others[0].path.name}: {others[0].reason}"
    return text

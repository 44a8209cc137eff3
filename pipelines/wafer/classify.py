"""From files to a run folder: read, classify, write rows as they come, then the table and the report."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runner import IN_PROCESS, Runner
from pipelines.common.runner import run as compute
from pipelines.common.runs import REPORT, TABLE, RunFolder, again, has_failed
from pipelines.common.summary import MAX_LISTED, Say, record_of, silent
from pipelines.wafer import report, rows
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.data import SkippedFile, WaferFileError
from pipelines.wafer.job import Classifier, ClassifyJob, Made, sources, work_of
from pipelines.wafer.latents import LatentFile

DRAWINGS = "maps.jsonl"


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
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Say = silent,
    note: Say = silent,
    runner: Runner = IN_PROCESS,
) -> RunSummary:
    """Classify every wafer map in the files and folders `paths` into the run folder `out`.

    Rows come in the order of the input, one per map; a map that cannot be read or classified is a row
    with the status `failed` and the reason. Memory is bounded by a batch, not by the number of maps.
    retry_failed: do again what failed (`resume`). note: gets how much that is. runner: where it is computed;
    the rows are the same everywhere. Raises UserError if the folder may not be written to, if the run in it
    is another one (`resume`), or if there is no wafer map at all.
    """
    config = config or ClassifyConfig()
    started = time.monotonic()
    with (
        open_run(out, resume=resume, overwrite=overwrite) as run,
        LatentFile(out, resume=resume) as latents,
    ):
        taken = run.begin(_record(paths, predictor, config), has_failed if retry_failed else None)
        if retry_failed:
            note(again(taken))
        progress("looking for wafer maps")
        skipped = _Skipped()
        try:
            found = sources(paths, run.finished)
        except WaferFileError as error:
            latents.discard()
            run.discard()
            raise UserError(str(error)) from error
        done, job = len(run.finished), ClassifyJob(predictor, config)
        with closing(compute(work_of(config), found, job, runner)) as results:
            for result in results:
                made = [one for one in result if isinstance(one, Made)]
                for one in result:
                    if isinstance(one, SkippedFile):
                        skipped.add(one)
                latents.append((one.row, one.latent) for one in made)
                run.append([one.row for one in made], [one.drawing for one in made])
                new = len(run.finished) - done
                rate = new / (time.monotonic() - started)
                at = Path(made[-1].row["source"]).name if made else ""
                progress(f"{len(run.finished):,} maps, {rate:,.0f} a second, at {at}")
        if not run.finished:
            latents.discard()
            run.discard()
            raise UserError(_nothing(paths, skipped))
        progress("writing the report")
        counts, seconds = _conclude(run, config, skipped)
        return RunSummary(out, counts, skipped.count, seconds)


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

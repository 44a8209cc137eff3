"""From pictures to a run folder: one row per picture, then the table and the report."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.pages import template
from pipelines.common.runner import IN_PROCESS, Runner, Work
from pipelines.common.runner import run as compute
from pipelines.common.runs import REPORT, TABLE, RunFolder
from pipelines.common.summary import RunSummary, Say, record_of, silent
from pipelines.common.tables import Table
from pipelines.digits.config import PICTURES, TASK, ClassifyConfig
from pipelines.digits.data import find_pictures
from pipelines.digits.predict import Predictor
from pipelines.digits.reading import Read, lost, read

COLUMNS: Final = ("source", "digit", "probability", "item", "status", "error")
BATCH: Final = 64
TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Job:
    """The loaded model at work: pictures in, rows and companion lines out, batch by batch."""

    predictor: Predictor

    def do(self, parts: Iterable[Read], /) -> Iterator[tuple[dict[str, Any], str]]:
        waiting: list[Read] = []
        for one in parts:
            waiting.append(one)
            if len(waiting) == BATCH:
                yield from self._rows(waiting)
                waiting = []
        if waiting:
            yield from self._rows(waiting)

    def _rows(self, read: Sequence[Read]) -> Iterator[tuple[dict[str, Any], str]]:
        pictures = [one.picture for one in read if one.picture is not None]
        chances = iter(self.predictor.probabilities(pictures)) if pictures else iter(())
        for one in read:
            row = dict.fromkeys(COLUMNS) | {"source": str(one.path), "status": "failed", "error": one.error}
            if one.picture is None:
                yield row, "[]"
                continue
            chance = next(chances)
            best = int(chance.argmax())
            row |= {
                "digit": self.predictor.labels[best],
                "probability": round(float(chance[best]), 4),
                "item": one.picture.hash,
                "status": "ok",
                "error": "",
            }
            yield row, json.dumps(one.picture.sites.tolist())


def classify(
    paths: Sequence[Path],
    *,
    predictor: Predictor,
    config: ClassifyConfig,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    progress: Say = silent,
    runner: Runner = IN_PROCESS,
) -> RunSummary:
    """Classify every picture among the files and folders `paths` into the run folder `out`.

    A picture that cannot be read is a row with the status `failed` and the reason. Raises UserError if there
    is nothing to classify, or the folder may not be written to.
    """
    started = time.monotonic()
    found = find_pictures(paths)
    if not found:
        raise UserError("there is no picture (.csv) among the inputs")
    with RunFolder(out, key=("source",), companion=PICTURES, resume=resume, overwrite=overwrite) as run:
        run.begin(
            record_of(
                TASK,
                "classify",
                paths,
                config,
                model=predictor.about,
                named=config.model,
                engine=predictor.engine.__name__.rpartition(".")[2],
                device=str(predictor.device),
            )
        )
        left = [path for path in found if (str(path),) not in run.finished]
        work = Work(read, lost, lambda: Job(predictor), BATCH)
        with closing(compute(work, left, Job(predictor), runner)) as results:
            for row, sites in results:
                run.append([row], [sites])
                progress(f"{len(run.finished):,} of {len(found):,} pictures")
        counts = _conclude(run)
    return RunSummary(out, counts, time.monotonic() - started)


def _conclude(run: RunFolder) -> dict[str, Any]:
    rows = [row for row, _ in run.rows()]
    ok = sum(row["status"] == "ok" for row in rows)
    counts = {"rows": len(rows), "ok": ok, "failed": len(rows) - ok}
    with replacing(run.path / TABLE) as file:
        Table(file, COLUMNS).writerows(rows)
    run.finish({"counts": counts})
    with replacing(run.path / REPORT) as file:
        page = template(TEMPLATES, "classify.html.j2")
        file.writelines(page.generate({"record": run.record, "rows": rows}))
    return counts

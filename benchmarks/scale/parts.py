"""Where the time goes: seconds of each part of the work on a map, one after the other in this process."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import Row, Section
from pipelines.common.runner import Work
from pipelines.common.runner.ahead import read_ahead
from pipelines.wafer import job
from pipelines.wafer.classify import classify, open_run
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.latents import LatentFile
from pipelines.wafer.predict import Predictor

CONFIG = ClassifyConfig(device="cpu")


def measure(folder: Path, scratch: Path) -> Section:
    """Microseconds per map of finding files, reading them, handing them from process to process, the model
    with its rows, appending the rows, and the table and report at the end. The summary has those of cores."""
    work = job.work_of(CONFIG)
    found: dict[str, Spent] = {}
    found["find files"], files = _timed(lambda: list(job.sources([folder], {})))
    found["read"], parts = _timed(lambda: [part for one in files for part in work.read(one)])
    found["hand to another process"] = _handing(work, parts)
    model = job.ClassifyJob(Predictor.of(CONFIG), CONFIG)
    list(model.do(parts[:64]))  # warm
    found["model and rows"], made = _timed(lambda: list(model.do(parts)))
    found["append rows"], _ = _timed(lambda: _append(made, scratch / "append"))
    found["table and report"] = _ending(folder, scratch / "end")
    count = len(parts)
    rows: list[Row] = [
        {
            "part": name,
            "maps": count,
            "cpu_us_per_map": 1e6 * spent.cpu / count,
            "wall_us_per_map": 1e6 * spent.wall / count,
        }
        for name, spent in found.items()
    ]
    summary = {f"us_{name.replace(' ', '_')}": 1e6 * spent.cpu / count for name, spent in found.items()}
    summary["bytes_per_map_in_run_folder"] = _size(scratch / "end") / count
    return Section(rows, summary)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds: of this process's cores, which others on the machine do not touch, and of the clock."""

    cpu: float
    wall: float


class _Watch:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def spent(self) -> Spent:
        return Spent(time.process_time() - self._cpu, time.perf_counter() - self._wall)


def _timed(call: Callable[[], Any]) -> tuple[Spent, Any]:
    watch = _Watch()
    found = call()
    return watch.spent(), found


def _handing(work: Work[Any, Any, Any], parts: list[Any]) -> Spent:
    """What the process with the model spends on taking maps that another one has read already."""
    whole = Work(_held, work.lost, work.load)
    with closing(read_ahead(whole, [parts[:1], parts], 1)) as found:
        next(found)
        return _timed(lambda: sum(1 for _ in found))[0]


def _held(parts: Iterable[Any]) -> Iterator[Any]:
    yield from parts


def _append(made: list[job.Done], out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    with open_run(out) as run, LatentFile(out, resume=False) as latents:
        run.begin({"task": "wafer"})
        for batch in made:
            done = [one for one in batch if isinstance(one, job.Made)]
            latents.append((one.row, one.latent) for one in done)
            run.append([one.row for one in done], [one.drawing for one in done])
        run.finish({})


def _ending(folder: Path, out: Path) -> Spent:
    """From the last row to the end of a run."""
    shutil.rmtree(out, ignore_errors=True)
    marks: list[_Watch] = []

    def progress(text: str) -> None:
        if text == "writing the report":
            marks.append(_Watch())

    classify([folder], predictor=Predictor.of(CONFIG), out=out, config=CONFIG, progress=progress)
    return marks[0].spent()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

"""Inputs that vanish or change while a run goes on, and inputs that nobody may write to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crash.tasks import TASKS
from pipelines.common.summary import RunSummary
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.predict import Predictor as Counter
from pipelines.crowd.count.run import count
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.predict import Predictor as Segmenter
from pipelines.medical.segment.run import segment
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.predict import Predictor as Sizer
from pipelines.polyp.size.run import size
from pipelines.wafer.classify import RunSummary as WaferSummary
from pipelines.wafer.classify import classify
from pipelines.wafer.config import ClassifyConfig
from tests.pipelines.wafer.double import Double
from tests.pipelines.wafer.test_classify import write_maps

Say = Callable[[str], None]
Summary = RunSummary | WaferSummary


def run(task: str, folder: Path, out: Path, progress: Say = lambda text: None) -> Summary:
    """A run of a task with the inputs and the model of the harness."""
    inputs, model = [folder / "in"], str(folder / "model")
    if task == "crowd":
        counting = CountConfig(device="cpu")
        return count(inputs, predictor=Counter.load(counting), config=counting, out=out, progress=progress)
    if task == "medical":
        segmenting = SegmentConfig(model=model, device="cpu")
        return segment(inputs, predictor=Segmenter.load(segmenting), out=out, progress=progress)
    if task == "polyp":
        sizing = SizeConfig(model=model, finder="none", device="cpu")
        return size(inputs, predictor=Sizer.load(sizing), config=sizing, out=out, progress=progress)
    config = ClassifyConfig(batch_maps=2)
    return classify(inputs, predictor=Double(), config=config, out=out, progress=progress)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def vanish(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


LAST = {
    "crowd": ["image4.png", "video.avi"],
    "medical": ["case4.nii.gz"],
    "polyp": ["polyp6_0.png", "polyp6_1.png"],
    "wafer": ["c.npz"],
}


@pytest.fixture(scope="module", params=TASKS)
def given(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A task, and a folder with its inputs."""
    folder = tmp_path_factory.mktemp("given") / request.param
    if request.param == "wafer":
        for name in "abc":
            write_maps(folder / "in" / f"{name}.npz", [3, 18])
    else:
        TASKS[request.param].write_inputs(folder)
    return request.param, folder


@pytest.mark.parametrize("harm", [vanish, cut, become_a_folder])
def test_what_is_gone_or_damaged_when_its_turn_comes_fails_alone(
    harm: Callable[[Path], None], given: tuple[str, Path], tmp_path: Path
) -> None:
    task, folder = given
    before = {name: (folder / "in" / name).read_bytes() for name in LAST[task]}
    harmed: list[Path] = []

    def progress(text: str) -> None:
        if not harmed and ("0%" in text or "a second" in text):  # the first item is at work
            harmed.extend(folder / "in" / name for name in before)
            for path in harmed:
                harm(path)

    try:
        run(task, folder, tmp_path / "run", progress)
    finally:
        for path in harmed:
            if path.is_dir():
                path.rmdir()
            path.write_bytes(before[path.name])
    assert harmed
    rows = rows_of(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "finished"
    assert all(row["error"] for row in rows if row["status"] != "ok")
    if task == "polyp":  # whose row names the polyp, not one of its frames
        last = rows[-1]["polyp"]
        assert {row["polyp"] for row in rows if row["status"] != "ok"} == {"polyp3", last}
        return
    bad = [row["source"] for row in rows if row["status"] != "ok"]
    bad += [one["source"] for one in record["skipped"]]  # what is left of a map may be none
    known = {"image2b.png", "case2b.nii.gz"}
    assert sorted(Path(one).name for one in bad if Path(one).name not in known) == sorted(before)


def test_inputs_are_only_read(given: tuple[str, Path], tmp_path: Path) -> None:
    task, folder = given
    before = listing(folder)
    with read_only(folder):
        summary = run(task, folder, tmp_path / "run")
    assert summary.counts["ok"] >= 5
    assert listing(folder) == before


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that cannot be written to, not by root either."""
    paths = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode & 0o555)
    is_root = os.geteuid() == 0
    if is_root:
        place = str(folder)
        for words in (["--bind", place, place], ["-o", "remount,bind,ro", place]):
            done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"root may write everywhere, and nothing can be mounted here: {done.stderr}")
    try:
        with pytest.raises(OSError):
            (folder / "in" / "new").write_text("")
        yield
    finally:
        if is_root:
            subprocess.run(["umount", str(folder)], check=True)
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)

"""The whole benchmark on next to nothing: what the JSON holds, and what the command refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.medical_segment.__main__ import main
from benchmarks.medical_segment.contestants import CONTESTANTS
from benchmarks.medical_segment.run import Settings, run
from tests.benchmarks.medical_segment.patients import write_patients


@pytest.mark.slow
def test_one_run_measures_every_contestant_and_keeps_what_it_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_patients(tmp_path / "data")
    settings = Settings(
        data, tmp_path / "f.json", quick=True, parts=("volumes", "stages", "break_even"), cache=tmp_path
    )
    threads = torch.get_num_threads()
    try:
        report = run(settings)
        assert json.loads(settings.target.read_text()) == report
        kept = sorted((tmp_path / ".cache").rglob("*.safetensors"))
        times = [path.stat().st_mtime_ns for path in kept]
        again = run(settings)
    finally:
        torch.set_num_threads(threads)
    means = {row["contestant"]: row for row in report["rows"] if row["section"] == "means"}
    assert means.keys() == CONTESTANTS.keys()
    assert all(row["seconds"] > 0 and 0 <= row["dice"] <= 1 for row in means.values())
    stages = [row for row in report["rows"] if row["section"] == "stages"]
    assert stages[-1]["stage"] == "whole" and stages[-1]["seconds"] > 0
    assert sum(row["seconds"] for row in stages[:-1]) == pytest.approx(stages[-1]["seconds"], rel=0.5)
    assert {"break_even_training_bfloat16", "sparse_over_dense", "dice_points_sparse_minus_dense"} <= set(
        report["summary"]
    )
    assert [path.stat().st_mtime_ns for path in kept] == times, "it was trained again"
    assert {key: again["summary"][key] for key in again["summary"] if key.startswith("dice")} == {
        key: report["summary"][key] for key in report["summary"] if key.startswith("dice")
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--folds", "9"], "must be 0 to 1"),
        (["--threads", "0"], "at least 1"),
        (["--parts", "nothing"], "invalid choice"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path,
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = write_patients(tmp_path / "data")
    monkeypatch.setattr("benchmarks.cache.ROOT", tmp_path)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit) as ended:
        main(["--json", str(tmp_path / "f.json"), "--data", str(data), *options])
    torch.set_num_threads(threads)
    assert ended.value.code == 2 and said in capsys.readouterr().err

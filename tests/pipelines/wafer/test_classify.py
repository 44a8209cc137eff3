from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.wafer.classify import classify
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.data import FailedMap, WaferMap
from pipelines.wafer.job import batches
from tests.pipelines.wafer.double import Double

HEADER = (
    "source,map,lot,wafer,slot,step,tool,diameter_mm,defects,class,probability,novelty,threshold,decision,"
    "model,status,error"
)


def disc(count: int) -> NDArray[np.float32]:
    angle = np.arange(count) * 2.4
    radius = 140 * np.sqrt((np.arange(count) + 0.5) / max(count, 1))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


def write_maps(path: Path, counts: list[int], lot: str = "L1") -> Path:
    """A file of maps with these numbers of defects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        defects=np.concatenate([disc(count) for count in counts]),
        offsets=np.cumsum([0, *counts[:-1]]),
        counts=np.array(counts),
        diameter_mm=np.full(len(counts), 300, np.float32),
        lot=np.array([lot] * len(counts)),
        wafer=np.array([f"W{number}" for number in range(len(counts))]),
    )
    return path


def write_unplaced(path: Path, count: int, placed: int = 0) -> Path:
    """An inspection file of `count` defects without a position and of `placed` with one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f" {number} NA NA" for number in range(count)]
    rows += [f" {number} {1000 * number} 2000" for number in range(count, count + placed)]
    path.write_text(
        'FileVersion 1 2;\nLotID "L9";\nWaferID "W9";\nSampleSize 1 300;\nDiePitch 10000 10000;\n'
        "SampleCenterLocation 0 0;\nDefectRecordSpec 3 DEFECTID XREL YREL ;\n"
        f"DefectList\n{chr(10).join(rows)};\nEndOfFile;\n"
    )
    return path


def read_rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def read_record(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "run.json").read_text())
    return record


@pytest.fixture
def lots(tmp_path: Path) -> Path:
    """A folder with five good maps, a broken file and a file that is no map."""
    write_maps(tmp_path / "lots" / "a.npz", [3, 17, 25], "L1")
    write_maps(tmp_path / "lots" / "sub" / "c.npz", [9, 30], "L2")
    (tmp_path / "lots" / "b.npz").write_bytes((tmp_path / "lots" / "a.npz").read_bytes()[:300])
    (tmp_path / "lots" / "LICENSE").write_text("You may read this.")
    return tmp_path / "lots"


def test_every_map_gets_its_row_in_order(lots: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = classify([lots], predictor=Double(), out=out)
    rows = read_rows(out)
    assert [(Path(row["source"]).name, row["map"], row["status"]) for row in rows] == [
        ("a.npz", 0, "ok"),
        ("a.npz", 1, "ok"),
        ("a.npz", 2, "ok"),
        ("b.npz", 0, "failed"),
        ("c.npz", 0, "ok"),
        ("c.npz", 1, "ok"),
    ]
    assert [row["class"] for row in rows] == ["none", "scratch", "ring", "", "none", "ring"]
    assert [row["decision"] for row in rows] == ["normal", "novel", "known", "", "normal", "known"]
    assert summary.counts == {
        "maps": 6,
        "ok": 5,
        "failed": 1,
        "unplaced": 0,
        "decision": {"normal": 2, "known": 2, "novel": 1},
        "class": {"none": 2, "ring": 2, "novel": 1},
        "alarms": 0,
        "skipped": 1,
    }
    assert sorted(path.name for path in out.iterdir()) == [
        "maps.jsonl",
        "report.html",
        "results.csv",
        "results.jsonl",
        "run.json",
    ]


def test_a_map_without_positions_is_read_but_not_classified(lots: Path, tmp_path: Path) -> None:
    write_unplaced(lots / "aa.klarf", 12)
    double = Double()
    summary = classify(
        [lots],
        predictor=double,
        out=tmp_path / "run",
        config=ClassifyConfig(alarm_on=("novel", "none", "scratch", "ring")),
    )
    rows = read_rows(tmp_path / "run")
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "ok", "failed", "ok", "ok"]
    assert double.asked == 5
    assert [row["class"] for row in rows] == ["none", "scratch", "ring", "", "", "none", "ring"]
    one = rows[3]
    assert (one["lot"], one["wafer"], one["defects"], one["model"]) == ("L9", "W9", 12, "")
    assert one["decision"] == one["class"] == ""
    assert one["probability"] is one["novelty"] is one["threshold"] is None
    assert re.fullmatch("not classified: the file .* 12 defects .* where they are", one["error"])
    counts = summary.counts
    assert (counts["maps"], counts["ok"], counts["failed"], counts["unplaced"]) == (7, 6, 1, 1)
    assert sum(counts["decision"].values()) == sum(counts["class"].values()) == 5
    assert "" not in counts["class"]
    assert read_record(tmp_path / "run")["counts"] == counts
    # Scratch is found as novel, so four of the five maps raise the alarm by their class and one as novel.
    assert counts["alarms"] == 5
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        line = list(csv.DictReader(file))[3]
    assert (line["defects"], line["class"], line["decision"], line["status"]) == ("12", "", "", "ok")


def test_maps_without_positions_alone_are_a_run_too(tmp_path: Path) -> None:
    write_unplaced(tmp_path / "lots" / "a.klarf", 3)
    double = Double()
    summary = classify([tmp_path / "lots"], predictor=double, out=tmp_path / "run")
    assert (summary.counts["ok"], summary.counts["unplaced"], double.batches) == (1, 1, [])
    again = classify([tmp_path / "lots"], predictor=double, out=tmp_path / "run", resume=True)
    assert again.counts == summary.counts
    assert double.batches == []


def test_one_defect_with_a_position_is_enough_to_classify(tmp_path: Path) -> None:
    write_unplaced(tmp_path / "a.klarf", 3, placed=2)
    summary = classify([tmp_path / "a.klarf"], predictor=Double(), out=tmp_path / "run")
    (row,) = read_rows(tmp_path / "run")
    assert (row["defects"], row["class"], row["decision"], row["error"]) == (2, "none", "normal", "")
    assert any("without a position" in note for note in row["notes"])
    assert summary.counts["unplaced"] == 0


def test_the_table_has_exactly_its_columns(lots: Path, tmp_path: Path) -> None:
    classify([lots], predictor=Double(), out=tmp_path / "run")
    text = (tmp_path / "run" / "results.csv").read_text()
    assert text.splitlines()[0] == HEADER
    rows = list(csv.DictReader(text.splitlines()))
    assert rows[1] == {
        "source": str(lots / "a.npz"),
        "map": "1",
        "lot": "L1",
        "wafer": "W1",
        "slot": "",
        "step": "",
        "tool": "",
        "diameter_mm": "300.0",
        "defects": "17",
        "class": "scratch",
        "probability": "0.25",
        "novelty": "17.0",
        "threshold": "20.5",
        "decision": "novel",
        "model": "double",
        "status": "ok",
        "error": "",
    }
    assert rows[3]["status"] == "failed"
    assert rows[3]["error"]
    assert rows[3]["defects"] == rows[3]["probability"] == rows[3]["diameter_mm"] == ""


def test_the_record_says_what_the_run_was(lots: Path, tmp_path: Path) -> None:
    config = ClassifyConfig(alarm_on=("novel", "ring"), diameter_mm=200)
    summary = classify([lots], predictor=Double(), out=tmp_path / "run", config=config)
    record = read_record(tmp_path / "run")
    assert record["status"] == "finished"
    assert record["inputs"] == [str(lots)]
    assert record["engine"] == "native"
    assert record["device"] == "cpu"
    assert record["config"] == config.model_dump(mode="json")
    assert record["model"] == Double().describe()
    assert record["classified_by"] == [{"name": "double", "threshold": 20.5, "maps": 5}]
    assert record["counts"] == summary.counts
    assert summary.counts["alarms"] == 3
    assert [failure["source"] for failure in record["failures"]] == [str(lots / "b.npz")]
    assert [file["source"] for file in record["skipped"]] == [str(lots / "LICENSE")]


def test_an_assumed_diameter_is_written_and_said(tmp_path: Path) -> None:
    np.save(tmp_path / "grid.npy", np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0]], np.uint8))
    config = ClassifyConfig(diameter_mm=150)
    classify([tmp_path / "grid.npy"], predictor=Double(), out=tmp_path / "run", config=config)
    (row,) = read_rows(tmp_path / "run")
    assert row["diameter_mm"] == 150
    assert row["diameter_assumed"] is True
    assert row["die_level"] is True


def test_batches_keep_to_their_limits(lots: Path, tmp_path: Path) -> None:
    double = Double()
    classify([lots], predictor=double, out=tmp_path / "a", config=ClassifyConfig(batch_maps=2))
    assert double.batches == [2, 1, 2]
    double = Double()
    classify([lots], predictor=double, out=tmp_path / "b", config=ClassifyConfig(batch_defects=34))
    assert double.batches == [2, 2, 1]


def test_a_map_beyond_the_limit_goes_alone(tmp_path: Path) -> None:
    def wafer(count: int) -> WaferMap:
        return WaferMap(tmp_path, 0, disc(count).astype(np.float64), np.arange(count), 300.0, False)

    items: list[WaferMap | FailedMap] = [wafer(5), wafer(50), wafer(5), FailedMap(tmp_path, 0, "no")]
    sizes = [
        [len(item.defects) if isinstance(item, WaferMap) else None for item in batch]
        for batch in batches(iter(items), ClassifyConfig(batch_defects=10))
    ]
    assert sizes == [[5], [50], [5, None]]


def test_one_map_that_cannot_be_classified_does_not_fail_its_batch(lots: Path, tmp_path: Path) -> None:
    classify([lots], predictor=Double(refuses=17), out=tmp_path / "run")
    rows = read_rows(tmp_path / "run")
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "failed", "ok", "ok"]
    assert rows[1]["error"] == "cannot be classified: 17 defects are too many for it"
    assert rows[1]["defects"] == 17
    assert rows[1]["lot"] == "L1"


def test_a_bug_in_the_predictor_is_not_hidden(lots: Path, tmp_path: Path) -> None:
    class Broken(Double):
        def predict(self, maps: Any) -> Any:
            raise AttributeError("there is a bug")

    with pytest.raises(AttributeError):
        classify([lots], predictor=Broken(), out=tmp_path / "run")
    assert read_record(tmp_path / "run")["status"] == "failed"


def test_a_file_that_is_named_twice_is_classified_once(lots: Path, tmp_path: Path) -> None:
    classify([lots / "a.npz", lots / "a.npz"], predictor=Double(), out=tmp_path / "run")
    assert [row["map"] for row in read_rows(tmp_path / "run")] == [0, 1, 2]


def test_a_score_that_is_not_finite_is_left_empty(lots: Path, tmp_path: Path) -> None:
    class Unsure(Double):
        def _one(self, count: int) -> Any:
            from dataclasses import replace

            return replace(super()._one(count), novelty=float("inf"), threshold=float("nan"))

    classify([lots / "a.npz"], predictor=Unsure(), out=tmp_path / "run")
    assert [row["novelty"] for row in read_rows(tmp_path / "run")] == [None] * 3
    assert "inf" not in (tmp_path / "run" / "results.csv").read_text()


@pytest.mark.parametrize("name", ["empty", "pictures"])
def test_nothing_to_classify_is_an_error_and_leaves_no_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(UserError, match="no wafer map in"):
        classify([tmp_path / name], predictor=Double(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_path_that_is_not_there_is_an_error_and_leaves_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        classify([tmp_path / "nowhere"], predictor=Double(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_is_resumed_without_repeating_anything(lots: Path, tmp_path: Path) -> None:
    config = ClassifyConfig(batch_maps=2)
    with pytest.raises(KeyboardInterrupt):
        classify([lots], predictor=Double(interrupt_at=3), out=tmp_path / "run", config=config)
    assert read_record(tmp_path / "run")["status"] == "interrupted"
    done = len(read_rows(tmp_path / "run"))
    assert 0 < done < 6
    double = Double()
    classify([lots], predictor=double, out=tmp_path / "run", config=config, resume=True)
    classify([lots], predictor=Double(), out=tmp_path / "whole", config=config)
    for name in ("results.csv", "results.jsonl", "maps.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert double.asked == 5 - sum(row["status"] == "ok" for row in read_rows(tmp_path / "run")[:done])


def test_a_finished_run_is_resumed_for_free(lots: Path, tmp_path: Path) -> None:
    first = classify([lots], predictor=Double(), out=tmp_path / "run")
    double = Double()
    second = classify([lots], predictor=double, out=tmp_path / "run", resume=True)
    assert double.batches == []
    assert second.counts == first.counts


def test_new_files_are_added_to_a_resumed_run(lots: Path, tmp_path: Path) -> None:
    classify([lots], predictor=Double(), out=tmp_path / "run")
    write_maps(lots / "d.npz", [40])
    double = Double()
    summary = classify([lots], predictor=double, out=tmp_path / "run", resume=True)
    assert double.asked == 1
    assert summary.counts["maps"] == 7


def test_a_run_with_another_model_is_not_resumed(lots: Path, tmp_path: Path) -> None:
    classify([lots], predictor=Double(), out=tmp_path / "run")
    with pytest.raises(UserError, match=r"cannot be resumed, since model"):
        classify([lots], predictor=Double("other"), out=tmp_path / "run", resume=True)


def test_an_input_that_changed_is_noticed(lots: Path, tmp_path: Path) -> None:
    classify([lots], predictor=Double(), out=tmp_path / "run")
    write_maps(lots / "a.npz", [3, 18, 25])
    with pytest.raises(UserError, match=r"a\.npz has changed since the run began"):
        classify([lots], predictor=Double(), out=tmp_path / "run", resume=True)


def test_a_run_survives_kill_9(tmp_path: Path, project_root: Path) -> None:
    write_maps(tmp_path / "many.npz", [number % 40 for number in range(60)])
    code = (
        "import sys; from pathlib import Path; from pipelines.wafer.classify import classify;"
        "from pipelines.wafer.config import ClassifyConfig; from tests.pipelines.wafer.double import Double;"
        "classify([Path(sys.argv[1])], predictor=Double(pause=0.1), out=Path(sys.argv[2]),"
        " config=ClassifyConfig(batch_maps=4))"
    )
    out = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "many.npz"), str(out)], cwd=project_root
    ) as process:
        rows = out / "results.jsonl"
        until = time.monotonic() + 300
        while not (rows.exists() and rows.stat().st_size > 1_000):
            assert time.monotonic() < until, "no row was written in five minutes"
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    done = len(read_rows(out))
    assert read_record(out)["status"] == "running"
    assert 4 <= done < 60
    double = Double()
    config = ClassifyConfig(batch_maps=4)
    summary = classify([tmp_path / "many.npz"], predictor=double, out=out, config=config, resume=True)
    assert double.asked == 60 - done
    assert summary.counts["maps"] == 60
    assert [row["map"] for row in read_rows(out)] == list(range(60))


def test_hostile_and_odd_names_are_kept_as_they_are(tmp_path: Path) -> None:
    odd = os.fsdecode(b'lot\xff,\n"quoted".npz')
    write_maps(tmp_path / odd, [3], '=cmd|"/c calc"!A1')
    classify([tmp_path / odd], predictor=Double(), out=tmp_path / "run")
    (row,) = read_rows(tmp_path / "run")
    assert row["source"] == str(tmp_path / odd)
    with (tmp_path / "run" / "results.csv").open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert row["lot"] == '=cmd|"/c calc"!A1'
    assert line["lot"] == '\'=cmd|"/c calc"!A1'  # a text, for a spreadsheet
    assert line["source"] == str(tmp_path / odd).replace("\udcff", "\\udcff")

"""Evaluation of folders: pairing, naming, empty rules in the summary, failures, and the command."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.medical.evaluate import NO_PREDICTION, columns, evaluate, summarise
from pipelines.medical.metrics import measure
from tests.pipelines.medical.masks import label_map, run, shifted, write_maps, write_run

NAMES = {"front": 1, "back": 2}
MAPS = {f"case_{number}": label_map(number) for number in range(3)}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_maps(tmp_path / "truth", MAPS)


def test_a_run_against_a_folder(tmp_path: Path, truth: Path) -> None:
    found = evaluate(write_run(tmp_path / "run", shifted(MAPS), NAMES), truth)
    assert [(row["case"], row["label"]) for row in found.rows] == [(c, name) for c in MAPS for name in NAMES]
    assert found.labels == NAMES
    assert found.notes == ()
    for row in found.rows:
        assert tuple(row) == columns((1.0,))
        assert (row["status"], row["detection"], row["note"], row["error"]) == ("ok", "found", "", "")
        alone = measure(shifted(MAPS)[row["case"]], MAPS[row["case"]], (1, 1, 2))[row["value"]]
        assert row | alone.scores == row
        assert row["dice"] == pytest.approx(0.8)
        assert row["hd_mm"] == pytest.approx(1)
    spread = found.summary()["labels"]["front"]["metrics"]["dice"]
    assert spread == {
        "mean": pytest.approx(0.8),
        "sd": pytest.approx(0),
        "median": pytest.approx(0.8),
        "n": 3,
        "misses": 0,
        "not_applicable": 0,
    }


def test_names_come_from_the_option_the_run_or_the_values(tmp_path: Path, truth: Path) -> None:
    run_folder = write_run(tmp_path / "run", MAPS, NAMES)
    assert evaluate(run_folder, truth).labels == NAMES
    assert evaluate(truth, run_folder).labels == NAMES
    assert evaluate(truth, truth).labels == {"1": 1, "2": 2}
    found = evaluate(run_folder, truth, labels={"only": 2})
    assert found.labels == {"only": 2}
    assert found.notes == ("values without a name are left out: 1",)


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    folder = write_maps(tmp_path, {"mine": MAPS["case_0"], "theirs": MAPS["case_0"]})
    found = evaluate(folder / "mine.nii.gz", folder / "theirs.nii.gz")
    assert {row["case"] for row in found.rows} == {"theirs"}
    assert all(row["dice"] == 1 for row in found.rows)


def test_missing_predictions_count_as_misses(tmp_path: Path, truth: Path) -> None:
    predicted = write_maps(tmp_path / "predicted", {"case_1": MAPS["case_1"], "extra": MAPS["case_1"]})
    found = evaluate(predicted, truth)
    summary = found.summary()
    assert (summary["cases"], summary["without_prediction"], summary["failed"]) == (3, 2, 0)
    assert [row["note"] for row in found.rows[:2]] == [NO_PREDICTION] * 2
    for of in summary["labels"].values():
        assert (of["found"], of["missing"]) == (1, 2)
        assert of["metrics"]["dice"]["mean"] == pytest.approx(1 / 3)
        assert of["metrics"]["dice"]["misses"] == 2
        assert of["metrics"]["hd95_mm"]["mean"] == pytest.approx(2 / 3 * np.linalg.norm((14, 12, 20)))
        assert of["metrics"]["volume_error"]["mean"] == pytest.approx(-2 / 3)
    assert len(found.notes) == 2
    assert "1 predictions have no truth" in found.notes[0]
    left = evaluate(predicted, truth, only_predicted=True)
    assert left.summary()["cases"] == 1
    assert left.summary()["mean_of_labels"]["dice"] == 1


def test_absent_structures_are_counted_and_left_out_of_means(tmp_path: Path) -> None:
    """Label 2 is in one of two cases; label 3 is only predicted."""
    with_both, only_one = MAPS["case_0"], np.where(MAPS["case_1"] == 2, 0, MAPS["case_1"])
    truth = write_maps(tmp_path / "truth", {"a": with_both, "b": only_one})
    false = only_one.copy()
    false[-1, -1, -1] = 3
    found = evaluate(write_maps(tmp_path / "predicted", {"a": with_both, "b": false}), truth)
    labels = found.summary()["labels"]
    assert len(found.rows) == 6
    assert (labels["2"]["found"], labels["2"]["absent"]) == (1, 1)
    assert (labels["2"]["metrics"]["dice"]["n"], labels["2"]["metrics"]["dice"]["not_applicable"]) == (1, 1)
    assert labels["2"]["metrics"]["dice"]["mean"] == 1
    assert labels["2"]["metrics"]["dice"]["sd"] is None
    assert (labels["3"]["false"], labels["3"]["absent"]) == (1, 1)
    assert labels["3"]["metrics"]["dice"]["mean"] == 0
    assert labels["3"]["metrics"]["volume_error"] == {
        **dict.fromkeys(("mean", "sd", "median")),
        "n": 0,
        "misses": 0,
        "not_applicable": 2,
    }
    assert found.summary()["mean_of_labels"]["volume_error"] == 0  # over the labels that have one


def test_a_case_without_any_structure_does_not_vanish(tmp_path: Path) -> None:
    maps = {"a": MAPS["case_0"], "b": np.zeros_like(MAPS["case_0"])}
    folder = write_maps(tmp_path / "maps", maps)
    found = evaluate(folder, folder)
    assert [row["detection"] for row in found.rows] == ["found", "found", "absent", "absent"]
    assert found.summary()["cases"] == 2


def test_what_lies_elsewhere_fails_alone(tmp_path: Path, truth: Path) -> None:
    predicted = write_maps(tmp_path / "predicted", {"case_0": MAPS["case_0"], "case_1": MAPS["case_1"][:-1]})
    write_maps(predicted, {"case_2": MAPS["case_2"]}, spacing=(1.0, 1.0, 2.1))
    found = evaluate(predicted, truth)
    errors = {row["case"]: row["error"] for row in found.rows if row["status"] == "failed"}
    assert errors.keys() == {"case_1", "case_2"}
    assert "13 x 12 x 10 voxels and the truth 14 x 12 x 10" in errors["case_1"]
    assert "0.9 mm apart" in errors["case_2"]
    assert (found.summary()["failed"], found.summary()["labels"]["1"]["found"]) == (2, 1)


def test_axes_that_are_swapped_on_a_cube_lie_elsewhere(tmp_path: Path) -> None:
    """Opposite corners of a cube stay where they are if two axes are swapped; the others do not."""
    import nibabel as nib

    cube = label_map(0, (12, 12, 12))
    truth = write_maps(tmp_path / "truth", {"a": cube}, (1.0, 1.0, 1.0))
    (tmp_path / "predicted").mkdir()
    swapped = np.eye(4)[:, [1, 0, 2, 3]]
    nib.save(nib.Nifti1Image(cube, swapped), tmp_path / "predicted/a.nii.gz")
    (row,) = evaluate(tmp_path / "predicted", truth).rows
    assert "mm apart" in row["error"]


def test_files_that_are_no_label_maps_fail_alone(tmp_path: Path, truth: Path) -> None:
    predicted = write_maps(
        tmp_path / "predicted", {"case_0": MAPS["case_0"], "case_1": MAPS["case_1"].astype(np.float32) + 0.5}
    )
    (predicted / "case_2.nii.gz").write_bytes((truth / "case_2.nii.gz").read_bytes()[:40])
    rows = evaluate(predicted, truth).rows
    errors = {row["case"]: row["error"] for row in rows if row["status"] == "failed"}
    assert "is it an image" in errors["case_1"]
    assert errors["case_2"]
    assert {row["case"] for row in rows if row["status"] == "ok"} == {"case_0"}


def test_images_in_place_of_masks_fail_with_one_reason_each(tmp_path: Path, truth: Path) -> None:
    numbers = np.arange(14 * 12 * 10, dtype=np.int16).reshape(14, 12, 10) % 300
    images = write_maps(tmp_path / "images", dict.fromkeys(MAPS, numbers))
    result = run("evaluate", images, truth)
    assert result.exit_code == 2
    assert result.stdout.count("it holds 299 different labels without a name") == len(MAPS)
    assert "median" not in result.stdout
    named = evaluate(images, truth, labels=NAMES)
    assert {row["status"] for row in named.rows} == {"ok"}


def test_label_maps_above_the_limit_fail_until_it_is_raised(tmp_path: Path, truth: Path) -> None:
    size = MAPS["case_0"].size
    runs = [write_run(tmp_path / name, MAPS, NAMES) for name in ("one", "other")]
    small = run("evaluate", runs[0], truth, "--set", f"max_voxels={size - 1}")
    assert small.exit_code == 2
    assert small.stdout.count("raise the limit with --set max_voxels=N") == len(MAPS)
    config = tmp_path / "config.yaml"
    config.write_text(f"max_voxels: {size}\n")
    assert run("evaluate", runs[0], truth, "--config", config).exit_code == 0
    words = ["compare", *runs, "--truth", truth, "--out", tmp_path / "compared", "--set"]
    assert run(*words, f"max_voxels={size - 1}").exit_code == 2
    assert run(*words, f"max_voxels={size}").exit_code == 0
    wrong = run("evaluate", runs[0], truth, "--set", "voxels=9")
    assert wrong.exit_code == 2 and "did you mean max_voxels?" in wrong.stderr


def test_nothing_to_compare(tmp_path: Path, truth: Path) -> None:
    other = write_maps(tmp_path / "other", {"patient": MAPS["case_0"]})
    with pytest.raises(UserError, match=r"such as patient.*such as case_0.*same name"):
        evaluate(other, truth)
    empty = write_maps(tmp_path / "empty", {"a": np.zeros((4, 4, 4), np.uint8)})
    with pytest.raises(UserError, match="nothing to measure"):
        evaluate(empty, empty)
    with pytest.raises(UserError, match="tolerance"):
        evaluate(truth, truth, tolerances_mm=(-1.0,))


def test_summary_by_hand() -> None:
    blank = dict.fromkeys(columns((1.0,))) | {"status": "ok", "label": "a", "note": ""}
    rows = [
        blank | {"case": "1", "detection": "found", "dice": 0.5, "hd95_mm": 4.0},
        blank | {"case": "2", "detection": "found", "dice": 0.9, "hd95_mm": 2.0},
        blank | {"case": "3", "detection": "missing", "dice": 0.0, "hd95_mm": 90.0},
        blank | {"case": "4", "detection": "absent"},
        {"case": "5", "status": "failed", "label": ""},
    ]
    found = summarise(rows, {"a": 1}, (1.0,))
    assert (found["cases"], found["failed"]) == (5, 1)
    assert found["labels"]["a"]["metrics"]["dice"] == {
        "mean": pytest.approx(1.4 / 3),
        "sd": pytest.approx(np.std([0.5, 0.9, 0], ddof=1)),
        "median": 0.5,
        "n": 3,
        "misses": 1,
        "not_applicable": 1,
    }
    assert found["labels"]["a"]["metrics"]["hd95_mm"]["mean"] == 32


def test_the_command_prints_a_table_and_writes_the_rows(tmp_path: Path, truth: Path) -> None:
    predicted = write_run(tmp_path / "run", {"case_0": MAPS["case_0"], "case_2": MAPS["case_2"]}, NAMES)
    out = tmp_path / "found.csv"
    result = run("evaluate", predicted, truth, "--tolerance", 2, "--tolerance", 0.5, "--out", out)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["label", "metric", "mean", "sd", "median", "n", "misses"]
    assert lines[1] == ["front", "dice", "0.667", "0.577", "1", "3", "1"]
    assert ["mean", "of", "labels", "nsd_0.5mm", "0.667"] in lines
    assert "3 cases, 2 missing structures, 1 without a prediction" in result.stdout
    assert "count as missed" in result.stderr
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == columns((0.5, 2.0))
    assert [row["dice"] for row in rows] == ["1.0", "1.0", "0.0", "0.0", "1.0", "1.0"]
    again = run("evaluate", predicted, truth, "--out", out)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert run("evaluate", predicted, truth, "--out", out, "--overwrite", "--quiet").stderr == ""


def test_the_command_prints_json(truth: Path) -> None:
    result = run("evaluate", truth, truth, "--json", "--labels", "front=1,back=2", "--quiet")
    found = json.loads(result.stdout)
    assert found.keys() == {"labels", "tolerances_mm", "summary", "rows", "definitions", "notes"}
    assert found == json.loads(json.dumps(evaluate(truth, truth, labels=NAMES).document()))
    assert set(columns((1.0,))[5:-4]) <= found["definitions"].keys()


def test_exit_codes(tmp_path: Path, truth: Path) -> None:
    some = write_maps(tmp_path / "some", {"case_0": MAPS["case_0"], "case_1": MAPS["case_1"][:-1]})
    result = run("evaluate", some, truth)
    assert result.exit_code == 3
    assert "case_1: the prediction has 13 x 12 x 10" in result.stdout
    none = write_maps(tmp_path / "none", {name: labels[:-1] for name, labels in MAPS.items()})
    result = run("evaluate", none, truth)
    assert result.exit_code == 2
    assert "no case could be measured" in result.stderr
    result = run("evaluate", truth, truth, "--labels", "front")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "name=value" in result.stderr
    assert run("evaluate", truth, tmp_path / "gone").exit_code == 2
    result = run("evaluate", truth, truth, "--out", tmp_path / "gone/found.csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no folder" in result.stderr


def test_measuring_does_not_load_torch(project_root: Path) -> None:
    code = (
        "import sys, suite.medical_measuring, pipelines.medical.evaluate, pipelines.medical.compare,"
        " pipelines.medical.compare_page; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=project_root, check=False).returncode == 0


def test_real_cases_shifted_by_a_voxel(tmp_path: Path, shared_data: Path) -> None:
    from pipelines.medical.data.files import read_volume

    files = sorted((shared_data / "medical/hippocampus/labelsTr").glob("hippocampus_*.nii.gz"))[:4]
    volumes = {file.name.removesuffix(".nii.gz"): read_volume(file) for file in files}
    maps = {name: one.array.astype(np.uint8) for name, one in volumes.items()}
    truth = write_maps(tmp_path / "truth", maps, (1.0, 1.0, 1.0))
    found = evaluate(write_maps(tmp_path / "shifted", shifted(maps), (1.0, 1.0, 1.0)), truth)
    for row in found.rows:
        assert row["hd_mm"] == pytest.approx(1)
        assert row["nsd_1mm"] == pytest.approx(1)
        assert 0.6 < row["dice"] < 0.95
        assert row["volume_error"] == 0
    assert set(found.labels) == {"1", "2"}


def test_masks_named_after_the_first_channel_find_their_truth(tmp_path: Path, truth: Path) -> None:
    names = {f"{name}_0000": array for name, array in MAPS.items()}
    found = evaluate(write_maps(tmp_path / "masks", names), truth)
    assert sorted({row["case"] for row in found.rows}) == sorted(MAPS)
    assert all(row["dice"] == 1 for row in found.rows) and not found.notes
    # Where the truth itself has such names, they stand.
    same = write_maps(tmp_path / "same", {"a": label_map(0), "a_0000": label_map(1)})
    rows = evaluate(same, same).rows
    assert {row["case"] for row in rows} == {"a", "a_0000"} and all(row["dice"] == 1 for row in rows)

"""The page on segmented volumes, run without a browser, and what it exports."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from apps.items import Run
from apps.store import EXPORT, Store, Verdict
from apps.viewers import medical
from apps.viewers.medical_retrain import CORRECTED, RETRAIN, write_list
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.write import write_labels
from pipelines.medical.generate.phantom import LABELS
from pipelines.medical.plan.file import read_plan_file
from tests.apps.medical_runs import SAMPLES, segmented
from tests.apps.test_review import PAGE, press, shown, titles

INPUTS = ("ct.nii.gz", "mr-sagittal.nrrd", "scan", "bad/cut-off.nii.gz")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = [SAMPLES / "volumes" / name for name in INPUTS]
    return segmented(inputs, tmp_path_factory.mktemp("medical") / "run", misses=["tube"])


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def opened(run: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(run), "--reviewer", "Ann", *words])
    page = AppTest.from_file(str(PAGE), default_timeout=120).run()
    assert not page.exception
    return page


def groups(page: AppTest) -> list[str]:
    """The names of the rows of buttons above the planes."""
    return [str(getattr(one, "label", "")) for one in page.get("button_group")]


def verdicts(run: Path, **said: str) -> dict[tuple[str, str, str], Verdict]:
    """Of every structure of the cases that are named: accept, or a mark; those with `/` are one structure."""
    given = {}
    for item in Run(run, medical).items:
        word = said.get(item.title, said.get(item.group))
        if word and item.reviewable:
            kind = "accept" if word == "accept" else "relabel"
            label = item.prediction if word == "accept" else word
            given[item.id] = Verdict(*item.id, "m", item.prediction, None, kind, label)  # type: ignore[arg-type]
    return given


def test_there_is_an_item_for_each_structure(run: Path) -> None:
    items = Run(run, medical).items
    assert [item.line for item in items] == list(range(17))
    failed = [item for item in items if not item.reviewable]
    assert [(item.title, item.decision) for item in failed] == [("cut-off", "failed")]
    ct = [item for item in items if item.group == "ct"]
    assert [(item.prediction, item.decision) for item in ct] == [
        *(("lobe", "found"), ("bean", "found"), ("tube", "absent"), ("nodule", "found")),
    ]
    assert ct[2].probability is None and 0.5 < (ct[0].probability or 0) < 1
    assert len({item.id for item in items}) == 17


def test_another_mask_is_another_item(run: Path) -> None:
    before = {item.title: item.id for item in Run(run, medical).items}
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    next(row for row in rows if row["case"] == "ct")["structures"]["lobe"]["confidence"] -= 0.001
    (run / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    after = {item.title: item.id for item in Run(run, medical).items}
    assert {title for title in before if before[title] != after[title]} == {"ct / lobe"}


def test_structures_are_judged_one_by_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    assert len(titles(page)) == 14  # the first page of 16
    assert "nodule" in shown(page)  # least certain first
    first = shown(page)
    labels = [button.label for button in page.button]
    assert "Unsure" not in labels and "Accept nodule" in labels
    assert list(page.selectbox(key="state").options) == [
        *("to review", "reviewed", "accepted", "rejected", "flagged", "all"),
    ]
    assert "most novel first" not in page.selectbox(key="order").options
    press(page, "reject")
    assert shown(page) != first
    press(page, "flag")
    press(page, "accept")
    said = list(Store(run).latest().values())
    assert [(one.verdict, one.label) for one in said] == [
        *(("relabel", "reject"), ("relabel", "flag"), ("accept", said[2].prediction)),
    ]
    page.selectbox(key="state").select("rejected").run()
    assert titles(page)[0].replace("\\", "") == first.replace("\\", "")
    press(page, "undo")
    assert "accept" in page.toast[0].value


def test_the_window_is_kept_and_changed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("ct.nii.gz lobe").run()
    assert page.selectbox(key="medical window").value == "soft tissue"
    page.selectbox(key="medical window").select("lung").run()
    assert (page.number_input(key="medical level").value, page.number_input(key="medical width").value) == (
        *(-600, 1500),
    )
    page.number_input(key="medical level").set_value(-500.0).run()
    assert page.selectbox(key="medical window").value == "own"
    page.text_input(key="text").set_value("ct.nii.gz bean").run()  # the same volume
    assert page.number_input(key="medical level").value == -500
    page.text_input(key="text").set_value("mr-sagittal / bean").run()
    assert page.selectbox(key="medical window").value == "1 to 99%"
    level = page.number_input(key="medical level").value
    assert level is not None and 0 < level < 400


def test_what_is_absent_and_what_failed_say_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("ct.nii.gz tube").run()
    assert any("reject if it was missed" in one.value for one in page.caption)
    page.selectbox(key="state").select("all").run()
    page.text_input(key="text").set_value("cut-off").run()
    assert "cut short" in page.warning[0].value
    assert "accept" not in [button.key for button in page.button]


def test_a_missing_mask_is_one_message(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "masks" / "ct.nii.gz").unlink()
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("ct.nii.gz lobe").run()
    assert page.error[0].value.startswith("This structure cannot be drawn: ")
    page.text_input(key="text").set_value("mr-sagittal / lobe").run()
    assert not page.error


def test_the_truth_is_offered_where_it_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    assert groups(page) == ["Mask"]
    page = opened(run, monkeypatch, "--truth", str(SAMPLES / "labels"))
    assert not page.error
    assert groups(page) == ["Mask", "Truth"]


def test_names_of_others_draw_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "![x](http://x.test/a) <b>d</b> \x1b[1m\u202e"
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    row = next(row for row in rows if row["case"] == "ct")
    row["structures"] = {hostile: row["structures"]["lobe"]}
    row["notes"], row["modality"] = [hostile], hostile
    (run / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("ct.nii.gz").run()
    assert shown(page).startswith("ct / \\!\\[x\\]\\(http\\://x\\.test/a\\) \\<b\\>d")
    assert not page.error
    texts = [one.value for one in [*page.caption, *page.markdown]]
    assert not any("](http" in text or "\x1b" in text for text in texts)


def test_the_list_for_training_is_read_as_it_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("mr-sagittal").run()
    for _ in range(3):
        press(page, "accept")
    press(page, "export")
    assert page.toast[0].value.startswith("3 verdicts written to ")
    assert "1 case to train on in retrain/cases" in page.toast[0].value.replace("\\", "")
    with (run / EXPORT).open(newline="") as lines:
        assert {row["map"] for row in csv.DictReader(lines)} == {
            f"mr-sagittal / {name}" for name in ("lobe", "bean", "nodule")
        }
    data = read_dataset(run / RETRAIN)
    (case,) = data.cases
    assert (case.name, case.images[0].name) == ("mr-sagittal", "mr-sagittal.nrrd")
    assert case.labels is not None
    np.testing.assert_array_equal(
        read_volume(case.labels).array, read_volume(run / "masks" / "mr-sagittal.nii.gz").array
    )
    assert read_plan_file(run / RETRAIN / "plan.yaml").labels == LABELS


def test_only_cases_without_a_doubt_are_listed(run: Path) -> None:
    opened = Run(run, medical)
    assert write_list(opened, verdicts(run, ct="flag")) == ""
    assert not (run / RETRAIN).exists()
    said = verdicts(run, **{"mr-sagittal": "accept", "ct": "accept", "ct / tube": "reject"})
    assert write_list(opened, said).startswith("1 case ")  # the tube of ct was missed
    waiting = {key: one for key, one in said.items() if one.map != "mr-sagittal / lobe"}
    assert write_list(opened, waiting).startswith("0 cases ")
    assert (run / RETRAIN / "cases.csv").read_text() == "name,image,label\n"


def test_a_dicom_series_becomes_a_file_of_its_own(run: Path) -> None:
    names = sorted({item.group for item in Run(run, medical).items if item.group.startswith("scan")})
    assert write_list(Run(run, medical), verdicts(run, **dict.fromkeys(names, "accept"))).startswith(
        "2 cases"
    )
    cases = read_dataset(run / RETRAIN).cases
    assert [case.name for case in cases] == names
    for case in cases:
        image, labels = read_volume(case.images[0]), read_volume(SAMPLES / "labels" / f"{case.name}.nii.gz")
        assert image.shape == labels.shape
        np.testing.assert_allclose(image.affine, labels.affine, atol=1e-3)
        assert image.array[labels.array == LABELS["bean"]].mean() > 150  # HU


def test_a_corrected_mask_takes_the_place_of_the_models(run: Path) -> None:
    image = read_volume(SAMPLES / "volumes" / "ct.nii.gz")
    right = read_volume(SAMPLES / "labels" / "ct.nii.gz").array
    (run / CORRECTED).mkdir()
    write_labels(run / CORRECTED / "ct.nii.gz", right, image)
    said = verdicts(run, ct="reject")
    assert write_list(Run(run, medical), said).startswith("1 case ")
    (case,) = read_dataset(run / RETRAIN).cases
    assert case.labels is not None
    np.testing.assert_array_equal(read_volume(case.labels).array, right)

    other = read_volume(SAMPLES / "volumes" / "mr-sagittal.nrrd")
    write_labels(run / CORRECTED / "ct.nii.gz", np.zeros(other.shape, np.uint8), other)
    told = write_list(Run(run, medical), said)
    assert told.startswith("0 cases ") and "does not lie on its image" in told


def test_an_export_changes_no_file_that_it_was_made_from(run: Path) -> None:
    source = SAMPLES / "volumes" / "ct.nii.gz"
    before = source.read_bytes()
    write_list(Run(run, medical), verdicts(run, ct="accept"))
    copy = run / RETRAIN / "labels" / "ct.nii.gz"
    copy.write_bytes(b"edited")
    assert (run / "masks" / "ct.nii.gz").read_bytes() != b"edited"
    write_list(Run(run, medical), verdicts(run, ct="accept"))
    assert copy.read_bytes() == (run / "masks" / "ct.nii.gz").read_bytes()
    assert source.read_bytes() == before

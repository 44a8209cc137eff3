"""Frames of polyps on the page and in an export: cut, without words, as the run had them, and only those."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from apps.items import Run
from apps.store import Store
from apps.viewers import polyp
from apps.viewers.polyp_case import Sized, Sources, curve_of, find_sources, list_polyps, read_sized
from apps.viewers.polyp_marks import NO_LESION, FrameMark, Marks
from apps.viewers.polyp_pictures import Picture, chunk_of, find_fields, read_pictures, run_pictures
from apps.viewers.polyp_retrain import RETRAIN, SAID, write_data
from pipelines.common.errors import UserError
from pipelines.polyp.data import Frame, frames_of, read_dataset, read_frames, refuse_leaks
from pipelines.polyp.train.store import store_polyps
from tests.apps.polyp_runs import MM, field_frame, filmed, item_of, judged, sized, with_words


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sized(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_words(tmp_path_factory.mktemp("words"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def of(run: Run, title: str) -> tuple[Sized, Sources]:
    item = item_of(run, title)
    found = read_sized(run, item.row)
    return found, find_sources(run, run.row(item.row), found, list_polyps(run))


def seen(run: Run, title: str) -> list[Picture]:
    found, sources = of(run, title)
    row = run.row(item_of(run, title).row)
    return read_pictures(run, found.frames, sources, find_fields(run, row, found.frames, sources))


def pixels(url: str) -> NDArray[np.uint8]:
    content = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found[..., ::-1], np.uint8)


def test_what_is_shown_is_the_field_without_words(words: Path) -> None:
    made = seen(Run(words, polyp), "<b>p</b>")
    assert len(made) == 3
    x0, y0, x1, y1 = made[0].box
    assert x0 > 100 and y0 > 0 and x1 < 390  # the disc's middle is 250, 128, its radius 120
    for one in made:
        large = pixels(one.large)
        assert large.shape[:2] == (round(y1 - y0), round(x1 - x0))
        truth = field_frame(0)[round(y0) : round(y1), round(x0) : round(x1)].astype(int)
        middle = (slice(60, 180), slice(60, 180))
        assert abs(large[middle].mean() - truth[middle].mean()) < 6
        assert large[:12, :12].max() < 30  # around the disc it is dark
        assert max(pixels(one.thumb).shape) <= 132
    assert field_frame(0)[:60, :100].min(2).max() > 200  # and in the file there are words


def test_words_over_the_field_are_taken_out(words: Path, tmp_path: Path) -> None:
    shutil.copytree(words.parent, tmp_path / "copy")
    other = tmp_path / "copy"
    record = json.loads((other / "run" / "run.json").read_text())
    record["inputs"] = [str(other / "inputs")]
    (other / "run" / "run.json").write_text(json.dumps(record))
    for path in sorted((other / "inputs").glob("*.png")):
        frame = np.array(Image.open(path))
        for number, letters in enumerate(("ANNA SMITH 1947", "PATIENT 123456")):
            place = (170, 190 + 22 * number)
            cv2.putText(frame, letters, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (250, 250, 250), 1, cv2.LINE_AA)
        Image.fromarray(frame).save(path)
    text = (other / "run" / "results.jsonl").read_text().replace(str(words.parent), str(other))
    (other / "run" / "results.jsonl").write_text(text)
    for one in seen(Run(other / "run", polyp), "<b>p</b>"):
        assert pixels(one.large).min(2).max() < 200


def test_a_frame_that_changed_is_not_shown(words: Path, tmp_path: Path) -> None:
    run = Run(words, polyp)
    found, sources = of(run, "<b>p</b>")
    name = found.frames[1].name
    Image.fromarray(field_frame(1)[:200]).save(tmp_path / "other.png")
    refs = dict(sources.refs)
    refs[name] = type(refs[name])(name, tmp_path / "other.png")
    made = read_pictures(run, found.frames, Sources(sources.polyp, refs, {}), {})
    assert made[1].large == "" and "it has 400 x 200 px, and had 400 x 256" in made[1].error
    assert made[0].large and not made[0].error


def test_frames_outside_the_inputs_are_not_read(run: Path, made: Path, tmp_path: Path) -> None:
    found = Run(run, polyp)
    found.record["inputs"] = [str(tmp_path)]
    sized_, _ = of(Run(made, polyp), "polyp0")
    sources = find_sources(
        found, found.row(item_of(found, "polyp0").row), sized_, list_polyps(Run(made, polyp))
    )
    assert sources.refs == {} and all(
        "does not lie in the inputs" in one for one in sources.problems.values()
    )
    # In their place come the run's own pictures, and none that a row names elsewhere.
    (first, *_) = run_pictures(found, sized_.frames, "gone")
    assert first.large and first.error == "gone" and first.box == (0, 0, 160, 128)
    outside = [type(one)(**{**asdict_(one), "picture": "../../x.jpg"}) for one in sized_.frames]
    assert [one.large for one in run_pictures(found, outside, "gone")] == ["", "", ""]


def asdict_(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__slots__}  # type: ignore[attr-defined]


def test_masks_are_outlined_and_odd_frames_say_why(made: Path) -> None:
    run = Run(made, polyp)
    for one in seen(run, "polyp1"):
        (line,) = one.outline
        assert len(line) >= 16 and min(line) >= 0 and max(line) <= 160
    torn, _ = seen(run, "torn")
    assert torn.large == "" and torn.error


def test_frames_of_a_video(tmp_path: Path) -> None:
    run = Run(filmed(tmp_path), polyp)
    found, sources = of(run, "film")
    assert [one.name for one in found.frames] == [f"film_{number}" for number in range(0, 10, 2)]
    assert chunk_of(found.frames, sources, 3) == range(5)
    made = seen(run, "film")
    assert all(one.large for one in made) and len({one.id for one in made}) == 5
    judged(run.path, "film", "6 mm", Marks(6.0, frames={"film_4": FrameMark(False)}))
    told = write_data(run, Store(run.path).latest(), lambda: list_polyps(run))
    assert told == "1 polyp with 4 frames to train on in retrain"
    (one,) = read_dataset(run.path / RETRAIN).polyps
    frames = list(read_frames(frames_of(one).frames))
    truth = list(read_frames([sources.refs[f"film_{number}"] for number in (0, 2, 6, 8)]))
    for frame, wanted in zip(frames, truth, strict=True):
        assert isinstance(frame, Frame) and isinstance(wanted, Frame)
        assert (frame.pixels == wanted.pixels).all() and frame.box == (190, 100, 250, 160)


def test_images_are_read_some_at_a_time(made: Path) -> None:
    found, sources = of(Run(made, polyp), "polyp0")
    many = found.frames * 10
    assert chunk_of(many, sources, 13) == range(12, 24) and chunk_of(many, sources, 29) == range(24, 30)


def test_a_distribution_becomes_a_curve(made: Path) -> None:
    found, _ = of(Run(made, polyp), "polyp0")
    curve = curve_of(found.shares)
    assert max(one for _, one in curve) == 1
    highest = max(curve, key=lambda one: one[1])[0]
    assert highest == pytest.approx(MM, rel=0.1)
    assert curve_of([]) == [] and curve_of([0.0] * 64) == []


def test_the_export_is_a_data_set_to_train_on(run: Path, tmp_path: Path) -> None:
    found = Run(run, polyp)
    names = [one.name for one in of(found, "polyp1")[0].frames]
    box = (50.0, 40.0, 100.5, 90.0)
    frames = {names[0]: FrameMark(False), names[1]: FrameMark(None, box)}
    judged(run, "polyp0", "7.0 mm")
    judged(run, "polyp1", ">=8 mm", Marks(8.0, True, frames, ("blurred",)))
    judged(run, "polyp2", "reject", Marks(reasons=("wrong lesion",)))
    judged(run, "torn", "abstained")
    latest = Store(run).latest()
    told = write_data(found, latest, lambda: list_polyps(found))
    written, left = told.split("; ")
    assert written == "2 polyps with 5 frames to train on in retrain"
    assert left == "2 polyps without a size or a frame are not in it"

    data = read_dataset(run / RETRAIN)
    assert (data.layout, data.notes) == ("csv", ())
    first, second = data.polyps
    assert (first.id, first.patient, first.censored) == ("polyp0", "patient0", False)
    assert first.size_mm == found.row(item_of(found, "polyp0").row)["mm"] == pytest.approx(MM, rel=0.02)
    assert (second.id, second.patient, second.size_mm, second.censored) == ("polyp1", "patient1", 8.0, True)
    original = of(found, "polyp1")[1].polyp
    assert second.camera == original.camera is not None
    with pytest.raises(UserError, match="patient1"):  # what was trained on and this are one patient's
        refuse_leaks({"a": [original], "b": [second]})
    corrected, same = read_frames(frames_of(second).frames)
    assert isinstance(corrected, Frame) and isinstance(same, Frame)
    assert corrected.box == box and corrected.mask is None  # the mask was of the old box
    assert same.mask is not None
    stored, left_out = store_polyps(data.polyps, 256, 9, tmp_path / "ready", lambda text: None)
    assert [len(one.frames) for one in stored] == [3, 2] and left_out == []
    with (run / SAID).open(newline="") as lines:
        table = {row["polyp"]: row for row in csv.DictReader(lines)}
    assert table["polyp1"]["reasons"] == "blurred" and table["polyp1"]["size_is_lower_bound"] == "1"
    assert (table["polyp1"]["frames_in"], table["polyp1"]["frames_out"]) == ("2", "1")
    assert (table["polyp2"]["verdict"], table["polyp2"]["size_mm"]) == ("reject", "")


def test_an_export_is_repeated_and_changes_no_original(run: Path, made: Path) -> None:
    source = made.parent / "inputs" / "polyp0_0.png"
    before = source.read_bytes()
    found = Run(run, polyp)

    def export() -> str:
        return write_data(found, Store(run).latest(), lambda: list_polyps(found))

    assert export() == "" and not (run / RETRAIN).exists()
    judged(run, "polyp0", "7.0 mm")
    for _ in range(2):
        assert export() == "1 polyp with 3 frames to train on in retrain"
    Store(run).undo("")
    judged(run, "polyp0", "7.0 mm", Marks(frames={"polyp0_0": FrameMark(None, NO_LESION)}))
    assert export() == "1 polyp with 2 frames to train on in retrain"
    assert len(frames_of(read_dataset(run / RETRAIN).polyps[0]).frames) == 2
    Store(run).undo("")
    assert export() == ""
    assert (run / RETRAIN / "set1" / "polyps.csv").read_text().count("\n") == 1
    assert source.read_bytes() == before
    assert not list((run / RETRAIN).rglob(".*"))


def test_what_cannot_be_exported_is_said(run: Path) -> None:
    judged(run, "polyp0", "7.0 mm")
    judged(run, "polyp1", "7.0 mm")
    found = Run(run, polyp)
    polyps = {key: one for key, one in list_polyps(found).items() if one.id != "polyp0"}
    told = write_data(found, Store(run).latest(), lambda: polyps)
    assert told.startswith("1 polyp with 3 frames")
    assert "polyp0 is left out: " in told and "has no polyp polyp0 any more" in told

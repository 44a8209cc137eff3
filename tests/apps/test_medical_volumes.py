"""What the page shows of a volume, apart from the page: places, slices, windows."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from apps.items import Run
from apps.viewers import medical, medical_case
from apps.viewers import medical_slices as slices
from apps.viewers import medical_windows as windows
from apps.viewers.medical_case import Labels, labels_on, read_image, read_mask
from apps.viewers.medical_controls import BESIDE, FILL, OFF, OUTLINE, Controls
from apps.viewers.medical_drawing import Shown, pictures, readout
from apps.viewers.medical_slices import PLANES, slice_of
from pipelines.common.errors import UserError
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.record import Volume
from pipelines.medical.generate.phantom import LABELS
from tests.apps.medical_runs import SAMPLES, segmented
from tests.pipelines.medical.data.made import affine_of, rotation, signed_permutations, volume


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    inputs = [SAMPLES / "volumes" / name for name in ("ct.nii.gz", "mr-sagittal.nrrd", "scan")]
    return Run(segmented(inputs, tmp_path_factory.mktemp("volumes") / "run"), medical)


def labels_of(array: NDArray[np.uint8]) -> Labels:
    made = volume(array, np.diag([-1.0, -1.0, -1.0, 1.0]))  # stored as the page shows it
    return labels_on(made, medical_case._turned(made)[0])


def test_all_48_orientations_are_shown_alike() -> None:
    """A body of (x, y, z) = right, front, head, stored in every way, gives the same picture and places."""
    spacing = np.array([1.0, 2.0, 3.0])
    canonical = np.arange(5 * 4 * 3).reshape(5, 4, 3).astype(np.int16)
    for axes in signed_permutations():
        order = np.abs(axes).argmax(0)
        stored = canonical.transpose(order)
        flips = tuple(int(axis) for axis in range(3) if axes[order[axis], axis] < 0)
        stored = np.flip(stored, flips)
        affine = np.eye(4)
        affine[:3, :3] = axes * spacing[order]
        first = [(side - 1 if axis in flips else 0) for axis, side in enumerate(stored.shape)]
        affine[:3, 3] = -affine[:3, :3] @ first  # canonical voxel 0, 0, 0 lies at 0 mm
        seen, _ = medical_case._turned(volume(stored, affine))
        np.testing.assert_array_equal(seen.array, canonical[::-1, ::-1, ::-1])
        assert seen.spacing == (1.0, 2.0, 3.0)
        at = (1, 2, 0)
        np.testing.assert_allclose(seen.mm(at), np.array([3, 1, 2]) * spacing)
        assert stored[seen.index(at)] == seen.array[at]


def test_planes_are_as_radiologists_see_them() -> None:
    body = np.zeros((5, 6, 7), np.int16)  # right, front, head
    body[-1] += 1  # what is right
    body[:, -1] += 2  # what is in front
    body[:, :, -1] += 4  # what is at the head
    seen, _ = medical_case._turned(volume(body, np.eye(4)))
    axial, sagittal, coronal = (slice_of(seen.array, plane, (2, 3, 3)) for plane in PLANES)
    assert (axial.shape, sagittal.shape, coronal.shape) == ((6, 5), (7, 6), (7, 5))
    assert (axial[:, 0] & 1).all() and (axial[0] & 2).all()  # R on the left, A above
    assert (sagittal[:, 0] & 2).all() and (sagittal[0] & 4).all()  # A on the left, S above
    assert (coronal[:, 0] & 1).all() and (coronal[0] & 4).all()
    assert [plane.letters for plane in PLANES] == ["RLAP", "APSI", "RLSI"]


def test_a_tilted_volume_says_so() -> None:
    tilted = volume(np.zeros((4, 4, 4), np.int16), affine_of(rotation(3), (1, 1, 1), (0, 0, 0)))
    seen = medical_case._turned(tilted)[0]
    cosine = np.abs(seen.affine[:3, :3]).max(0).min()
    assert seen.tilt == pytest.approx(np.degrees(np.arccos(cosine)), abs=20)
    assert seen.tilt > 5
    assert medical_case._turned(volume(np.zeros((4, 4, 4), np.int16)))[0].tilt == 0


def test_the_middle_of_a_structure_lies_in_it() -> None:
    ring = np.zeros((30, 30, 9), np.uint8)
    y, x = np.mgrid[:30, :30] - 14.5
    ring[(np.hypot(x, y) > 8) & (np.hypot(x, y) < 12), 2:7] = 3
    ring[0, 0, 8] = 5
    labels = labels_of(ring)
    assert labels.array[labels.middle(3)] == 3
    assert labels.middle(5) == (0, 0, 8)
    assert labels.middle(4) == (15, 15, 4)  # not there: the middle of the volume
    assert (labels.count(3), labels.count(4)) == (int((ring == 3).sum()), 0)


def test_dice_is_that_of_whole_arrays() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 3, (9, 8, 7)).astype(np.uint8) for _ in range(2))
    for value in (1, 2):
        a, b = one == value, other == value
        wanted = 2 * (a & b).sum() / (a.sum() + b.sum())
        assert medical_case.dice(labels_of(one), labels_of(other), value) == pytest.approx(wanted)
    assert medical_case.dice(labels_of(one), labels_of(other), 9) is None
    assert medical_case.dice(labels_of(one), labels_of(np.zeros_like(one)), 1) == 0


def test_windows_of_ct_and_mr() -> None:
    rng = np.random.default_rng(1)
    mr = rng.gamma(3, 50, (40, 40, 40)).astype(np.float32)
    mr[:20] = 0
    found = windows.presets(mr, "MR")
    low, high = np.percentile(mr[mr != 0], (1, 99))
    assert found["1 to 99%"] == pytest.approx(((low + high) / 2, high - low), rel=1e-3)
    assert next(iter(found)) == "1 to 99%"
    ct = rng.integers(-1000, 1000, (10, 10, 10)).astype(np.int16)
    assert next(iter(windows.presets(ct, ""))) == next(iter(windows.presets(ct, "CT"))) == "soft tissue"
    assert windows.presets(ct, "CT")["all values"] == pytest.approx((-0.5, 1999), abs=20)
    flat = np.full((4, 4, 4), 7, np.int16)
    assert all(width > 0 for _, width in windows.presets(flat, "MR").values())


def test_grey_runs_from_black_to_white() -> None:
    values = np.array([-5000, -160, 40, 240, 9000], np.int16)
    assert windows.grey(values, 40, 400).tolist() == [0, 0, 127, 255, 255]


def test_layers_are_pictures_of_the_mask() -> None:
    labels = np.zeros((8, 10), np.uint8)
    labels[2:6, 3:8] = 2
    labels[3, 4] = 7
    colours = slices.palette({"one": 1, "two": 2, "seven": 7}, {7}, 2, 255)
    painted = decoded(slices.png(slices.fill(labels, colours)))
    np.testing.assert_array_equal(painted[..., 3] > 0, labels == 2)  # 7 is hidden
    assert (painted[labels == 2, 3] == 255).all()
    fine = slices.outline(labels, colours, (1.0, 1.0))
    factor = len(fine) // 8
    block = fine.reshape(8, factor, 10, factor, 4)[..., 3].max((1, 3))
    assert (block[labels != 2] == 0).all()
    inner = fine[int(4.5 * factor), int(6.5 * factor)]
    assert inner[3] == 0 and block[2, 3] == 255
    white = slices.white_outline(labels, colours[:, 3] > 0, (1.0, 1.0))
    assert set(np.unique(white[white[..., 3] == 255])) == {255}


def test_outlines_of_thick_slices_have_square_pixels() -> None:
    fine = slices.white_outline(np.ones((10, 72), np.uint8), np.ones(256, bool), (1.5, 8.0))
    assert fine.shape[0] / fine.shape[1] == pytest.approx(80 / 108, rel=0.1)


def test_uncertainty_is_clear_where_it_is_small() -> None:
    painted = slices.heat(np.array([[0, 60, 128, 255]], np.uint8))
    assert painted[0, 0, 3] == 0
    assert (np.diff(painted[0, :, 3].astype(int)) >= 0).all() and painted[0, 2, 3] > 200


@pytest.mark.parametrize("truth", [OUTLINE, BESIDE, OFF])
def test_pictures_and_readout_of_a_case(run: Run, truth: str) -> None:
    row = next(run.row(item.row) for item in run.items if item.group == "mr-sagittal")
    image = read_image(run, row, 0)
    mask = read_mask(run, row, image)
    right = medical_case.read_truth(SAMPLES / "labels", row, image)
    assert right is not None
    at = mask.middle(LABELS["bean"])
    shown = Shown("1", image, "", mask, right, None, LABELS, {}, LABELS["bean"], "0.9")
    made = pictures(shown, Controls(0, 150, 300, FILL, truth, False), at, ())
    layers = {"image", "mask"} | {OUTLINE: {"line"}, BESIDE: {"truth"}, OFF: set()}[truth]
    assert {name.split()[1] for name in made} == layers
    grey = decoded(made["axial image"])
    wanted = windows.grey(image.array[:, :, at[2]].T, 150, 300)
    np.testing.assert_array_equal(grey, wanted)

    told = dict(readout(shown, at))
    stored = read_volume(SAMPLES / "volumes" / "mr-sagittal.nrrd")
    index = tuple(int(one) for one in told["Voxel"].split(", "))
    assert float(told["Value"]) == float(stored.array[index])
    place = stored.affine @ [*index, 1]
    assert told["Place"].startswith(f"{'L' if place[0] < 0 else 'R'} {abs(place[0]):.1f} · ")
    assert (told["Mask"], told["Dice"]) == ("bean", "0.9")
    assert place[0] < 0  # the bean is on the left


def test_two_series_of_one_folder_are_told_apart(run: Run) -> None:
    shapes = {item.group: run.row(item.row)["shape"] for item in run.items if "scan" in item.group}
    assert len(shapes) == 2
    for item in run.items:
        if item.group in shapes:
            seen = read_image(run, run.row(item.row), 0)
            assert sorted(seen.shape) == sorted(map(int, shapes[item.group].split("x")))


def test_a_case_is_read_up_to_the_limit_of_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(run.row(item.row) for item in run.items if item.group == "mr-sagittal")
    size = read_image(run, row, 0).array.size
    monkeypatch.setattr(medical_case, "MAX_VOXELS", size - 1)
    with pytest.raises(UserError, match="max_voxels"):
        read_image(run, row, 0)
    monkeypatch.setitem(run.record, "config", {"max_voxels": size})
    image = read_image(run, row, 0)
    read_mask(run, row, image)
    medical_case.read_doubt(run, row, image)
    assert medical_case.read_truth(SAMPLES / "labels", row, image) is not None


def test_a_mask_that_lies_elsewhere_is_not_drawn(run: Run) -> None:
    row = run.row(0)
    image = read_image(run, row, 0)
    moved = Volume(image.array.astype(np.uint8) * 0, image.affine + np.eye(4)[3] * 2, Path("m"), "m")
    with pytest.raises(UserError, match="does not lie on its image"):
        labels_on(moved, image)


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.float32])
def test_truth_of_any_type_is_drawn(run: Run, dtype: type) -> None:
    """Wide whole numbers too, as other programs write label maps: colours are kept for small ones only."""
    image = read_image(run, run.row(0), 0)
    truth = labels_on(Volume(np.full(image.shape, 4, dtype), image.affine, Path("m"), "m"), image)
    shown = Shown("1", image, "", truth, truth, None, LABELS, {}, LABELS["bean"])
    assert "axial line" in pictures(shown, Controls(0, 150, 300, FILL, OUTLINE, False), (1, 1, 1), ())
    assert truth.array.dtype == np.uint8


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sources": ["/etc/hostname"]}, "does not lie in the inputs"),
        ({"shape": "1x2x3"}, "has changed since the run"),
    ],
)
def test_a_row_cannot_name_what_the_run_was_not_given(
    run: Run, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        read_image(run, dict(run.row(0)) | changes, 0)


def test_a_case_cannot_lead_out_of_the_run(run: Run) -> None:
    row = dict(run.row(0)) | {"case": "../../elsewhere"}
    with pytest.raises(UserError, match="run folder"):
        medical_case.artefact(run, "masks", row)


def decoded(png: str) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(b64decode(png), np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image, np.uint8)

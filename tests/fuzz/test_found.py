"""What the harness found: inputs that once ended without a clear reason, or were refused for no good one."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from scipy.io import savemat

from apps.items import Run
from apps.viewers import viewer_of
from fuzz.containers import pack, unpack
from fuzz.readers import load
from pipelines.common.errors import InputError
from pipelines.common.media.folders import natural
from pipelines.medical.generate.files import dicom_series
from pipelines.polyp.data import read_camera
from pipelines.wafer.generate.files import npy, npz

COORDINATES = {
    "defects": npy(np.zeros((2, 2), np.float32)),
    "offsets": npy(np.zeros(1, np.int64)),
    "counts": npy(np.array([2])),
    "diameter_mm": npy(np.array([300.0], np.float32)),
}
UTF_16 = "lot,x_mm,y_mm\nA,1,2\n".encode("utf-16")
STDF = b"\x02\x00\x00\x0a\x02\x04" + b"\x0a\x00\x02\x0a" + b"\x01\xff\x00\x00\x00\x00\x03\xff\xff\xff"


def zipped(**members: bytes) -> bytes:
    return pack({f"{name}.npy": content for name, content in members.items()})


def of_zip_version_99() -> bytes:
    whole = bytearray(npz(a=np.ones((2, 2), np.uint8)))
    entry = whole.index(b"PK\x01\x02")
    whole[entry + 6 : entry + 8] = (99).to_bytes(2, "little")
    return bytes(whole)


def with_true_in_its_shape() -> bytes:
    return zipped(**{**COORDINATES, "diameter_mm": COORDINATES["diameter_mm"].replace(b"(1,)", b"(True,)")})


def npy_of_shape(shape: str) -> bytes:
    header = f"{{'descr': '|b1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def in_file(name: str, content: bytes, **others: bytes) -> bytes:
    """An input of readers that take a folder."""
    return pack({name: content} | {other.replace("__", "."): one for other, one in others.items()})


def mat_without_a_type() -> bytes:
    """A matrix of two numbers whose type is 0."""
    stream = io.BytesIO()
    savemat(stream, {"loc": np.array([[1.5, 2.5]])})
    return stream.getvalue().replace(struct.pack("<II", 9, 16), struct.pack("<II", 0, 16))


def nifti_of_endless_voxels() -> bytes:
    image = nibabel.Nifti1Image(np.ones((2, 2, 2), np.int16), np.eye(4))
    image.set_sform(np.eye(4), 1)
    content = bytearray(image.to_bytes())
    struct.pack_into("<f", content, 280, 3e38)  # the first number of srow_x
    return bytes(content)


def with_about(**about: object) -> bytes:
    """A data set in nnU-Net's layout with this `dataset.json`."""
    return in_file("imagesTr/a_0000.nii", b"", dataset__json=json.dumps(about).encode())


def doubled(levels: int) -> bytes:
    """YAML of some hundred bytes whose last value holds 2 to the power of `levels` ones."""
    rest = "".join(f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]\n" for level in range(1, levels))
    return ("a0: &a0 [1, 1]\n" + rest).encode()


def past_run(**files: bytes) -> bytes:
    """A run of wafer maps with these files in place of its own."""
    given = {name.replace("__", "."): content for name, content in files.items()}
    return pack({**unpack(load("past_runs").seeds()[0]), **given})


def row_of_a_map(**facts: object) -> bytes:
    row = json.loads(unpack(load("past_runs").seeds()[0])["results.jsonl"].splitlines()[0])
    return json.dumps({**row, **facts}).encode() + b"\n"


def coco_with(part: str, **facts: object) -> bytes:
    """A list of heads with these facts in the first of its images or annotations."""
    about = json.loads(unpack(load("crowd_lists").seeds()[1])["coco.json"])
    about[part][0] |= facts
    return in_file("coco.json", json.dumps(about).encode(), a__png=b"", b__png=b"")


def segmenter() -> dict[str, bytes]:
    return next(found for seed in load("model").seeds() if "medical.task" in (found := unpack(seed)))


def plan_of_blocks(blocks: int) -> dict[str, Any]:
    """The plan of a dense network with so many blocks in its first level."""
    plan: dict[str, Any] = json.loads(segmenter()["config.json"])["plan"]
    levels = len(plan["network"]["channels"])
    plan["network"] |= {"name": "dense-unet", "blocks": [blocks] + [1] * (levels - 1)}
    return plan


def segmenter_with(**facts: object) -> bytes:
    """A model of volumes with these facts in its config; without members, as its weights are none."""
    files = segmenter()
    config = {**json.loads(files["config.json"]), "kind": "segmenter", "members": 0, **facts}
    return pack({**files, "config.json": json.dumps(config).encode()})


def e142_at(x: int) -> bytes:
    return load("e142").seeds()[-1].replace(b'X="2" Y="1"', f'X="{x}" Y="1"'.encode())


DEEP = b"[" * 5_000
RUN = load("run_folder").seeds()
MHA = (
    b"NDims = 3\nDimSize = 1 1 1\nElementSpacing = 1e300 1 1\nOffset = 0 0 0\nElementType = MET_UCHAR\n"
    b"TransformMatrix = 1e300 0 0 0 1 0 0 0 1\nElementDataFile = LOCAL\n\0"
)
SQUARE = b"[[0, 0], [0, 1], [1, 1], [1, 0]]"
NRRD = (
    b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1 1 1\nspace: LPS\nencoding: raw\n"
    b"space directions: (inf,0,0) (0,1,0) (0,0,1)\n\n\0"
)
EVALUATED = b'{"rows": [{"case": "a", "label": "b", "status": "ok", "detection": "found", "dice": %s}]}'
CASE = {"width": 8, "height": 6, "fx": 10**400, "fy": 1, "cx": 4, "cy": 3}


FOUND = [
    ("crowd_labels", in_file("mat", mat_without_a_type()), "holds no real numbers"),
    ("ground", b'{"pixels_per_metre": 1e-320}', "no scale of an image"),
    ("ground", b'{"pixels_per_metre": 1%s}' % (b"0" * 400), "no scale of an image"),
    (
        "ground",
        b'{"image": [[1e200, 0], [0, 1], [1, 1], [0, 0]], "ground_m": [[0, 0], [0, 1], [1, 1], [1, 0]]}',
        "finite",
    ),
    (
        "zones",
        b'[{"name": "a", "polygon": [[0, 0], [1e308, 0], [1, 1]]}, {"name": "b", "polygon": [[0, 0]]}]',
        "no usable numbers",
    ),
    ("zones", b"[" + b",".join([b'{"polygon": [[0, 0]]}'] * 2_000) + b"]", "at most 1,000 are read"),
    ("e142", e142_at(2**63 - 1), "whole numbers up to"),
    ("e142", e142_at(-(2**63)), "whole numbers up to"),
    ("e142", b'<?xml version="1.0" encoding="UTF-7"?><MapData/>', "encoding that is not read"),
    ("g85", b'<?xml version="1.0" encoding="UTF-99"?><Map/>', "encoding that is not read"),
    ("nifti", nifti_of_endless_voxels(), "does not place the voxels"),
    ("npy", npy_of_shape("(0, 59223372036854775808, 9)"), "which no array has"),
    ("npy", npy_of_shape("(0, 5, 2147483648, 2147483648)"), "which no array has"),
    (
        "metaimage",
        in_file("a.mha", MHA + b"TransformMatrix = 1e300 0 0 0 1 0 0 0 1\nElementDataFile = LOCAL\n\0"),
        "does not place the voxels",
    ),
    ("nrrd", in_file("a.nrrd", NRRD), "does not place the voxels"),
    ("config", in_file("wafer.yaml", DEEP), "cannot be read"),
    ("config", in_file("wafer.yaml", b"{}", sets=b"seed=" + b"9" * 5_000), "seed"),
    ("config", in_file("wafer.yaml", b"{}", sets=b"seed=" + DEEP), "seed"),
    ("config", in_file("plan.yaml", DEEP), "cannot be read"),
    ("config", in_file("plan.yaml", b"labels: !!timestamp now"), "cannot be read"),
    ("config", in_file("wafer.yaml", b"seed: !!timestamp now"), "cannot be read"),
    ("config", in_file("wafer.yaml", b"{}", sets=b"seed=!!timestamp now"), "seed"),
    ("config", in_file("wafer.yaml", doubled(30) + b"seed: *a29"), "refers to another part of itself"),
    ("config", in_file("plan.yaml", doubled(30) + b"labels: *a29"), "refers to another part of itself"),
    (
        "config",
        in_file("wafer.yaml", b"seed: [%s]" % (b"1," * 90_000)),
        "seed: should be a valid integer, not [1,",
    ),
    ("past_runs", past_run(run__json=DEEP), "cannot be read"),
    ("past_runs", past_run(results__jsonl=DEEP + b"\n"), "damaged in line 1"),
    ("past_runs", past_run(results__jsonl=b"\xff\n"), "damaged in line 1"),
    ("past_runs", past_run(results__jsonl=row_of_a_map(defects="many")), "damaged in line 1: defects"),
    ("past_runs", past_run(results__jsonl=row_of_a_map(diameter_mm=1e999)), "damaged in line 1: diameter_mm"),
    ("past_runs", past_run(latents__jsonl=DEEP + b'\n{"source": "a", "map": 1e999}\n'), "has a latent"),
    ("measurements", b'{"rows": %s' % DEEP, "cannot be read"),
    ("measurements", EVALUATED % (b"1" + b"0" * 400), "no number"),
    (
        "measurements",
        b'{"rows": [{"case": "a", "label": "b", "status": "ok", "detection": "found"}, {}]}',
        "rows",
    ),
    ("model", in_file("metrics.json", b'{"median_mm": 1%s}' % (b"0" * 400)), "cannot be read"),
    ("model", in_file("metrics.json", DEEP), "cannot be read"),
    ("model", segmenter_with(members=1e999), "is damaged"),
    ("model", segmenter_with(training=[]), "is damaged"),
    ("model", segmenter_with(members=1, plan=plan_of_blocks(2**32)), "far larger than its weights"),
    ("polyp_tables", b"polyp" + b"," * 60_000, "at most 1,000 are read"),  # took seconds
    ("model", in_file("config.json", DEEP, model__safetensors=b""), "cannot be read"),
    ("run_folder", in_file("run.json", DEEP), "no run folder"),
    ("table", UTF_16[:-1], "UTF-16"),
    ("table", b"x_mm,y_mm\n1e300,0\n", "from the wafer's centre"),
    ("npz", zipped(**{**COORDINATES, "defects": npy(np.full((2, 2), 1e30))}), "from the wafer's centre"),
    ("npz", of_zip_version_99(), "damaged"),
    ("npz", zipped(**COORDINATES, lot=npy(np.array([0x110000], np.uint32).view("U1"))), "do not exist"),
    (
        "sinf",
        b"ROWCT:1\nCOLCT:1\nBCEQU:01\nXDIES:1e300\nYDIES:1\nRowData:01\n",
        "more than the largest wafer",
    ),
    ("stdf", STDF, "no UTF-8"),
    ("labelled", pack({"labels.csv": b"source,map,label\na\0b,0,none\n"}), "no name of a file"),
]


@pytest.mark.parametrize(("reader", "data", "words"), FOUND, ids=[f"{n} {w}" for n, _, w in FOUND])
def test_it_is_refused_with_a_reason(reader: str, data: bytes, words: str, tmp_path: Path) -> None:
    found = load(reader)
    try:
        said = list(found.read(data, tmp_path))
    except found.errors as error:
        said = [str(error)]
    assert any(words in one for one in said), said


@pytest.mark.parametrize(
    ("reader", "data"),
    [
        ("sinf", b"ROWCT:1\nCOLCT:1\nBCEQU:01\nLOT:\xce\nRowData:01\n\xce"),  # the last sign is half of one
        ("npz", with_true_in_its_shape()),
        ("npy", npy(np.ones((2, 2), np.uint8)).replace(b"(2, 2)", b"(2L,2)")),  # as Python 2 wrote it
        ("ground", b'{"homography": [[1, 0, 0], [0, 1, 0], [1e-5, 1e-320, 1]]}'),
        ("crowd_lists", coco_with("images", width=10**400)),
        ("crowd_lists", coco_with("annotations", category_id=[])),
        ("volume_lists", with_about(labels={"organ": "9" * 5_000})),
        ("volume_lists", with_about(channel_names={"9" * 5_000: "CT"})),
    ],
)
def test_it_is_read(reader: str, data: bytes, tmp_path: Path) -> None:
    assert list(load(reader).read(data, tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", json.dumps({"schema_version": 1, "task": "medical", "model": [1]}).encode()),
        ("run.json", json.dumps({"schema_version": 1, "task": "medical", "inputs": 7}).encode()),
        ("run.json", json.dumps({"schema_version": 1, "task": "medical", "folder": "\ud800"}).encode()),
        ("pictures.jsonl", b"\xff\xfe\n\xe0\n"),
        ("results.jsonl", b'{"source": "a"\r, "status": "ok"}\n'),
        ("results.jsonl", b"{}\n"),
        ("results.jsonl", DEEP + b"\n"),
    ],
)
def test_a_damaged_run_is_opened_or_refused(name: str, content: bytes, tmp_path: Path) -> None:
    found = load("run_folder")
    medical = unpack(RUN[2])
    try:
        found.read(pack({**medical, name: content}), tmp_path)
    except found.errors as error:
        assert str(error)


def test_rows_that_cannot_be_sorted_are_damaged(tmp_path: Path) -> None:
    rows = [{"probability": "high"}, {"novelty": [1]}, {"lot": 7}, {"class": None}, {}]
    rows += [{"novelty": 10**400}, {"threshold": float("nan")}, {"probability": float("inf")}]
    wafer = unpack(RUN[0])
    good = json.loads(wafer["results.jsonl"].splitlines()[0])
    lines = "".join(json.dumps({**good, **one}) + "\n" for one in rows)
    for name, content in {**wafer, "results.jsonl": lines.encode()}.items():
        (tmp_path / name).write_bytes(content)
    run = Run(tmp_path, viewer_of("wafer"))
    assert (len(run.items), run.damaged) == (1, 7)


def test_a_camera_of_endless_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps(CASE))
    with pytest.raises(InputError, match="fx is no number"):
        read_camera(tmp_path / "calibration.json")


def test_names_of_any_length_are_sorted() -> None:
    assert natural("9" * 5_000) > natural("1" * 5_000)


def test_a_slice_that_asks_for_more_memory_than_there_is_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("pipelines.medical.data.dicom.reading.pydicom.dcmread", exhausted)
    slices = dicom_series(np.ones((4, 4, 1), np.int16), np.eye(4), 1, "one")
    assert "damaged" in load("dicom").read(pack({"IM0": slices[0]}), tmp_path)[0]


def test_tables_of_excel_with_damaged_names_and_endless_numbers(tmp_path: Path) -> None:
    found = load("polyp_tables")
    good = found.seeds()[-1]
    at = good.rindex(b"xl/sharedStrings.xml")  # in the directory, whose names may be marked as UTF-8
    flags = good.rindex(b"PK\x01\x02") + 8
    damaged = bytearray(good)
    damaged[at + 3 : at + 5], damaged[flags + 1] = b"\xff\xfe", 0x08
    with pytest.raises(InputError, match="no Excel table"):
        found.read(bytes(damaged), tmp_path)
    parts = unpack(good)
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b"<v>0</v>", b"<v>" + b"9" * 5_000 + b"</v>")
    assert found.read(pack({**parts, "xl/worksheets/sheet1.xml": sheet}), tmp_path) == []


def test_an_edge_that_is_level_but_for_rounding(tmp_path: Path) -> None:
    zone = b'[{"name": "a", "polygon": [[0, 1e-310], [90, 0], [90, 60], [0, 60]]}]'
    assert list(load("zones").read(zone, tmp_path)) == []

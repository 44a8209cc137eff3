from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.medical.data import VolumeError, read_volume
from tests.pipelines.medical.data.made import (
    affine_of,
    assert_as_itk,
    itk_image,
    noise,
    rotation,
    signed_permutations,
    sitk,
)

ARRAY = noise((3, 4, 5))
DATA = ARRAY.astype("<i2").tobytes(order="F")


def metaimage(data: bytes = DATA, /, **changes: str | None) -> bytes:
    """A file as text and voxels; a field that is None is left out."""
    fields: dict[str, str | None] = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "10 20 30",
        "ElementSpacing": "1 2 3",
        "DimSize": "3 4 5",
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    fields |= changes
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # which ends the header
    lines = [f"{name} = {value}\n" for name, value in fields.items() if value is not None]
    return "".join(lines).encode() + data


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("ending", [".mha", ".mhd"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "float32", "float64"])
def test_what_simpleitk_writes(tmp_path: Path, dtype: str, packed: bool, ending: str) -> None:
    image = itk_image(np.clip(noise(), 0, 100).astype(dtype), affine_of(rotation(1), (1, 2, 3), (4, 5, 6)))
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(image, str(path), packed)
    volume = read_volume(path)
    assert_as_itk(volume, image)
    assert volume.array.dtype == (np.float32 if dtype == "float64" else dtype)
    assert (volume.name, volume.notes) == ("case", ())


def test_every_orientation_is_read_as_simpleitk_reads_it(tmp_path: Path) -> None:
    for number, axes in enumerate(signed_permutations()):
        image = itk_image(noise(), affine_of(axes, (0.7, 0.8, 2.5), (-20, 15, 100)))
        path = tmp_path / f"{number}.mha"
        sitk.WriteImage(image, str(path))
        assert_as_itk(read_volume(path), image)


HEADERS = st.fixed_dictionaries(
    {
        "axes": st.integers(0, 10_000).map(rotation),
        "spacing": st.tuples(*[st.floats(0.01, 20)] * 3),
        "origin": st.tuples(*[st.floats(-1000, 1000)] * 3),
        "shape": st.tuples(*[st.integers(2, 6)] * 3),
        "big": st.booleans(),
        "packed": st.booleans(),
        "names": st.sampled_from(
            [
                ("TransformMatrix", "Offset", "BinaryDataByteOrderMSB"),
                ("Orientation", "Position", "ElementByteOrderMSB"),
                ("Rotation", "Origin", "ElementByteOrderMSB"),
            ]
        ),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=HEADERS)
def test_headers_of_any_kind(tmp_path: Path, drawn: dict[str, Any]) -> None:
    """Read as SimpleITK reads them, where it knows the names, and as they were meant."""
    array = noise(drawn["shape"])
    data = array.astype(">i2" if drawn["big"] else "<i2").tobytes(order="F")
    matrix, offset, order = drawn["names"]
    names = {
        "TransformMatrix": None,
        "Offset": None,
        "BinaryDataByteOrderMSB": None,
        matrix: " ".join(f"{one:.12g}" for one in drawn["axes"].T.ravel()),
        offset: " ".join(f"{one:.12g}" for one in drawn["origin"]),
        order: str(drawn["big"]),
        "ElementSpacing": " ".join(f"{one:.12g}" for one in drawn["spacing"]),
        "DimSize": " ".join(map(str, drawn["shape"])),
        "CompressedData": str(drawn["packed"]),
    }
    if drawn["packed"]:
        data = zlib.compress(data)
        names["CompressedDataSize"] = str(len(data))
    path = saved(tmp_path / "case.mha", metaimage(data, **names))
    volume = read_volume(path)
    lps = affine_of(drawn["axes"], drawn["spacing"], drawn["origin"])
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ lps, atol=1e-8)
    np.testing.assert_array_equal(volume.array, array)
    if matrix == "TransformMatrix":
        assert_as_itk(volume, sitk.ReadImage(str(path)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_an_error_for_the_user_or_none(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(metaimage())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[position] = data.draw(st.integers(0, 255))
    try:
        volume = read_volume(saved(tmp_path / "case.mha", bytes(content)))
    except VolumeError:
        return
    assert volume.array.size > 0 and np.isfinite(volume.affine).all()


@pytest.mark.parametrize(
    ("name", "words"),
    [("ElementSpacing", "no spacing"), ("TransformMatrix", "left"), ("Offset", "first voxel")],
)
def test_what_is_assumed_is_noted(tmp_path: Path, name: str, words: str) -> None:
    volume = read_volume(saved(tmp_path / "case.mha", metaimage(**{name: None})))
    assert any(words in note for note in volume.notes)
    np.testing.assert_array_equal(volume.array, ARRAY)


def test_the_size_stands_in_for_the_spacing(tmp_path: Path) -> None:
    content = metaimage(ElementSpacing=None, ElementSize="2 2 4")
    assert read_volume(saved(tmp_path / "case.mha", content)).spacing == (2, 2, 4)


@pytest.mark.parametrize("size", ["-1", "12"])
def test_what_lies_before_the_voxels_is_skipped(tmp_path: Path, size: str) -> None:
    saved(tmp_path / "voxels.raw", b"twelve bytes" + DATA)
    header = metaimage(b"", HeaderSize=size, ElementDataFile="voxels.raw")
    np.testing.assert_array_equal(read_volume(saved(tmp_path / "case.mhd", header)).array, ARRAY)


def test_the_modality_is_kept(tmp_path: Path) -> None:
    content = metaimage(Modality="MET_MOD_CT")
    assert read_volume(saved(tmp_path / "case.mha", content)).modality == "CT"

"""No file, however damaged or hostile, ends a batch or takes more memory than it could fill."""

from __future__ import annotations

import gzip
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipelines.medical.data import VolumeError, VolumeFile, find_volumes, read_volume
from tests.pipelines.medical.data.made import AFFINE, noise
from tests.pipelines.medical.data.test_metaimage import metaimage
from tests.pipelines.medical.data.test_nrrd import nrrd

MIB = 2**20
SECONDS = 30.0
NOISE = np.random.default_rng(0).bytes(20_000)
NAN = float("nan")


def nifti(array: Any = None, affine: Any = AFFINE, **header: Any) -> bytes:
    """A .nii file with these fields of its header changed after it was made."""
    image: Any = nib.Nifti1Image(noise() if array is None else array, affine)
    content = image.to_bytes()
    made = nib.Nifti1Header(content[:348])
    for name, value in header.items():
        made[name] = value
    return bytes(made.binaryblock) + bytes(content[348:])


def dim(*sides: int) -> list[int]:
    return [len(sides), *sides, *([1] * (7 - len(sides)))]


def bomb(head: bytes, mebibytes: int = 300) -> bytes:
    """`head` and then zeros, in about a thousandth of their size."""
    return gzip.compress(head) + gzip.compress(bytes(10 * MIB)) * (mebibytes // 10)


NO_PLACE = {"srow_x": [0] * 4, "srow_y": [0] * 4, "srow_z": [0] * 4, "qform_code": 0, "sform_code": 1}
COLOURS = np.zeros(3, [("R", "u1"), ("G", "u1"), ("B", "u1")])[:, None, None]


@dataclass(frozen=True)
class Bad:
    """A file, and words of what is said of it."""

    name: str
    file: str
    make: Callable[[], bytes]
    words: str


CASES = [
    Bad("empty", "a.nii.gz", lambda: b"", "no NIfTI file"),
    Bad("text as NIfTI", "a.nii", lambda: b"hello " * 200, "no NIfTI file"),
    Bad("noise as gzip", "a.nii.gz", lambda: b"\x1f\x8b" + NOISE, "gzip data is damaged"),
    Bad("header cut", "a.nii", lambda: nifti()[:200], "cut short"),
    Bad("voxels cut", "a.nii", lambda: nifti()[:-10], "cannot hold"),
    Bad("gzip cut", "a.nii.gz", lambda: gzip.compress(nifti())[:-60], "damaged or cut short"),
    Bad("gzip without its end", "a.nii.gz", lambda: gzip.compress(nifti())[:-4], "damaged or cut short"),
    Bad("gzip of a part", "a.nii.gz", lambda: gzip.compress(nifti()[:-10]), "bytes of voxels are there"),
    Bad("gzip checksum", "a.nii.gz", lambda: gzip.compress(nifti())[:-8] + bytes(8), "damaged or cut"),
    Bad("four axes", "a.nii", lambda: nifti(noise((3, 3, 3, 5))), "5 volumes along a fourth axis"),
    Bad("two axes", "a.nii", lambda: nifti(noise((3, 3))), "2D image"),
    Bad("no axes", "a.nii", lambda: nifti(dim=[0] * 8), "number of axes that no image has"),
    Bad("many axes", "a.nii", lambda: nifti(dim=[9] * 8), "number of axes that no image has"),
    Bad("side of zero", "a.nii", lambda: nifti(dim=dim(0, 5, 4)), "no volume has"),
    Bad("negative side", "a.nii", lambda: nifti(dim=dim(-7, 5, 4)), "no volume has"),
    Bad("huge header", "a.nii", lambda: nifti(dim=dim(30_000, 30_000, 1100)), "at most"),
    Bad("huge but allowed", "a.nii", lambda: nifti(dim=dim(1024, 1024, 1000)), "cannot hold"),
    Bad("huge, gzip", "a.nii.gz", lambda: gzip.compress(nifti(dim=dim(1024, 1024, 1000))), "cannot hold"),
    Bad("colours", "a.nii", lambda: nifti(COLOURS), "colours or complex"),
    Bad("complex", "a.nii", lambda: nifti(np.zeros((2, 2, 2), np.complex64)), "colours or complex"),
    Bad("unknown type", "a.nii", lambda: nifti(datatype=999), "unknown type of voxels, 999"),
    Bad("zero affine", "a.nii", lambda: nifti(**NO_PLACE), "does not place the voxels"),
    Bad("NaN affine", "a.nii", lambda: nifti(**{**NO_PLACE, "srow_x": [NAN] * 4}), "does not place"),
    Bad("axes in a plane", "a.nii", lambda: nifti(**{
        **NO_PLACE, "srow_x": [1, 1, 0, 0], "srow_y": [1, 1, 0, 0], "srow_z": [0, 0, 1, 0]
    }), "does not place"),
    Bad("no spacing", "a.nii", lambda: nifti(qform_code=0, sform_code=0, pixdim=[0] * 8), "does not place"),
    Bad("infinite slope", "a.nii", lambda: nifti(scl_slope=np.inf, scl_inter=1), "*"),
    Bad("NaN offset", "a.nii", lambda: nifti(vox_offset=NAN), "puts the voxels at byte nan"),
    Bad("far offset", "a.nii", lambda: nifti(vox_offset=1e30), "puts the voxels at byte 1e"),
    Bad("bomb behind the voxels", "a.nii.gz", lambda: bomb(nifti()), "*"),
    Bad("bomb of extensions", "a.nii.gz", lambda: bomb(nifti(vox_offset=1e9)), "puts the voxels at byte"),
    Bad("Analyze", "a.hdr", lambda: struct.pack("<i", 348) + bytes(344), "Analyze 7.5"),
    Bad("NRRD, magic only", "a.nrrd", lambda: b"NRRD0004\n", "lacks the field"),
    Bad("NRRD, text", "a.nrrd", lambda: b"nothing", "NRRD header is damaged"),
    Bad("NRRD, empty", "a.nrrd", lambda: b"", "NRRD header is damaged"),
    Bad("NRRD, noise", "a.nrrd", lambda: b"NRRD0004\n" + NOISE, "NRRD header is damaged"),
    Bad("NRRD, endless line", "a.nrrd", lambda: b"NRRD0004\n#" + b"x" * 3 * MIB, "is longer than"),
    Bad("NRRD, sizes", "a.nrrd", lambda: nrrd(sizes="3 4"), "2 sizes for 3 axes"),
    Bad("NRRD, directions", "a.nrrd", lambda: nrrd(space_directions="(1,0,0) (0,2,0)"), "2 space directions"),
    Bad("NRRD, bad sizes", "a.nrrd", lambda: nrrd(sizes="3 x 5"), "NRRD header is damaged"),
    Bad("NRRD, huge", "a.nrrd", lambda: nrrd(sizes="100000 100000 100"), "at most"),
    Bad("NRRD, side too long", "a.nrrd", lambda: nrrd(sizes="9999999999 1 1"), "no volume has"),
    Bad("NRRD, cut", "a.nrrd", lambda: nrrd()[:-10], "cannot hold|bytes of voxels are there"),
    Bad("NRRD, values", "a.nrrd", lambda: nrrd(
        dimension="4", sizes="3 3 4 5", space_directions="none (1,0,0) (0,2,0) (0,0,3)", kinds=None
    ), "3 values per voxel"),
    Bad("NRRD, two axes of space", "a.nrrd", lambda: nrrd(
        space=None, space_dimension="2", space_directions="(1,0) (0,2) (0,3)", space_origin="(0,0)"
    ), "its space has 2 axes"),
    Bad("NRRD, no spacing", "a.nrrd", lambda: nrrd(space_directions=None), "size of a voxel is unknown"),
    Bad("NRRD, NaN", "a.nrrd", lambda: nrrd(space_directions="(nan,0,0) (0,2,0) (0,0,3)"), "does not place"),
    Bad("NRRD, flat", "a.nrrd", lambda: nrrd(space_directions="(1,0,0) (1,0,0) (0,0,3)"), "does not place"),
    Bad("NRRD, type", "a.nrrd", lambda: nrrd(type="block"), "unknown type 'block'"),
    Bad("NRRD, order", "a.nrrd", lambda: nrrd(endian=None), "order the bytes"),
    Bad("NRRD, encoding", "a.nrrd", lambda: nrrd(encoding="hex"), "encoding is 'hex'"),
    Bad("NRRD, bad gzip", "a.nrrd", lambda: nrrd(NOISE, encoding="gzip"), "packed voxels are damaged"),
    Bad("NRRD, bad bzip2", "a.nrrd", lambda: nrrd(NOISE, encoding="bzip2"), "packed voxels are damaged"),
    Bad("NRRD, skip", "a.nrrd", lambda: nrrd(byte_skip="-5"), "skips a part"),
    Bad("NRRD, skip all", "a.nrrd", lambda: nrrd(byte_skip="9000"), "bytes of voxels are there"),
    Bad("NRRD, bomb", "a.nrrd", lambda: nrrd(zlib.compress(bytes(300 * MIB), 1), encoding="gzip"), "*"),
    Bad("NRRD, up", "a.nhdr", lambda: nrrd(b"", data_file="../secret.raw"), "same folder as the header"),
    Bad("NRRD, absolute", "a.nhdr", lambda: nrrd(b"", data_file="/etc/passwd"), "same folder"),
    Bad("NRRD, list", "a.nhdr", lambda: nrrd(b"", data_file="LIST"), "there is no 'LIST' beside it"),
    Bad("NRRD, absent", "a.nhdr", lambda: nrrd(b"", data_file="x.raw"), "there is no 'x.raw' beside it"),
    Bad("NRRD, itself", "a.nhdr", lambda: nrrd(b"", data_file="."), "there is no '.' beside it"),
    Bad("mha, empty", "a.mha", lambda: b"", "no ElementDataFile"),
    Bad("mha, text", "a.mhd", lambda: b"hello\nworld\n", "without '='"),
    Bad("mha, noise", "a.mha", lambda: b"ObjectType = Image\n" + NOISE, "damaged|cut short"),
    Bad("mha, endless", "a.mha", lambda: b"NDims = 3\nA = " + b"x" * 3 * MIB, "is longer than"),
    Bad("mha, cut", "a.mha", lambda: metaimage()[:-10], "cannot hold|bytes of voxels are there"),
    Bad("mha, channels", "a.mha", lambda: metaimage(ElementNumberOfChannels="3"), "3 values per voxel"),
    Bad("mha, four axes", "a.mha", lambda: metaimage(
        NDims="4", DimSize="3 4 5 2", ElementSpacing="1 1 1 1", Offset="0 0 0 0", TransformMatrix=None
    ), "it holds 2 volumes"),
    Bad("mha, two axes", "a.mha", lambda: metaimage(
        NDims="2", DimSize="3 4", ElementSpacing="1 1", Offset="0 0", TransformMatrix=None
    ), "three axes is needed"),
    Bad("mha, axes", "a.mha", lambda: metaimage(NDims="1000000"), "states 1000000 axes"),
    Bad("mha, sizes", "a.mha", lambda: metaimage(DimSize="3 4 x"), "3 numbers in 'dimsize'"),
    Bad("mha, huge", "a.mha", lambda: metaimage(DimSize="1000000 1000000 1"), "at most"),
    Bad("mha, 1e30", "a.mha", lambda: metaimage(DimSize="1e30 1 1"), "no volume has"),
    Bad("mha, type", "a.mha", lambda: metaimage(ElementType="MET_OTHER"), "ElementType is 'MET_OTHER'"),
    Bad("mha, spacing", "a.mha", lambda: metaimage(ElementSpacing="1 0 1"), "must be above 0"),
    Bad("mha, NaN", "a.mha", lambda: metaimage(Offset="nan 0 0"), "3 numbers in 'offset'"),
    Bad("mha, flat", "a.mha", lambda: metaimage(TransformMatrix="0 " * 9), "does not place"),
    Bad("mha, as text", "a.mha", lambda: metaimage(BinaryData="False"), "stored as text"),
    Bad("mha, bad zlib", "a.mha", lambda: metaimage(NOISE, CompressedData="True"), "are damaged"),
    Bad("mha, bomb", "a.mha", lambda: metaimage(
        zlib.compress(bytes(300 * MIB), 1), CompressedData="True"
    ), "*"),
    Bad("mha, up", "a.mhd", lambda: metaimage(b"", ElementDataFile="../secret.raw"), "same folder"),
    Bad("mha, absolute", "a.mhd", lambda: metaimage(b"", ElementDataFile="/etc/passwd"), "same folder"),
    Bad("mha, link", "a.mhd", lambda: metaimage(b"", ElementDataFile="link.raw"), "same folder"),
    Bad("mha, backslash", "a.mhd", lambda: metaimage(b"", ElementDataFile="..\\secret.raw"), "same"),
    Bad("mha, list", "a.mhd", lambda: metaimage(b"", ElementDataFile="LIST"), "one file per slice"),
    Bad("mha, pattern", "a.mhd", lambda: metaimage(b"", ElementDataFile="%03d.raw 1 9 1"), "per slice"),
    Bad("mha, long name", "a.mhd", lambda: metaimage(b"", ElementDataFile="x" * 5000), "cannot be opened"),
    Bad("mha, absent", "a.mhd", lambda: metaimage(b"", ElementDataFile="b.raw"), "there is no 'b.raw'"),
    Bad("DICOM, cut", "a.dcm", lambda: bytes(128) + b"DICM\x02\x00", "damaged"),
    Bad("DICOM, noise", "a", lambda: bytes(128) + b"DICM" + NOISE, "damaged"),
    Bad("DICOM, text", "a.dcm", lambda: b"hello " * 100, "damaged"),
    Bad("DICOM, deflated", "a", lambda: bytes(128) + b"DICM 1.2.840.10008.1.2.1.99", "deflated as a whole"),
]  # fmt: skip


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_malformed(tmp_path: Path, case: Bad) -> None:
    """The reason is said, or the oddity is harmless (`*`); a good file beside it is read in any case."""
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(10_000))
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    (folder / case.file).write_bytes(case.make())
    (folder / "good.nii").write_bytes(nifti())
    tracemalloc.start()
    began = time.process_time()
    try:
        found = list(find_volumes([folder]))
        if case.words == "*":
            assert read_volume(folder / case.file).array.size > 0
        else:
            with pytest.raises(VolumeError, match=case.words):
                read_volume(folder / case.file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < SECONDS
    assert peak < 80 * MIB
    good = [one for one in found if isinstance(one, VolumeFile) and one.name == "good"]
    np.testing.assert_array_equal(read_volume(good[0]).array, noise())


@pytest.mark.parametrize(
    "content", [nifti(), gzip.compress(nifti()), nrrd(), metaimage()], ids=["nii", "gz", "nrrd", "mha"]
)
def test_damage_anywhere_is_an_error_for_the_user_or_none(tmp_path: Path, content: bytes) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "a"
    for _ in range(150):
        harmed = bytearray(content[: random.integers(len(content))] if random.random() < 0.2 else content)
        for place in random.integers(0, min(len(harmed), 400) or 1, 4 if harmed else 0):
            harmed[place] = random.integers(256)
        path.write_bytes(harmed)
        try:
            volume = read_volume(path)
        except VolumeError as error:
            assert str(path) in str(error)
            continue
        assert volume.array.ndim == 3 and np.isfinite(volume.affine).all()

"""Any files and folders to volumes, whatever their format."""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from . import dicom, metaimage, nifti, nrrd
from .limits import MAX_VOXELS
from .names import case_name
from .record import Volume, VolumeError
from .walk import SkippedFile, walk

HEAD_BYTES: Final = 1024
_DICOM: Final = "DICOM"
_FORMATS: Final[dict[str, ModuleType]] = {"NIfTI": nifti, "NRRD": nrrd, "MetaImage": metaimage, _DICOM: dicom}
_ENDINGS: Final = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".dcm": _DICOM,
}
_NO_VOLUME: Final = "no volume in a known format (NIfTI, NRRD, MetaImage, DICOM)"


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """A volume that was found and not yet read.

    path: the file, or the folder of a DICOM series.
    name: what the case is called; two files of one name are told apart by `unique_names`.
    series: of a DICOM volume.
    """

    path: Path
    format: str
    name: str
    series: dicom.Series | None = None


def find_volumes(paths: Iterable[str | Path]) -> Iterator[VolumeFile | SkippedFile]:
    """The volumes among files and folders, in the order of the paths and sorted within folders.

    A DICOM file stands for the whole of its series in its folder. Nothing comes twice. Files that the user
    named come before DICOM series that contain a named file.
    """
    seen: set[Path] = set()
    series_seen: set[tuple[Path, str]] = set()
    named: dict[Path, set[Path]] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found = _in_folders(path)
        else:
            found = iter([_look_at(path, named=True)])
        for item in found:
            if isinstance(item, VolumeFile) and item.format == _DICOM and item.series is None:
                named.setdefault(item.path.parent, set()).add(item.path)
            elif _is_new(item, seen, series_seen):
                yield item
    for folder, files in named.items():
        for item in _dicom_volumes(folder, _dicom_files(folder)):
            if isinstance(item, VolumeFile) and item.series:
                wanted = any(one.path in files for one in item.series.slices)
                if wanted and _is_new(item, seen, series_seen):
                    yield item
            elif item.path in files:
                yield replace(item, named=True) if isinstance(item, SkippedFile) else item


def read_volume(source: VolumeFile | str | Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume of a file, or of a folder with one DICOM series, of at most `max_voxels`.

    Raises VolumeError with the reason, which begins with the path.
    """
    path = source.path if isinstance(source, VolumeFile) else Path(source)
    try:
        found = source if isinstance(source, VolumeFile) else _only_volume(path)
        if found.series:
            return dicom.read(found.series, found.name, max_voxels=max_voxels)
        volume: Volume = _FORMATS[found.format].read(found.path, max_voxels=max_voxels)
        return volume
    except VolumeError as error:
        raise VolumeError(f"{path}: {error}") from error
    except OSError as error:
        raise VolumeError(f"{path}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise VolumeError(f"{path}: there is not enough memory for this volume") from error


def read_grid(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]] | None:
    """Shape and affine from a file's header alone; None for DICOM, where all slices have to be asked.

    Raises VolumeError with the reason.
    """
    found = None if path.is_dir() else _look_at(path)
    if found is None or (isinstance(found, VolumeFile) and found.format == _DICOM):
        return None
    if isinstance(found, SkippedFile):
        raise VolumeError(found.reason)
    try:
        grid: tuple[tuple[int, int, int], NDArray[np.float64]] = _FORMATS[found.format].read_grid(found.path)
        return grid
    except OSError as error:
        raise VolumeError(f"cannot be read: {error.strerror}") from error


def is_volume_name(path: Path) -> bool:
    """Whether a file's name ends as that of a volume with one file, or with a header of its own."""
    return path.name.lower().endswith((*_ENDINGS, ".hdr"))


def _only_volume(path: Path) -> VolumeFile:
    items = list(find_volumes([path]))
    volumes = [item for item in items if isinstance(item, VolumeFile)]
    if len(volumes) == 1:
        return volumes[0]
    if volumes:
        names = ", ".join(volume.name for volume in volumes[:5])
        raise VolumeError(f"it holds {len(volumes)} volumes ({names}); name one of them")
    reason = next((item.reason for item in items if isinstance(item, SkippedFile)), "the folder is empty")
    raise VolumeError(reason)


def _in_folders(top: Path) -> Iterator[VolumeFile | SkippedFile]:
    some = False
    for folder, files, other in walk(top):
        dicoms: list[Path] = []
        for path in files:
            item = _look_at(path)
            some = True
            if isinstance(item, VolumeFile) and item.format == _DICOM:
                dicoms.append(path)
            elif not _is_half_of_a_pair(path):
                yield item
        yield from _dicom_volumes(folder, dicoms)
        yield from other
    if not some:
        yield SkippedFile(top, "there is no volume in it: the folder has no files", named=True)


def _is_half_of_a_pair(path: Path) -> bool:
    """Whether these are the voxels of a .hdr beside them, which is what is read."""
    header = _header_of(path)
    return header is not None and header.is_file()


def _header_of(path: Path) -> Path | None:
    bare = path.name.removesuffix(".gz")
    return path.with_name(bare[:-4] + ".hdr") if bare.lower().endswith(".img") else None


def _look_at(path: Path, *, named: bool = False) -> VolumeFile | SkippedFile:
    """What a file is, by its content, else by its ending, so that a damaged volume is named as such."""
    header = _header_of(path)
    if header is not None and header.is_file():
        path = header
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe or a device would wait for ever
            return SkippedFile(path, "neither a file nor a folder", named)
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except FileNotFoundError:
        return SkippedFile(path, "there is no such file or folder", named)
    except OSError as error:
        return SkippedFile(path, f"cannot be read: {error.strerror}", named)
    packed = head.startswith(nifti.GZIP_MAGIC)
    head = _unpacked(head) if packed else head
    for name, reader in _FORMATS.items():
        if reader.looks_like(head):
            if packed and reader is not nifti:  # named: it is a volume, so to leave it out is a failure
                return SkippedFile(
                    path, f"{name} within gzip, which is read for NIfTI alone: unpack it", True
                )
            return VolumeFile(path, name, case_name(path))
    lower = path.name.lower()
    if lower.endswith(".hdr") and nifti.is_analyze(head):
        return VolumeFile(path, "NIfTI", case_name(path))
    for ending, name in _ENDINGS.items():
        if lower.endswith(ending):
            return VolumeFile(path, name, case_name(path))
    return SkippedFile(path, _NO_VOLUME, named)


def _unpacked(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _dicom_files(folder: Path) -> list[Path]:
    for _, files, _ in walk(folder):
        looked = [_look_at(path) for path in files]
        return [item.path for item in looked if isinstance(item, VolumeFile) and item.format == _DICOM]
    return []


def _dicom_volumes(folder: Path, paths: list[Path]) -> Iterator[VolumeFile | SkippedFile]:
    """One volume per series of a folder. Series are named after the folder, never after the patient."""
    parts = list(dicom.series_of(paths))
    for part in parts:
        if isinstance(part, dicom.NotASlice):
            yield SkippedFile(part.path, part.reason)
    series = [part for part in parts if isinstance(part, dicom.Series)]
    damaged = [part.path.name for part in parts if isinstance(part, dicom.NotASlice) and part.damaged]
    notes = tuple(f"the damaged DICOM file {name} in its folder was left out" for name in damaged[:5])
    name = folder.resolve().name or "series"
    for one in series:
        own = name if len(series) == 1 else f"{name}_{one.tag}"
        yield VolumeFile(folder, _DICOM, own, replace(one, notes=notes))


def _is_new(item: VolumeFile | SkippedFile, seen: set[Path], series_seen: set[tuple[Path, str]]) -> bool:
    if isinstance(item, VolumeFile) and item.series:
        key = (item.path.resolve(), item.series.tag)
        new = key not in series_seen
        series_seen.add(key)
        return new
    path = item.path.resolve()
    new = path not in seen
    seen.add(path)
    return new

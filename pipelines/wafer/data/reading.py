"""From paths to records: one file, a folder, a batch of both."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .dies import ASSUMED_DIAMETER_MM
from .files import detect, read_all, read_head
from .limits import DEFAULT, Limits
from .record import DieGrid, FailedMap, SkippedFile, WaferFileError, WaferMap
from .walk import walk

# Readers raise WaferFileError for what they foresee. Damage that they do not foresee shows as one of these,
# from parsing (ValueError, which holds WaferFileError and UnicodeDecodeError; LookupError, struct, zip,
# zlib), from numbers out of range (ArithmeticError), from size (MemoryError, RecursionError) or from the
# disk (OSError, EOFError).
READ_ERRORS: Final = (
    ValueError,
    LookupError,
    ArithmeticError,
    EOFError,
    OSError,
    MemoryError,
    RecursionError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

UNKNOWN_FORMAT: Final = (
    "no wafer map in a format that is read: KLARF, SINF, SEMI G85 or E142, STDF, "
    "a CSV whose header names x and y, .npy or .npz"
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read. named: by the user, so that it should hold wafers; else it was found in a folder."""

    path: Path
    named: bool


def read_file(
    path: str | Path, *, assumed_diameter_mm: float = ASSUMED_DIAMETER_MM, limits: Limits = DEFAULT
) -> Iterator[WaferMap | FailedMap]:
    """The wafers of one file, lazily and in their order.

    Whatever is wrong with the file becomes a FailedMap with the reason: one for each bad wafer of a file of
    several, one for the rest of a file that cannot be read on, and one for a file that is no wafer map at
    all.

    Args:
        assumed_diameter_mm: taken for maps that do not state their diameter.
        limits: the most that is read of the file.
    """
    path = Path(path)
    for item in _read(path, assumed_diameter_mm, limits):
        yield FailedMap(path, 0, item.reason) if isinstance(item, SkippedFile) else item


def iter_maps(
    paths: Iterable[str | Path],
    *,
    assumed_diameter_mm: float = ASSUMED_DIAMETER_MM,
    limits: Limits = DEFAULT,
) -> Iterator[WaferMap | FailedMap | SkippedFile]:
    """The wafers of many files and folders, lazily: no more than one file is held in memory.

    A folder is walked recursively in sorted order. Files in it that are no wafer map are SkippedFile; files
    that are named are FailedMap. Links in a folder that lead out of it, or to another folder, are not
    followed.

    Raises:
        WaferFileError: at once, where a named file or folder does not exist.
    """
    return (
        item
        for found in find_files(paths)
        for item in read_found(found, assumed_diameter_mm=assumed_diameter_mm, limits=limits)
    )


def find_files(paths: Iterable[str | Path]) -> Iterator[FoundFile | FailedMap | SkippedFile]:
    """The files that `iter_maps` reads, lazily and in its order, without opening one.

    Raises:
        WaferFileError: at once, where a named file or folder does not exist.
    """
    named = [Path(path) for path in paths]
    for path in named:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the name
            raise WaferFileError(f"{path} does not exist") from error
        except OSError:
            continue  # it exists but may not be looked at, which becomes a row
    return _find_files(named)


def _find_files(named: list[Path]) -> Iterator[FoundFile | FailedMap | SkippedFile]:
    for path in named:
        if not _is_folder(path):
            yield FoundFile(path, named=True)
            continue
        for found in walk(path):
            yield FoundFile(found, named=False) if isinstance(found, Path) else found


def read_found(
    found: FoundFile | FailedMap | SkippedFile,
    *,
    assumed_diameter_mm: float = ASSUMED_DIAMETER_MM,
    limits: Limits = DEFAULT,
) -> Iterator[WaferMap | FailedMap | SkippedFile]:
    """The wafers of what `find_files` has found."""
    if not isinstance(found, FoundFile):
        yield found
    elif found.named:
        yield from read_file(found.path, assumed_diameter_mm=assumed_diameter_mm, limits=limits)
    else:
        yield from _read(found.path, assumed_diameter_mm, limits)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _read(path: Path, diameter_mm: float, limits: Limits) -> Iterator[WaferMap | FailedMap | SkippedFile]:
    name, position = "", 0
    try:
        head = read_head(path)
        format = detect(head)
        if format is None:
            yield SkippedFile(path, UNKNOWN_FORMAT if head else "the file is empty")
            return
        name = f"{format.name}: "
        for item in format.read(read_all(path, limits.max_bytes), path, limits):
            position = item.position + 1
            yield with_diameter(item, diameter_mm) if isinstance(item, WaferMap) else item
    except READ_ERRORS as error:
        yield FailedMap(path, position, name + reason(error))
        return
    if position == 0:
        yield FailedMap(path, 0, f"{name}the file holds no wafer")


def with_diameter(wafer: WaferMap, diameter_mm: float) -> WaferMap:
    """The same map on a wafer of this diameter, where its file does not state one and another was assumed.

    Dies without a stated pitch span the wafer, so they grow and shrink with it.
    """
    if not wafer.diameter_assumed or diameter_mm in (ASSUMED_DIAMETER_MM, wafer.diameter_mm):
        return wafer
    scale = diameter_mm / wafer.diameter_mm
    notes = (*wafer.notes, f"a diameter of {diameter_mm:g} mm was taken, as asked for")
    wafer = replace(wafer, diameter_mm=diameter_mm, notes=notes)
    if wafer.dies is None or wafer.die_pitch_mm is not None:
        return wafer
    (width, height), (x, y) = wafer.dies.pitch_mm, wafer.dies.origin_mm
    dies = DieGrid(wafer.dies.status, (width * scale, height * scale), (x * scale, y * scale))
    return replace(wafer, defects=wafer.defects * scale, dies=dies)


def reason(error: BaseException) -> str:
    """What went wrong, in words for the user."""
    match error:
        case WaferFileError():
            return str(error)
        case OSError():
            return f"the file cannot be read: {error.strerror or error}"
        case MemoryError():
            return "reading the file needs more memory than there is"
        case _:
            return f"the file is damaged ({type(error).__name__}: {str(error)[:200]})"

"""Reading wafer maps in any of the formats that tools write. See `record` for what comes out."""

from .labelled import read_labelled
from .limits import Limits
from .reading import FoundFile, find_files, iter_maps, read_file, read_found
from .record import DieGrid, FailedMap, SkippedFile, WaferFileError, WaferMap

__all__ = [
    "DieGrid",
    "FailedMap",
    "FoundFile",
    "Limits",
    "SkippedFile",
    "WaferFileError",
    "WaferMap",
    "find_files",
    "iter_maps",
    "read_file",
    "read_found",
    "read_labelled",
]

"""Reading wafer maps in any of the formats that tools write. See `record` for what comes out."""

from .labelled import read_labelled
from .reading import iter_maps, read_file
from .record import DieGrid, FailedMap, SkippedFile, WaferFileError, WaferMap

__all__ = [
    "DieGrid",
    "FailedMap",
    "SkippedFile",
    "WaferFileError",
    "WaferMap",
    "iter_maps",
    "read_file",
    "read_labelled",
]

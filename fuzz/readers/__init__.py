"""The readers by name, each in a module of its own; loading one loads no other."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from ..reader import Reader

NAMES: Final = (
    *("wafer", "klarf", "sinf", "g85", "e142", "stdf", "table", "npy", "npz", "labelled", "past_runs"),
    *("nifti", "nrrd", "metaimage", "dicom", "volume_lists", "measurements"),
    *("voc", "polyp_tables", "polyps", "zones", "ground", "crowd_labels", "crowd_lists"),
    *("images", "model", "run_folder", "config"),
)


def load(name: str) -> Reader:
    """The reader of this name, one of NAMES."""
    reader: Reader = import_module(f"{__name__}.{name}").READER
    return reader

"""Volumes from files, and label maps into them.

`find_volumes` and `find_cases` look for what can be read, `read_volume` reads it, `read_dataset` lists cases
with labels, `write_labels` and `write_map` write results that lie exactly where their volume lies.
"""

from .channels import FoundCase, find_cases
from .dataset import Case, Dataset, read_dataset
from .files import VolumeFile, find_volumes, read_volume
from .names import case_name, unique_names
from .record import Volume, VolumeError
from .walk import SkippedFile
from .write import write_labels, write_map

__all__ = [
    "Volume",
    "VolumeError",
    "VolumeFile",
    "SkippedFile",
    "FoundCase",
    "find_volumes",
    "find_cases",
    "read_volume",
    "case_name",
    "unique_names",
    "Case",
    "Dataset",
    "read_dataset",
    "write_labels",
    "write_map",
]

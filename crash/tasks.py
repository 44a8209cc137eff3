"""The tasks, what is run of each, and which files its rows name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

OUT: Final = "run"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """words: the command, without `--out`; the inputs lie in the folder `in`. key: fields that name an item.
    companion: the file with a line per row. files: of a row, relative to the run folder. inputs: the function
    in `inputs` that writes them. module: what a run needs, to be imported once for all of them. rounding:
    figures hang on what was computed beside them, by rounding, and a run that goes on computes the rest of a
    batch that was cut by itself."""

    words: tuple[str, ...]
    key: tuple[str, ...]
    companion: str
    files: Callable[[Row], list[str]]
    inputs: str
    module: str
    rounding: bool = False

    def write_inputs(self, folder: Path) -> None:
        """Write the inputs, and the model if it is none of the bundled ones, into a new folder."""
        from . import inputs

        getattr(inputs, self.inputs)(folder)


def _no_files(row: Row) -> list[str]:
    return []


def _map_of(row: Row) -> list[str]:
    if row["status"] != "ok":
        return []
    frame = row["frame"]
    if frame is not None:
        return [f"{folder}/{row['name']}/{frame:06d}{end}" for folder, end in _MAPS]
    return [f"{folder}/{row['name']}{end}" for folder, end in (*_MAPS, ("overlays", ".jpg"))]


def _mask_of(row: Row) -> list[str]:
    if row["status"] != "ok":
        return []
    pictures = [f"pictures/{row['case']}-{plane}.png" for plane in ("axial", "coronal", "sagittal")]
    return [f"{folder}/{row['case']}.nii.gz" for folder in ("masks", "uncertainty")] + pictures


_MAPS: Final = (("maps", ".npz"), ("points", ".csv"))
TASKS: Final = {
    "wafer": Task(
        ("wafer", "classify", "in", "--set", "batch_maps=3"),
        ("source", "map"),
        "maps.jsonl",
        _no_files,
        "write_wafers",
        "pipelines.wafer.predict",
        rounding=True,
    ),
    "medical": Task(
        ("medical", "segment", "in", "--model", "model", "--uncertainty"),
        ("source", "case"),
        "pictures.jsonl",
        _mask_of,
        "write_volumes",
        "pipelines.medical.segment.run",
    ),
    "crowd": Task(
        ("crowd", "count", "in", "--points", "--video"),
        ("source", "frame"),
        "files.jsonl",
        _map_of,
        "write_crowds",
        "pipelines.crowd.count.run",
    ),
    "polyp": Task(
        ("polyp", "size", "in", "--model", "model", "--finder", "none"),
        ("source", "polyp"),
        "frames.jsonl",
        _no_files,
        "write_polyps",
        "pipelines.polyp.size.run",
    ),
}


def load(task: Task) -> None:
    """Import what a run needs, so that forks of this process have it."""
    for module in ("suite.cli", task.module):
        import_module(module)

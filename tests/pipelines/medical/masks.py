"""Folders of small label maps, and the commands that measure them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from suite import medical_measuring

app = typer.Typer(pretty_exceptions_enable=False)
app.command("evaluate")(medical_measuring.evaluate)
app.command("compare")(medical_measuring.compare)


def run(*words: object) -> Result:
    """The command with these words; an error that nobody foresaw is raised."""
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def label_map(seed: int, shape: tuple[int, int, int] = (14, 12, 10), size: int = 5) -> NDArray[np.uint8]:
    """Two cuboids, 1 and 2, near each other, at a place that the seed gives."""
    labels = np.zeros(shape, np.uint8)
    a, b, c = np.random.default_rng(seed).integers(1, 4, 3)
    labels[a : a + size, b : b + size, c : c + 2] = 1
    labels[a : a + size, b : b + size, c + 2 : c + 4] = 2
    return labels


def write_maps(
    folder: Path, maps: Mapping[str, NDArray[Any]], spacing: tuple[float, float, float] = (1.0, 1.0, 2.0)
) -> Path:
    """One NIfTI file per case."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in maps.items():
        nib.save(nib.Nifti1Image(labels, np.diag([*spacing, 1.0])), folder / f"{name}.nii.gz")
    return folder


def write_run(folder: Path, maps: Mapping[str, NDArray[Any]], labels: Any, task: str = "medical") -> Path:
    """What `suite medical segment` leaves, as far as measuring goes."""
    write_maps(folder / "masks", maps)
    record = {"schema_version": 1, "task": task, "model": {"labels": labels}}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def shifted(maps: Mapping[str, NDArray[Any]], steps: int = 1) -> dict[str, NDArray[Any]]:
    """The same label maps, some voxels further along the first axis."""
    return {name: np.roll(labels, steps, 0) for name, labels in maps.items()}

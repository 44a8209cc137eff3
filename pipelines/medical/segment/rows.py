"""One row per case, as `results.jsonl` and `results.csv` hold it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipelines.common.tables import Table
from pipelines.medical.data.record import Volume
from pipelines.medical.segment.predict import Segmentation

COLUMNS = (
    *("source", "case", "status", "error", "model", "modality", "shape", "spacing_mm"),
    *("voxels", "confidence", "seconds", "item"),
)
PER_LABEL = ("ml", "voxels", "confidence", "intensity")  # of columns `<label>_ml` and so on
KEY = ("source", "case")

Row = dict[str, Any]


def columns(names: Sequence[str]) -> list[str]:
    """The columns of `results.csv` for a model with these labels."""
    return [*COLUMNS, *(f"{name}_{what}" for name in names for what in PER_LABEL)]


def failed_row(source: Path, case: str, error: str, names: Sequence[str], model: str) -> Row:
    """The row of a case that could not be read or segmented. A reason need not repeat the source."""
    error = error.removeprefix(f"{source}: ")
    return dict.fromkeys(columns(names)) | {
        "source": str(source),
        "case": case,
        "status": "failed",
        "error": error,
        "model": model,
        "modality": "",
        "shape": "",
        "spacing_mm": "",
        "structures": {},
    }


def ok_row(
    source: Path, case: str, channels: Sequence[Volume], found: Segmentation, model: str, seconds: float
) -> Row:
    """The row of a case that was segmented; beyond the columns it says what else is known of it."""
    first = channels[0]
    all_voxels = sum(one.voxels for one in found.structures.values())
    row: Row = {
        "source": str(source),
        "case": case,
        "status": "ok",
        "error": "",
        "model": model,
        "modality": first.modality,
        "shape": "x".join(map(str, first.shape)),
        "spacing_mm": "x".join(f"{side:.4g}" for side in first.spacing),
        "voxels": all_voxels,
        "confidence": _mean_confidence(found, all_voxels),
        "seconds": round(seconds, 2),
        "item": item_hash(channels),
    }
    for name, one in found.structures.items():
        row |= {
            f"{name}_ml": _number(one.ml),
            f"{name}_voxels": one.voxels,
            f"{name}_confidence": _number(one.confidence),
            f"{name}_intensity": _number(one.intensity[0] if one.intensity else None),
        }
    row["structures"] = {
        name: {
            "ml": _number(one.ml),
            "voxels": one.voxels,
            "confidence": _number(one.confidence),
            "intensity": [_number(value) for value in one.intensity] if one.intensity else None,
            "removed": found.removed.get(name, 0),
        }
        for name, one in found.structures.items()
    }
    row["sources"] = [str(one.source) for one in channels]
    row["notes"] = [note for one in channels for note in one.notes]
    row["computed"] = _number(found.computed)
    return row


def item_hash(channels: Sequence[Volume]) -> str:
    """A hash of what was read: the voxels and where they lie; equal for equal cases."""
    digest = blake2b(digest_size=12)
    for one in channels:
        digest.update(repr((one.shape, one.array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(one.affine).tobytes())
        digest.update(np.ascontiguousarray(one.array.T).data)  # no copy: readers keep the file's order
    return digest.hexdigest()


def write_table(file: IO[str], names: Sequence[str]) -> Table:
    """A writer of `results.csv`, its header written."""
    return Table(file, columns(names))


def _mean_confidence(found: Segmentation, voxels: int) -> float | None:
    if not voxels:
        return None
    total = sum(one.voxels * (one.confidence or 0.0) for one in found.structures.values())
    return _number(total / voxels)


def _number(value: float | None) -> float | None:
    """Six significant digits: more than a segmentation knows."""
    return None if value is None else float(f"{value:.6g}")

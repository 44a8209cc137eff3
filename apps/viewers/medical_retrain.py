"""What was reviewed, as a folder that `suite medical train` reads. Free of Streamlit."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np

from apps.files import copy_file, link_file
from apps.items import Item, Row, Run, visible
from apps.store import ItemId, Verdict
from apps.viewers import medical_case as volumes
from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.medical.config import Plan
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.names import ENDINGS, case_name
from pipelines.medical.plan.file import write_plan

RETRAIN, CORRECTED = "retrain", "corrected"
IMAGES, LABELS = "images", "labels"
LIST, PLAN = "cases.csv", "plan.yaml"
PAIRED = (".mhd", ".nhdr", ".hdr", ".img")  # headers with their voxels in another file


def write_list(run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
    """Write `retrain` in the run folder, and say what was written.

    It has `cases.csv` with the cases whose structures are all accepted or whose mask lies in `corrected`,
    their images and masks, and `plan.yaml`, the model's plan with the names of the labels. Images are linked
    where the disk allows it, and copied elsewhere. What is no longer listed is left where it is.
    """
    by_row: dict[int, list[Item]] = {}
    for item in run.items:
        if item.reviewable:
            by_row.setdefault(item.row, []).append(item)
    ready = [
        line for line, items in by_row.items() if _corrected(run, run.row(line)) or _accepted(items, verdicts)
    ]
    folder = run.artefact(RETRAIN)
    if not ready and not folder.exists():
        return ""
    for name in (IMAGES, LABELS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    written, problems = [], []
    for line in ready:
        row = run.row(line)
        try:
            written.append(_write_case(run, row, folder))
        except UserError as error:
            problems.append(f"{row['case']} is left out: {error}")
    channels = max((len(row) - 2 for row in written), default=1)
    with replacing(folder / LIST) as file:
        table = csv.writer(file, lineterminator="\n")
        numbered = [f"image{number}" for number in range(2, channels + 1)]
        table.writerow(["name", "image", *numbered, "label"])
        table.writerows(written)
    if isinstance(run.record.get("plan"), dict):
        write_plan(folder / PLAN, Plan.model_validate(run.record["plan"]), {"model": run.record["model"]})
    told = f"{len(written):,} {'case' if len(written) == 1 else 'cases'} to train on in {RETRAIN}/{LIST}"
    return "; ".join([told, *map(visible, problems[:3])])


def _accepted(items: list[Item], verdicts: Mapping[ItemId, Verdict]) -> bool:
    """Whether what was found is accepted, and nothing is said against what was not found."""
    said = [verdicts[item.id].verdict for item in items if item.id in verdicts]
    waiting = any(item.decision == "found" and item.id not in verdicts for item in items)
    return bool(said) and not waiting and all(kind == "accept" for kind in said)


def _corrected(run: Run, row: Row) -> Path | None:
    """The mask that a person put in place of the model's."""
    path = volumes.artefact(run, CORRECTED, row)
    return path if path.is_file() else None


def _write_case(run: Run, row: Row, folder: Path) -> list[str]:
    """Put the files of a case into the folder; its row of the list. Raises UserError."""
    case = str(row["case"])
    if Path(case).name != case:
        raise UserError("its name is no file name")
    image = volumes.read_image(run, row, 0) if (corrected := _corrected(run, row)) else None
    if corrected is not None and image is not None:
        most = volumes.max_voxels(run)
        volumes.labels_on(read_volume(corrected, max_voxels=most), image)  # raises if it lies elsewhere
    mask = corrected or volumes.artefact(run, volumes.MASKS, row)
    if not mask.is_file():
        raise UserError("its mask is gone")
    count = len(row["sources"])
    names = []
    for channel in range(count):
        name = case if count == 1 else f"{case}_{channel:04d}"
        names.append(_put_image(run, row, channel, folder / IMAGES, name))
    label = folder / LABELS / f"{case}{volumes.ENDING}"
    copy_file(mask, label)
    return [case, *(f"{IMAGES}/{one}" for one in names), f"{LABELS}/{label.name}"]


def _put_image(run: Run, row: Row, channel: int, folder: Path, name: str) -> str:
    """One image under a name of its own; DICOM series and headers with another file become NIfTI."""
    source = run.source(str(row["sources"][channel]))
    bare = source.name[: -len(".gz")] if source.name.lower().endswith(".gz") else source.name
    if source.is_file() and bare.lower().endswith(ENDINGS) and not bare.lower().endswith(PAIRED):
        target = folder / f"{name}{source.name[len(case_name(source)) :].lower()}"
        link_file(source, target)
        return target.name
    target = folder / f"{name}{volumes.ENDING}"
    temporary = folder / f".new-{os.getpid()}{volumes.ENDING}"
    volume = volumes.read_volume_of(run, row, channel)
    array = volume.array if volume.array.dtype.itemsize < 8 else volume.array.astype(np.float32)
    try:
        nibabel.save(nibabel.Nifti1Image(array, volume.affine), temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target.name

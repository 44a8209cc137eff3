"""Images in which heads were marked, as a folder that `suite crowd train` reads. Free of Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from apps.files import link_file, temporary_beside
from apps.items import Item, Row, Run, visible
from apps.store import ItemId, Store, Verdict
from apps.viewers.crowd_case import read_seen
from apps.viewers.crowd_marks import Point, saved_points
from pipelines.common.errors import UserError
from pipelines.crowd.data import is_image_name, write_csv

RETRAIN, IMAGES, LIST = "retrain", "images", "heads.csv"


def write_data(run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
    """Write `retrain` in the run folder, and say what was written and what was not.

    It has `heads.csv` and the images whose heads were marked: files are linked where the disk allows it, and
    copied elsewhere; frames of videos become PNG. An image in which nobody is has a row without a place. What
    is no longer listed is left where it is. Empty if there is nothing to say.
    """
    store = Store(run.path)
    folder = run.artefact(RETRAIN)
    heads: dict[str, list[Point]] = {}
    typed, problems = 0, []
    for item in run.items:
        verdict = verdicts.get(item.id)
        if verdict is None or verdict.verdict != "relabel" or not item.reviewable:
            continue
        detail, _ = store.detail(item.id)
        if not detail:
            typed += verdict.label.isdecimal()
            continue
        try:
            heads[_put_image(run, item, folder)] = saved_points(detail)
        except (UserError, OSError) as error:
            problems.append(f"{item.title} is left out: {error}")
    told = []
    if heads or folder.exists():
        folder.mkdir(exist_ok=True)
        write_csv(folder / LIST, heads)
        people = sum(len(points) for points in heads.values())
        told.append(
            f"{_many(len(heads), 'image')} with {_many(people, 'head')} to train on in {RETRAIN}/{LIST}"
        )
    if typed:
        told.append(
            f"{_many(typed, 'count')} without marked heads {'is' if typed == 1 else 'are'} in that table only"
        )
    return "; ".join([*told, *map(visible, problems[:3])])


def _put_image(run: Run, item: Item, folder: Path) -> str:
    """Put the image of an item into the folder; its name there. Raises UserError."""
    row = run.row(item.row)
    name = Path(str(row["name"])).name
    if not name or name.startswith("."):
        raise UserError("its name is no file name")
    if row["frame"] is not None:
        target = folder / IMAGES / name / f"{int(row['frame']):06d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_png(target, run, row)
    else:
        source = run.source(str(row["source"]))
        if source.stat().st_size != row["bytes"]:
            raise UserError("its file has changed since the run")
        ending = source.suffix.lower() if is_image_name(source) else ""
        target = folder / IMAGES / f"{name}{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        link_file(source, target)
    return target.relative_to(folder).as_posix()


def _write_png(target: Path, run: Run, row: Row) -> None:
    pixels = read_seen(run, row).pixels
    done, content = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    if not done:
        raise UserError("its frame could not be written as PNG")
    temporary = temporary_beside(target)
    try:
        temporary.write_bytes(content.tobytes())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"

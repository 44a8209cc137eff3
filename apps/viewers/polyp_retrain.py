"""Polyps whose size was accepted or corrected, as a data set that `suite polyp train` reads, and a table of
what was said. Free of Streamlit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from apps.files import link_file, temporary_beside
from apps.items import Item, Run, visible
from apps.store import ItemId, Store, Verdict
from apps.viewers.polyp_case import Polyps, SizedFrame, Sources, find_sources, max_pixels, read_sized
from apps.viewers.polyp_marks import Marks, saved
from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.tables import Table
from pipelines.polyp.data import Box, Camera, Frame, read_frames
from pipelines.polyp.data.own import DEPTH_MM, FRAMES, POLYPS

RETRAIN, SAID, CALIBRATION = "retrain", "reviewed_polyps.csv", "calibration.json"
POLYP_COLUMNS: Final = ("polyp", "patient", "video", "size_mm", "censored", "shape", "site", "histology")
FRAME_COLUMNS: Final = ("polyp", "image", "x0", "y0", "x1", "y1", "mask", "depth", "seconds")
SAID_COLUMNS: Final = (
    *("source", "polyp", "verdict", "size_mm", "size_is_lower_bound", "reasons", "frames_in", "frames_out"),
    *("boxes_changed",),
)
IMAGES, MASKS, DEPTHS = "images", "masks", "depths"
Line = dict[str, Any]


@dataclass(slots=True)
class _Set:
    """A folder of polyps with one camera, or none, and different ids."""

    folder: Path
    camera: Camera | None
    polyps: dict[str, Line] = field(default_factory=dict)
    frames: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    """What counts of a polyp: its size, None without one, and each frame with its box, None if it is out."""

    item: Item
    verdict: Verdict
    marks: Marks
    mm: float | None
    bound: bool
    frames: tuple[tuple[SizedFrame, Box | None], ...]

    @property
    def trains(self) -> bool:
        return self.mm is not None and any(box is not None for _, box in self.frames)


def write_data(run: Run, verdicts: Mapping[ItemId, Verdict], polyps: Callable[[], Polyps]) -> str:
    """Write `reviewed_polyps.csv` and `retrain` in the run folder; say what was written and what was not.

    polyps: of the run, see `list_polyps`. `retrain` has a folder for each camera, in our own layout: images
    are linked where the disk allows it, and copied elsewhere; frames of videos become PNG. What is no longer
    listed is left where it is. Empty if there is nothing to say.
    """
    store = Store(run.path)
    problems: list[str] = []
    sets: list[_Set] = []
    folder = run.artefact(RETRAIN)
    bare = 0
    with replacing(run.path / SAID) as file:
        table = Table(file, SAID_COLUMNS)
        for item in run.items:
            verdict = verdicts.get(item.id)
            if verdict is None or not item.reviewable:
                continue
            try:
                said = _said(run, item, verdict, store)
                table.writerow(_line(said))
                if not said.trains:
                    bare += 1
                    continue
                sources = find_sources(run, run.row(item.row), read_sized(run, item.row), polyps())
                _put_polyp(run, said, sources, sets, folder)
            except (UserError, OSError, LookupError, TypeError, ValueError) as error:
                problems.append(f"{item.title} is left out: {error}")
    if not sets and not folder.exists() and not problems and not bare:
        return ""
    _write_sets(sets, folder)
    count, frames = sum(len(one.polyps) for one in sets), sum(len(one.frames) for one in sets)
    told = (
        [f"{_many(count, 'polyp')} with {_many(frames, 'frame')} to train on in {RETRAIN}"] if count else []
    )
    if bare:
        told.append(
            f"{_many(bare, 'polyp')} without a size or a frame {'is' if bare == 1 else 'are'} not in it"
        )
    return "; ".join([*told, *map(visible, problems[:3])])


def _said(run: Run, item: Item, verdict: Verdict, store: Store) -> _Said:
    """Raises UserError if what is kept with the verdict is damaged."""
    row = run.row(item.row)
    marks = saved(store.detail(item.id)[0])
    sized = verdict.verdict == "accept" or (verdict.verdict == "relabel" and verdict.label not in _NO_SIZE)
    own = marks.mm if verdict.verdict != "accept" else None
    mm = (own if own is not None else row["mm"]) if sized else None
    frames = tuple(
        (one, marks.of(one).box_of(one) if marks.of(one).is_in(one) else None)
        for one in read_sized(run, item.row).frames
    )
    return _Said(item, verdict, marks, mm, own is not None and marks.bound, frames)


_NO_SIZE: Final = ("reject", "unsure")


def _line(said: _Said) -> Line:
    inside = sum(box is not None for _, box in said.frames)
    return {
        "source": said.item.source,
        "polyp": said.item.map,
        "verdict": said.verdict.label if said.verdict.label in _NO_SIZE else said.verdict.verdict,
        "size_mm": "" if said.mm is None else f"{said.mm:g}",
        "size_is_lower_bound": int(said.bound) if said.mm is not None else "",
        "reasons": "; ".join(said.marks.reasons),
        "frames_in": inside,
        "frames_out": len(said.frames) - inside,
        "boxes_changed": sum(mark.box is not None for mark in said.marks.frames.values()),
    }


def _put_polyp(run: Run, said: _Said, sources: Sources, sets: list[_Set], folder: Path) -> None:
    """Put a polyp and its frames into the first set that it fits. Raises UserError if none of its frames is
    to be had."""
    polyp, row = sources.polyp, run.row(said.item.row)
    place = next(
        (one for one in sets if one.camera == polyp.camera and polyp.id not in one.polyps),
        _Set(folder / f"set{len(sets) + 1}", polyp.camera),
    )
    name = Path(str(row["name"])).name
    if not name or name.startswith("."):
        raise UserError("its name is no file name")
    chosen = [(one, box) for one, box in said.frames if box is not None and one.name in sources.refs]
    lines = list(_put_frames(run, chosen, sources, place.folder, name))
    if not lines:
        raise UserError("none of its frames can be read any more")
    place.frames += [{"polyp": polyp.id, **one} for one in lines]
    place.polyps[polyp.id] = {
        "polyp": polyp.id,
        "patient": polyp.patient,
        "video": polyp.video,
        "size_mm": f"{said.mm:g}",
        "censored": int(said.bound) or "",
        **{what: getattr(polyp, what) for what in ("shape", "site", "histology")},
    }
    if place not in sets:
        sets.append(place)


def _put_frames(
    run: Run, chosen: Sequence[tuple[SizedFrame, Box]], sources: Sources, folder: Path, name: str
) -> Iterator[Line]:
    """Put the images of frames into the folder; the line of each."""
    refs = [sources.refs[one.name] for one, _ in chosen]
    decoded = read_frames([one for one in refs if one.image is None], max_pixels=max_pixels(run))
    for number, ((one, box), ref) in enumerate(zip(chosen, refs, strict=True)):
        stem = f"{number:05d}"
        image = folder / IMAGES / name / f"{stem}{ref.image.suffix.lower() if ref.image else '.png'}"
        image.parent.mkdir(parents=True, exist_ok=True)
        if ref.image is not None:
            link_file(run.source(str(ref.image)), image)
        else:
            frame = next(decoded)
            if not isinstance(frame, Frame):
                continue
            _write_png(image, frame)
        line: Line = {"image": image, "seconds": "" if ref.seconds is None else f"{ref.seconds:g}"}
        line |= dict(zip(("x0", "y0", "x1", "y1"), (f"{corner:g}" for corner in box), strict=True))
        line |= {"mask": _put_beside(ref.mask if box == one.box else None, folder / MASKS / name, stem)}
        depth = ref.depth.path if ref.depth is not None and ref.depth.mm == DEPTH_MM else None
        line |= {"depth": _put_beside(depth, folder / DEPTHS / name, stem)}
        yield {
            what: value.relative_to(folder).as_posix() if isinstance(value, Path) else value
            for what, value in line.items()
        }


def _put_beside(path: Path | None, folder: Path, stem: str) -> Path | str:
    """A mask or a map of depths, under the name of its frame; empty without one."""
    if path is None or not path.is_file():
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{stem}{path.suffix.lower()}"
    link_file(path, target)
    return target


def _write_png(target: Path, frame: Frame) -> None:
    done, content = cv2.imencode(".png", np.ascontiguousarray(frame.pixels[..., ::-1]))
    if not done:
        raise UserError("a frame could not be written as PNG")
    temporary = temporary_beside(target)
    try:
        temporary.write_bytes(content.tobytes())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_sets(sets: Sequence[_Set], folder: Path) -> None:
    """The tables of each set; those of an earlier export that are not written again are emptied."""
    before = [_Set(one, None) for one in sorted(folder.glob("set*")) if (one / POLYPS).is_file()]
    written = {one.folder for one in sets}
    for one in [*sets, *(old for old in before if old.folder not in written)]:
        one.folder.mkdir(parents=True, exist_ok=True)
        _write_table(one.folder / POLYPS, POLYP_COLUMNS, one.polyps.values())
        _write_table(one.folder / FRAMES, FRAME_COLUMNS, one.frames)
        if one.camera is None:
            (one.folder / CALIBRATION).unlink(missing_ok=True)
        else:
            with replacing(one.folder / CALIBRATION) as file:
                json.dump(_calibration(one.camera), file)


def _write_table(path: Path, columns: Sequence[str], lines: Any) -> None:
    with replacing(path) as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def _calibration(camera: Camera) -> dict[str, float]:
    """As `read_camera` has it: the centre from the middle of the first pixel."""
    numbers = {name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "k1")}
    return {**numbers, "cx": camera.cx - 0.5, "cy": camera.cy - 0.5}


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"

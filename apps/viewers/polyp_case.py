"""A polyp of a run: its frames as they were sized, and where they are on the disk. Free of Streamlit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.items import Row, Run, visible
from pipelines.common.errors import UserError
from pipelines.common.media.limits import MAX_PIXELS
from pipelines.polyp.data import Box, FrameRef, Polyp, frames_of, without_labels
from pipelines.polyp.size.rows import CALIBRATION, DEPTH, ESTIMATED, LEARNT
from pipelines.polyp.size_bins import bin_edges, bin_middles

Polyps = Mapping[tuple[str, str], Polyp]
FINDER = "finder"  # where boxes come from if no label gives them


@dataclass(frozen=True, slots=True)
class SizedFrame:
    """A frame as the run has it.

    width, height: in px, 0 if it was not read. box: in its px, None without a lesion. mm, low, high: of the
    frame alone. used: whether it counts; reason: why not. picture: its name in the run folder, or empty.
    """

    name: str
    width: int
    height: int
    box: Box | None
    mm: float | None
    low: float | None
    high: float | None
    weight: float
    sharpness: float | None
    score: float | None
    used: bool
    reason: str
    picture: str


@dataclass(frozen=True, slots=True)
class Sized:
    """frames: in order of time. shares: of the polyp's distribution over sizes; empty without one."""

    frames: tuple[SizedFrame, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """polyp: as its data set lists it. refs: where each frame is, by its name. problems: why a frame is not
    to be had, by its name."""

    polyp: Polyp
    refs: Mapping[str, FrameRef]
    problems: Mapping[str, str]


def read_sized(run: Run, row_line: int) -> Sized:
    """The frames of a row. Raises UserError if the companion file does not have them."""
    try:
        found = json.loads(run.companion(row_line))
        shares = tuple(float(one) for one in found["shares"] or ())
        return Sized(tuple(_frame(one) for one in found["frames"]), shares)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the list of its frames is damaged: {visible(str(error))}") from error


def _frame(given: Mapping[str, Any]) -> SizedFrame:
    box = given["box"]
    mm, low, high, sharpness, score = (
        None if given.get(name) is None else float(given[name])
        for name in ("mm", "low", "high", "sharpness", "score")
    )
    x0, y0, x1, y1 = (float(one) for one in box or (0, 0, 0, 0))
    return SizedFrame(
        name=str(given["frame"]),
        width=int(given["width"]),
        height=int(given["height"]),
        box=(x0, y0, x1, y1) if box else None,
        mm=mm,
        low=low,
        high=high,
        weight=float(given["weight"] or 0),
        sharpness=sharpness,
        score=score,
        used=bool(given["used"]),
        reason=str(given["reason"] or ""),
        picture=str(given.get("picture") or ""),
    )


def list_polyps(run: Run) -> Polyps:
    """The polyps of the run's inputs by source and id, as the run listed them; opens no image.

    Raises UserError if an input is gone.
    """
    from pipelines.polyp.size.items import list_items
    from pipelines.polyp.size.marks import read_marks

    boxes, masks = (_setting(run, name) for name in ("boxes", "masks"))
    inputs = [folder_of(run) / str(one) for one in run.record.get("inputs", [])]
    config = run.record.get("config")
    layout = str(config.get("layout") or "") if isinstance(config, dict) else ""
    found = list_items(inputs, read_marks(boxes, masks), layout)
    return {(one.source, one.polyp.id): one.polyp for one in found.items}


def folder_of(run: Run) -> Path:
    """What relative names of a run are relative to."""
    return Path(str(run.record.get("folder") or ""))


def _setting(run: Run, name: str) -> Path | None:
    """A file that the run was given beside its inputs."""
    config: Any = run.record.get("config")
    found = config.get(name) if isinstance(config, dict) else None
    return folder_of(run) / found if isinstance(found, str) and found else None


def find_sources(run: Run, row: Row, sized: Sized, polyps: Polyps) -> Sources:
    """Where the frames of a polyp are. Raises UserError if its data are gone."""
    polyp = polyps.get((str(folder_of(run) / str(row["source"])), str(row["polyp"])))
    if polyp is None:
        raise UserError(f"{visible(str(row['source']))} has no polyp {visible(str(row['polyp']))} any more")
    listed = {one.name: one for one in frames_of(polyp).frames}
    refs: dict[str, FrameRef] = {}
    problems: dict[str, str] = {}
    for one in sized.frames:
        ref = listed.get(one.name)
        if ref is None:
            problems[one.name] = "it is not there any more"
            continue
        try:
            run.source(str(ref.image or ref.video))
        except UserError as error:
            problems[one.name] = str(error)
        else:
            refs[one.name] = without_labels(ref) if row["boxes_from"] == FINDER else ref
    return Sources(polyp, refs, problems)


def boxed(ref: FrameRef, frame: SizedFrame, box: Box | None) -> FrameRef:
    """A frame with this box in its px, and with its mask if the box is the one of the run."""
    mask = ref.mask if box == frame.box else None
    return replace(ref, box=box, mask=mask, others=(), label_size=None, upright=True)


def max_pixels(run: Run) -> int:
    """Up to which size the run read frames."""
    return run.limit("max_pixels", MAX_PIXELS)


def curve_of(shares: Sequence[float]) -> list[tuple[float, float]]:
    """The density per mm of a distribution, from 0 to 1 at its highest, at sizes in mm; empty without one."""
    ends = bin_edges().astype(np.float64)
    if len(shares) != len(ends) - 1:
        return []
    density = np.asarray(shares) / np.diff(ends)
    highest = float(density.max())
    if not highest > 0:
        return []
    pairs = zip(bin_middles().tolist(), density / highest, strict=True)
    return [(round(mm, 3), round(one, 4)) for mm, one in pairs]


def scale_told(row: Row) -> str:
    """Where the scale came from, in words."""
    told = {
        LEARNT: "learnt in training: nothing in the frames measures it",
        CALIBRATION: "the camera's calibration",
        DEPTH: "maps of depth and the camera's calibration",
        ESTIMATED: "depths estimated from the colours, and the camera's calibration",
    }
    return told.get(row["scale_from"], str(row["scale_from"] or ""))

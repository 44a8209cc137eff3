"""One row per polyp, for `results.jsonl` and `results.csv`, and one per frame, for `frames.csv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from pipelines.common import tables
from pipelines.polyp.metrics.bins import SMALL_MM

if TYPE_CHECKING:  # they come with torch
    from pipelines.polyp.aggregate import PolypSize
    from pipelines.polyp.size.items import Item
    from pipelines.polyp.size.look import FrameLook

COLUMNS: Final = (
    *("polyp", "source", "frames", "used", "mm", "low", "high", "p_le_5", "p_ge_10", "class", "decision"),
    *("reason", "scale_from", "true_mm", "true_is_bound", "seconds", "model", "status", "error"),
)
FRAME_COLUMNS: Final = (
    *("polyp", "source", "frame", "x0", "y0", "x1", "y1", "mm", "low", "high", "weight", "sharpness"),
    *("dark", "bright", "cut", "score", "calibrated", "used", "reason"),
)
KEY: Final = ("source", "polyp")
CALIBRATION: Final = "calibration"
DEPTH: Final = "depth map"
ESTIMATED: Final = "estimated depth"
LEARNT: Final = "learnt prior"
ABSTAINED: Final = "abstained"

Row = dict[str, Any]


def failed_row(item: Item, error: str, model: str) -> Row:
    """The row of a polyp whose frames could not be measured. A reason need not repeat the source."""
    row: Row = dict.fromkeys(COLUMNS)
    error = error.removeprefix(f"{item.source}: ")
    about = {"model": model, "status": "failed", "error": error, "notes": [], "boxes_from": ""}
    return row | _about(item) | about


def ok_row(
    item: Item,
    size: PolypSize,
    *,
    frames: int,
    looked: int,
    scale_from: str,
    boxes_from: str,
    model: str,
    seconds: float,
    fingerprint: str,
    notes: Sequence[str] = (),
) -> Row:
    """The row of a polyp that was measured, or of which the model abstained.

    frames: how many it has. looked: how many of these were looked at. boxes_from: labels, boxes, masks or
    finder. fingerprint: of its files and boxes.
    """
    row: Row = dict.fromkeys(COLUMNS)
    return row | {
        **_about(item),
        "frames": frames,
        "used": len(size.used),
        "mm": number(size.mm),
        "low": number(size.low),
        "high": number(size.high),
        "p_le_5": number(size.at_most_5),
        "p_ge_10": number(size.from_10),
        "class": size.label,
        "decision": ABSTAINED if size.mm is None else size.decision,
        "reason": size.abstained or _near(size),
        "scale_from": scale_from,
        "seconds": round(seconds, 3),
        "model": model,
        "status": "ok",
        "error": "",
        "near_mm": size.near,
        "looked": looked,
        "boxes_from": boxes_from,
        "notes": list(notes),
        "item": fingerprint,
    }


def frame_row(look: FrameLook, reason: str) -> Row:
    """A frame as the companion file has it. reason: why it was not used, empty if it was.

    mm, low and high are quantiles of the frame's own distribution: 0.5, 0.05 and 0.95.
    """
    from pipelines.polyp.model.distribution import quantile

    quality, answer = look.quality, look.answer
    low, mm, high = (
        None if answer is None else float(quantile(answer.shares, one)) for one in (0.05, 0.5, 0.95)
    )
    return {
        "frame": look.name,
        "width": look.width,
        "height": look.height,
        "box": None if look.box is None else [round(one, 1) for one in look.box],
        "mm": number(mm),
        "low": number(low),
        "high": number(high),
        "weight": number(look.weight),
        "sharpness": None if quality is None else number(quality.sharpness),
        "dark": None if quality is None else number(quality.dark),
        "bright": None if quality is None else number(quality.bright),
        "cut": None if quality is None else quality.cut,
        "score": number(look.score),
        "calibrated": look.calibrated,
        "usable": not look.reason,
        "used": not reason,
        "reason": reason,
    }


class Table:
    """Writes `results.csv`."""

    def __init__(self, file: IO[str]) -> None:
        self._table = tables.Table(file, COLUMNS)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._table.writerow(row)


class FrameTable:
    """Writes `frames.csv`."""

    def __init__(self, file: IO[str]) -> None:
        self._table = tables.Table(file, FRAME_COLUMNS)

    def write(self, row: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> None:
        """Add the frames of a polyp with its row."""
        for one in frames:
            box = one["box"] or (None,) * 4
            corners = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
            self._table.writerow({"polyp": row["polyp"], "source": row["source"], **corners, **one})


def number(value: float | None) -> float | None:
    """Four significant digits: more than a size knows."""
    return None if value is None else float(f"{value:.4g}")


def _about(item: Item) -> Row:
    polyp = item.polyp
    return {
        "polyp": polyp.id,
        "source": item.source,
        "true_mm": number(polyp.size_mm),
        "true_is_bound": polyp.censored if polyp.size_mm is not None else None,
        "name": item.name,
        "patient": polyp.patient,
        "video": polyp.video,
        "trained_on": item.trained_on,
    }


def _near(size: PolypSize) -> str:
    """Why a polyp is indeterminate, in words; empty if it is not."""
    if size.near is None or size.at_most_5 is None or size.from_10 is None:
        return ""
    small = size.near == SMALL_MM
    chance = number(size.at_most_5 if small else size.from_10)  # rounded once, as in the row
    sign = "<=" if small else ">="
    return f"near {size.near:g} mm: the probability of {sign}{size.near:g} mm is {chance:.0%}"

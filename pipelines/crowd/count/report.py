"""The report of a run: one page that needs no network, with what was counted and where.

Names from files are untrusted: jinja2 escapes all of them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from pipelines.common.errors import UserError
from pipelines.common.pages import template
from pipelines.crowd.count.chart import chart, clock
from pipelines.crowd.count.files import OVERLAYS, VIDEOS, file_of
from pipelines.crowd.count.film import frames_to_show
from pipelines.crowd.count.pictures import ZONE_COLOURS
from pipelines.crowd.data.images import image_size

INLINE_BYTES: Final = 20 * 2**20  # of all pictures; beyond this the page names the files in `overlays`
MOST_ZONES: Final = 6  # that the table has a column for
TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
FILTERS: Final[dict[str, Callable[[Any], str]]] = {
    "whole": lambda value: "–" if value is None else f"{value:,.0f}",
    "short": lambda value: "–" if value is None else f"{value:.3g}",
    "people": lambda value: _people(value),
}

Row = Mapping[str, Any]


def write(file: IO[str], record: Row, rows: Sequence[Row], out: Path) -> None:
    """Write the page of the run `record` (the contents of `run.json`). rows: all of them. out: its folder."""
    groups = [list(of) for _, of in groupby(rows, key=lambda row: row["source"])]
    pictures = [path for row in rows if (path := _overlay(out, row)).is_file()]
    inline = sum(path.stat().st_size for path in pictures) <= INLINE_BYTES
    counted = [row for row in rows if row["status"] == "ok"]
    zones = list(dict.fromkeys(name for row in counted for name in row["zones"]))
    context = {
        "record": record,
        "counts": record["counts"],
        "settings": settings(record),
        "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in ZONE_COLOURS],
        "inline": inline,
        "zones": zones[:MOST_ZONES],
        "more_zones": max(0, len(zones) - MOST_ZONES),
        "intervals": any(row["low"] is not None for row in counted),
        "per_m2": any(row["people_per_m2"] is not None for row in counted),
        "images": [row for row in counted if row["frame"] is None],
        "videos": [_summary(group) for group in groups if _is_video(group)],
        "cards": (card for group in groups for card in _cards(group, out, inline, record)),
        "some": bool(counted),
    }
    file.writelines(template(TEMPLATES, "count.html.j2", FILTERS).generate(context))


def settings(record: Row) -> list[tuple[str, str]]:
    """What the run was told, in words."""
    config, model = record["config"], record["model"]
    told = [
        ("Model", f"{model['name']} ({model['network']})"),
        ("Inputs", ", ".join(record["inputs"])),
        ("Intervals", f"{config['confidence']:.0%} of true counts should lie in them"),
        ("Zones", config["zones"] or ""),
        ("Ground", config["ground"] or ""),
        ("Pixels per metre", f"{config['pixels_per_metre']:g}" if config["pixels_per_metre"] else ""),
        ("Frames of videos", "all" if config["stride"] == 1 else f"one of {config['stride']}"),
        ("Larger images", f"reduced to {model['max_side']:,} px" if model["max_side"] else "as they are"),
        ("Computed", "what changed between frames" if config["changed_only"] else ""),
        ("Engine and device", f"{record['engine']} on {record['device']}"),
        ("Version of the suite", str(record["suite"])),
    ]
    if not model["intervals"]:
        told[2] = ("Intervals", "none: the model was not calibrated")
    return [(name, value) for name, value in told if value]


def _is_video(group: Sequence[Row]) -> bool:
    return any(row["frame"] is not None and row["status"] == "ok" for row in group)


def _summary(group: Sequence[Row]) -> dict[str, Any]:
    """What the frames of a video come to."""
    frames = [row for row in group if row["status"] == "ok"]
    counts = [row["count"] for row in frames]
    return {
        "source": frames[0]["source"],
        "name": frames[0]["name"],
        "frames": len(frames),
        "least": min(counts),
        "mean": sum(counts) / len(counts),
        "most": max(frames, key=lambda row: row["count"]),
        "zones": {
            name: max(row["zones"].get(name, 0.0) for row in frames)
            for row in frames[:1]
            for name in row["zones"]
        },
    }


def _cards(group: Sequence[Row], out: Path, inline: bool, record: Row) -> Iterator[dict[str, Any]]:
    if not _is_video(group):
        for row in group:
            if row["status"] == "ok":
                yield {
                    "row": row,
                    "pictures": [_picture(out, row, inline)],
                    "video": None,
                    "notes": row["notes"],
                }
        return
    frames = [row for row in group if row["status"] == "ok"]
    shown = frames_to_show({row["frame"]: row["count"] for row in frames})
    pictures = [_picture(out, row, inline) for row in frames if row["frame"] in shown]
    facts: Row = next((one for one in record.get("videos", ()) if one["source"] == frames[0]["source"]), {})
    path = file_of(out, VIDEOS, frames[0]["name"])
    of_frames = list(dict.fromkeys(note for row in frames for note in row["notes"]))
    video = _summary(group) | {
        "chart": chart(frames),
        "file": f"{VIDEOS}/{quote(path.name)}" if path.is_file() else "",
        "computed": sum(row["computed"] for row in frames) / len(frames),
    }
    notes = [*facts.get("notes", ()), *of_frames]
    yield {
        "row": max(frames, key=lambda row: row["count"]),
        "pictures": pictures,
        "video": video,
        "notes": notes,
    }


def _picture(out: Path, row: Row, inline: bool) -> dict[str, Any]:
    path = _overlay(out, row)
    try:
        width, height, _ = image_size(path)
    except UserError:  # it is gone, or damaged
        width, height = 0, 0
    if inline and width:
        source = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    else:
        source = "/".join(quote(part) for part in path.relative_to(out).parts)
    time = "" if row["time"] is None else f"{clock(row['time'], 0.1)}, frame {row['frame']}"
    return {"source": source, "width": width, "height": height, "time": time, "row": row}


def _overlay(out: Path, row: Row) -> Path:
    return file_of(out, OVERLAYS, row["name"], row["frame"])


def _people(area: Row) -> str:
    """A count with its interval, in whole people."""
    if area["count"] is None:
        return "–"
    ends = "" if area["low"] is None else f" ({area['low']:,.0f}–{area['high']:,.0f})"
    return f"{area['count']:,.0f}{ends}"

"""The report of a run: one page that needs no network, with every map drawn on its wafer.

The page is streamed to the file block by block, so memory does not grow with the number of maps. Names from
files are untrusted: text is escaped by jinja2, and data is JSON in which no `<`, `>` or `&` is left bare.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any

import numpy as np
from markupsafe import Markup

from pipelines.wafer.drawing import MAX_POINTS
from pipelines.wafer.pages import template
from pipelines.wafer.rows import COLUMNS

BLOCK = 500  # maps in one data block of the page
MAX_DRAWING_BYTES = 96_000_000  # beyond this, fewer defects are drawn on each map
MIN_POINTS = 150
FIELDS = (*COLUMNS, "diameter_assumed", "timestamp", "device", "notes")

Row = Mapping[str, Any]


def write(
    file: IO[str], record: Mapping[str, Any], pairs: Iterable[tuple[Row, str]], sizes: Iterable[int]
) -> None:
    """Write the page of the run `record` (the contents of `run.json`).

    pairs: every row with its packed map (`pipelines.wafer.drawing`), or `null` for one that was not read.
    sizes: the length of each packed map.
    """
    points = points_per_map(sizes)
    context = {
        "record": record,
        "counts": record["counts"],
        "settings": settings(record),
        "fields": as_json(FIELDS),
        "blocks": _blocks(pairs, points),
    }
    file.writelines(template("report.html.j2").generate(context))


def points_per_map(sizes: Iterable[int]) -> int:
    """How many defects of one map are drawn, so that all maps together stay within MAX_DRAWING_BYTES."""
    lengths = np.fromiter(sizes, np.int64)
    points = MAX_POINTS
    while points > MIN_POINTS and np.minimum(lengths, points * 16 // 3).sum() > MAX_DRAWING_BYTES:
        points //= 2
    return points - points % 3


def settings(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run was told, in words, for the table under the summary."""
    config = record["config"]
    rate = config["false_alarm_rate"]
    stored = sorted(set(record["model"].get("false_alarm_rate", {}).values()))
    return [
        ("Inputs", ", ".join(record["inputs"])),
        ("False-alarm rate", f"{rate:.2%}" if rate else _stored_rate(stored)),
        ("Alarm on", ", ".join(config["alarm_on"]) or "nothing"),
        ("Diameter where none is stated", f"{config['diameter_mm']:g} mm"),
        ("Engine and device", f"{record['engine']} on {record['device']}"),
        ("Version of the suite", str(record["suite"])),
    ]


def _stored_rate(rates: Sequence[float]) -> str:
    return (
        ", ".join(f"{rate:.2%}" for rate in rates) + (", as " if rates else "as ") + "stored with the model"
    )


def as_json(value: object) -> Markup:
    """JSON that is safe inside a script element, whatever text it holds."""
    return safe_json(json.dumps(value, separators=(",", ":")))


def safe_json(text: str) -> Markup:
    """ASCII JSON text with `<`, `>` and `&` as escapes, so that no element can be closed or opened by it."""
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _blocks(pairs: Iterable[tuple[Row, str]], points: int) -> Iterator[dict[str, Markup]]:
    pairs = iter(pairs)
    while block := list(islice(pairs, BLOCK)):
        yield {
            "rows": as_json([[row.get(name) for name in FIELDS] for row, _ in block]),
            "maps": safe_json("\n".join(fewer(drawing, points) for _, drawing in block)),
        }


def fewer(drawing: str, points: int) -> str:
    """The packed map with at most `points` defects, a multiple of 3 so that base64 can be cut there."""
    if points >= MAX_POINTS or len(drawing) <= points * 16 // 3:
        return drawing
    parts = json.loads(drawing)
    if "p" in parts:
        parts["p"] = parts["p"][: points // 3 * 16]
    return json.dumps(parts, separators=(",", ":"))

"""The report of a run: one page that needs no network, with what was measured, in which frames, and why.

Names from files are untrusted: jinja2 escapes all of them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from pipelines.common.errors import UserError
from pipelines.common.media.images import image_size
from pipelines.common.pages import template
from pipelines.polyp.metrics import METRICS
from pipelines.polyp.size.charts import agreement, distribution
from pipelines.polyp.size.gate_strips import strips
from pipelines.polyp.size.job import OVERLAYS

INLINE_BYTES: Final = 20 * 2**20  # of all pictures; beyond this the page names the files in `overlays`
MOST_REASONS: Final = 8
TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
FILTERS: Final[dict[str, Callable[[Any], str]]] = {
    "mm": lambda value: "–" if value is None else f"{value:.1f}",
    "percent": lambda value: "–" if value is None else f"{value:.0%}",
    "short": lambda value: "–" if value is None else f"{round(value, 6):.3g}",
}
BOXES_FROM: Final = {
    "labels": "the labels of the data set",
    "boxes": "the boxes that were given",
    "masks": "the masks that were given",
    "finder": "the finder of lesions",
}

Row = Mapping[str, Any]


def write(file: IO[str], record: Row, rows: Iterable[tuple[Row, str]], out: Path) -> None:
    """Write the page of the run `record` (the contents of `run.json`).

    rows: all of them, with their lines of the companion file, gone through once. out: the run folder.
    """
    files = list((out / OVERLAYS).glob("*/*.jpg"))
    inline = sum(path.stat().st_size for path in files) <= INLINE_BYTES
    listed: list[Row] = []
    scores = record["scores"]
    context = {
        "record": record,
        "counts": record["counts"],
        "settings": settings(record),
        "inline": inline,
        "cards": list(_cards(rows, listed, out, inline)),
        "rows": listed,
        "intervals": record["model"]["intervals"],
        "truth": any(row["true_mm"] is not None for row in listed),
        "strips": strips(record["gates"]),
        "scores": _scores(scores),
        "agreement": agreement(_scored(listed, scores), scores["polyp"]["metrics"]) if scores else None,
        "counted": scores,
    }
    file.writelines(template(TEMPLATES, "size.html.j2", FILTERS).generate(context))


def settings(record: Row) -> list[tuple[str, str]]:
    """What the run was told, in words."""
    config, model = record["config"], record["model"]
    gates = "with feature gates" if model["gated"] else "without gates"
    told = [
        ("Model", f"{model['name']}: {model['network']} {gates}"),
        ("Trained on", model["data"]),
        ("Terms of that data", model["data_terms"]),
        ("Inputs", ", ".join(record["inputs"])),
        ("Intervals", _intervals(record)),
        ("Frames", f"at most {config['frames_per_polyp']:,} of a polyp, evenly over its time"),
        ("Calibration", config["calibration"] or ""),
        ("Boxes", config.get("boxes") or ""),
        ("Masks", config.get("masks") or ""),
        ("Finder of lesions", model["finder"][0] if model["finder"] else ""),
        ("Estimator of depths", (model.get("depth_model") or [""])[0]),
        ("Engine and device", f"{record['engine']} on {record['device']}"),
        ("Version of the suite", str(record["suite"])),
    ]
    return [(name, value) for name, value in told if value]


def _intervals(record: Row) -> str:
    if not record["model"]["intervals"]:
        return "none: the model was not calibrated"
    share = record["config"]["confidence"]
    return (
        f"{share:.0%} of true sizes should lie in them, of polyps like those that the model was calibrated on"
    )


def _cards(
    rows: Iterable[tuple[Row, str]], listed: list[Row], out: Path, inline: bool
) -> Iterator[dict[str, Any]]:
    """What is shown of each polyp; its row is put into `listed`."""
    for row, line in rows:
        listed.append(row)
        found = json.loads(line)
        frames = found["frames"]
        pictures = [_picture(out, one, one["picture"], inline) for one in frames if one.get("picture")]
        features = next((one for one in frames if one.get("features")), None)
        yield {
            "row": row,
            "chart": distribution(found["shares"], row) if found["shares"] else None,
            "used": [one for one in pictures if one["frame"]["used"]],
            "others": [one for one in pictures if not one["frame"]["used"]],
            "features": _picture(out, features, features["features"], inline) if features else None,
            "reasons": _reasons(frames),
            "boxes_from": BOXES_FROM.get(row["boxes_from"], ""),
        }


def _picture(out: Path, frame: Row, name: str, inline: bool) -> dict[str, Any]:
    path = out / name
    try:
        width, height, _ = image_size(path)
    except UserError:  # it is gone, or damaged
        width, height = 0, 0
    if inline and width:
        source = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    else:
        source = quote(name)
    return {"source": source, "width": width, "height": height, "frame": frame}


def _reasons(frames: Sequence[Row]) -> list[tuple[str, int, str]]:
    """Why frames were not used, with how many and some of their names; the commonest first."""
    found: dict[str, list[str]] = {}
    for one in frames:
        if not one["used"]:
            # Of frames that say another size, each says its own.
            reason = "its size is far from what the others show" if one["usable"] else one["reason"]
            found.setdefault(reason, []).append(one["frame"])
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))[:MOST_REASONS]
    return [
        (why, len(names), ", ".join(names[:4]) + (", ..." if names[4:] else "")) for why, names in ordered
    ]


def _scored(rows: Sequence[Row], scores: Row) -> list[Row]:
    return [row for row in rows if scores.get("keep_trained") or not row["trained_on"]]


def _scores(scores: Row) -> list[dict[str, Any]]:
    """The table of scores, polyps first."""
    found = []
    for level, title in (("polyp", "Polyps"), ("frame", "Frames")):
        table = scores.get(level)
        if not table or not table["metrics"]:
            continue
        known = {one.name: one for one in METRICS}
        lines = [
            {"metric": known[name], **one, "beside": table["baseline"].get(name)}
            for name, one in table["metrics"].items()
            if name != "median_predictor_mae"
        ]
        found.append(
            {"title": title, "counts": table["counts"], "lines": lines, "baseline": table["baseline"]}
        )
    return found

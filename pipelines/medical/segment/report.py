"""The report of a segmentation: one page that needs no network, with three slices of every case.

Names from files are untrusted: jinja2 escapes all of them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from pipelines.common.pages import template
from pipelines.medical.colours import colour

INLINE_BYTES = 20 * 2**20  # of all pictures; beyond this the page names the files in `pictures`
TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
FILTERS: Final[dict[str, Callable[[Any], str]]] = {
    "short": lambda value: "–" if value is None else f"{value:.4g}",
    "ml": lambda value: "–" if value is None else _ml(value),
}

Row = Mapping[str, Any]
Pair = tuple[Row, Mapping[str, Any] | None]


def write(file: IO[str], record: Row, pairs: Sequence[Pair], folder: Path) -> None:
    """Write the page of the run `record` (the contents of `run.json`).

    pairs: every row, with what `write_pictures` said of its pictures, None for a failed case. folder: the
    pictures'.
    """
    size = sum(one["bytes"] for _, drawn in pairs if drawn for one in drawn["planes"].values())
    inline = size <= INLINE_BYTES
    names = list(record["model"]["labels"])
    context = {
        "record": record,
        "counts": record["counts"],
        "names": names,
        "colours": {name: "#{:02x}{:02x}{:02x}".format(*colour(at)) for at, name in enumerate(names)},
        "settings": settings(record),
        "inline": inline,
        "cases": (_case(row, drawn, folder, inline) for row, drawn in pairs if drawn),
        "rows": [row for row, _ in pairs if row["status"] == "ok"],
    }
    file.writelines(template(TEMPLATES, "segment.html.j2", FILTERS).generate(context))


def settings(record: Row) -> list[tuple[str, str]]:
    """What the run was told, in words."""
    config, model, plan = record["config"], record["model"], record["plan"]
    members = f", the mean of {model['members']}" if model["members"] > 1 else ""
    spacing = " x ".join(f"{side:g}" for side in plan["spacing"])
    return [
        ("Model", f"{model['name']} ({model['network']}{members})"),
        ("Inputs", ", ".join(record["inputs"])),
        ("Computed at", f"{spacing} mm, in patches of {' x '.join(map(str, plan['patch']))} voxels"),
        ("Computed on", _foreground(plan["foreground"])),
        ("Flips averaged", str(model["flips"]) if model["flips"] > 1 else "none"),
        ("Largest piece only", ", ".join(config["largest_component"]) or "no label"),
        ("Engine and device", f"{record['engine']} on {record['device']}"),
        ("Memory, predicted", f"{record['memory']['predicted_mib']:,} MiB"),
        ("Version of the suite", str(record["suite"])),
    ]


def _foreground(rule: Row) -> str:
    if rule["rule"] == "all":
        return "all voxels"
    what = "voxels other than 0" if rule["rule"] == "nonzero" else f"voxels above {rule['threshold']:g}"
    return f"{what}, and {rule['halo']} voxels around them" if rule["halo"] else what


def _case(row: Row, drawn: Mapping[str, Any], folder: Path, inline: bool) -> dict[str, Any]:
    pictures = []
    for plane, one in drawn["planes"].items():
        path = folder / Path(one["file"]).name
        if inline:
            content = path.read_bytes() if path.is_file() else b""
            source = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
        else:
            source = f"{folder.name}/{quote(path.name)}"
        pictures.append({"plane": plane, "source": source, **one})
    return {"row": row, "pictures": pictures, "labels": drawn["labels"], "window": drawn["window"]}


def _ml(value: float) -> str:
    """Millilitres with as many digits as are worth reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

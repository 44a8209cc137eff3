"""Run folders, as the review page opens them and as `--resume` continues them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from apps.items import Run, read_record
from apps.viewers import viewer_of
from apps.worklist import ORDERS, Filters, ordered, passing
from pipelines.common.errors import UserError
from pipelines.common.hardware import environment
from pipelines.common.runs import RunFolder

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out

WORDS: Final = (
    *(b"schema_version", b"task", b"wafer", b"crowd", b"medical", b"polyp", b"folder", b"inputs"),
    *(b"source", b"status", b"ok", b"failed", b"null", b"NaN", b"[]", b"{}", b"1e999", b"\\ud800"),
    *(b"../..", b"/etc/passwd", b"\n", b"model", b"item", b"error", b"decision", b"class"),
    *(b"probability", b"novelty", b"map"),
)
_RECORD: Final = {
    "schema_version": 1,
    "inputs": ["maps"],
    "folder": ".",
    "seed": 0,
    "config": {},
    "seconds": 1.0,
}
_COMMON: Final[dict[str, Any]] = {
    "source": "maps/a",
    "status": "ok",
    "item": "1f",
    "model": "tiny",
    "error": None,
    "notes": [],
}
_ROWS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "wafer": (
        "maps.jsonl",
        {"map": 0, "lot": "L", "wafer": "W", "slot": "", "step": "", "tool": "", "class": "ring"}
        | {"decision": "known", "probability": 0.5, "novelty": 3.0, "threshold": 20.0},
    ),
    "crowd": (
        "maps.jsonl",
        {"frame": None, "count": 12.5, "low": 10.0, "high": 15.0, "zones": {"left": 4.0}},
    ),
    "medical": (
        "pictures.jsonl",
        {"case": "ct", "modality": "CT", "structures": {"organ": {"voxels": 9, "confidence": 0.9}}},
    ),
    "polyp": (
        "frames.jsonl",
        {"polyp": "p1", "patient": "7", "video": "", "mm": 4.5, "low": 3.0, "high": 6.0}
        | {"decision": "diminutive", "frames": 3, "used": 2, "boxes_from": "labels"},
    ),
}


def _seeds() -> list[bytes]:
    environment()  # a program of the system says once what the processor is, which would be a finding later
    made = []
    for task, (companion, facts) in _ROWS.items():
        row = json.dumps(_COMMON | facts)
        files = {"run.json": json.dumps({**_RECORD, "task": task}), "results.jsonl": f"{row}\n{row}\n"}
        files[companion] = '{"items": [1, 2]}\nnull\n'
        made.append(pack({name: text.encode() for name, text in files.items()}))
    return made


def _read(data: bytes, folder: Path) -> list[str]:
    said: list[str] = []
    with laid_out(data, folder):
        viewer = viewer_of(read_record(folder).get("task"))
        run = Run(folder, viewer)
        for order in ORDERS:
            ordered(run.items, order)
        passing(run.items, {}, Filters(state="all", text="a"))
        viewer.banner(run.record)
        for item in run.items[:5]:
            viewer.classes(run.record, item)
            run.row(item.row)
            try:
                run.companion(item.row)
                run.source(item.source)
            except (UserError, LookupError) as error:
                said.append(str(error))
        with RunFolder(folder, key=("source",), companion=viewer.companion, resume=True) as resumed:
            resumed.begin({**_RECORD, "task": run.record["task"]})
            list(resumed.rows())
    return said


READER: Final = Reader(_seeds, _read, (UserError,), WORDS, folder=True)

"""Run folders of wafer maps, as `suite wafer discover` and `monitor` take them up."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipelines.common.errors import UserError
from pipelines.wafer.discover.reading import read_maps
from pipelines.wafer.monitor.groups import collect
from pipelines.wafer.past import open_runs

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out

WORDS: Final = (
    *(b"task", b"verb", b"folder", b"model", b"models", b"name", b"sha256", b"source", b"map", b"item"),
    *(b"lot", b"step", b"tool", b"defects", b"diameter_mm", b"class", b"decision", b"novel", b"status"),
    *(b"ok", b"failed", b"timestamp", b"die_level", b"latent", b"null", b"NaN", b"1e999", b"[]", b"{}"),
    *(b"[" * 3000, b"9" * 400, b"\\ud800", b"../..", b"\n"),
)
_RECORD: Final[dict[str, Any]] = {
    "schema_version": 1,
    "task": "wafer",
    "verb": "classify",
    "folder": ".",
    "model": {"models": {"dies": {"name": "wm811k", "sha256": "1f"}}},
}
_ROW: Final[dict[str, Any]] = {
    **{"source": "maps/a", "map": 0, "item": "1f", "lot": "L", "wafer": "W", "slot": "", "step": "S"},
    **{"tool": "T", "defects": 12, "diameter_mm": 300.0, "class": "ring", "decision": "novel"},
    **{"model": "wm811k", "status": "ok", "timestamp": "2024-02-03T04:05:06", "die_level": True},
    **{"probability": 0.5, "novelty": 3.0, "threshold": 2.0},
}


def _seeds() -> list[bytes]:
    failed = _ROW | {"map": 1, "status": "failed", "defects": None, "diameter_mm": None, "decision": ""}
    rows = f"{json.dumps(_ROW)}\n{json.dumps(failed)}\n".encode()
    latent = b64encode(np.ones(4, "<f4").tobytes()).decode()
    line = json.dumps({"source": "maps/a", "map": 0, "item": "1f", "latent": latent}) + "\n"
    record = json.dumps(_RECORD).encode()
    run = {"run.json": record, "results.jsonl": rows, "latents.jsonl": line.encode()}
    second = {f"second/{name}": content for name, content in run.items()}
    return [pack(run), pack({**run, **second})]


def _read(data: bytes, folder: Path) -> list[str]:
    notes: list[str] = []
    with laid_out(data, folder) as names:
        runs = open_runs([folder, folder / "second"] if any("second/" in one for one in names) else [folder])
        collect(runs, {folder}, "lot")
        collect(runs, set(), "time")
        read_maps(runs, notes)
    return notes


READER: Final = Reader(_seeds, _read, (UserError,), WORDS, folder=True)

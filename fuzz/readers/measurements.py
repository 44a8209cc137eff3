"""Evaluations of masks, CSV or JSON, as `suite medical compare` takes them up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pipelines.common.errors import UserError
from pipelines.medical.measurements import distinct_names, read_measurements, truths_differ

from ..reader import Reader

WORDS: Final = (
    *(b"case", b"label", b"status", b"detection", b"truth_ml", b"dice", b"nsd_1mm", b"hd95_mm", b"rows"),
    *(b"ok", b"failed", b"found", b"missing", b"null", b"nan", b"inf", b"1e999", b"9" * 400, b"[" * 3000),
    *(b'"', b",,", b"\r", b"\0", b"\\ud800", b"'="),
)
_CSV: Final = b"""case,label,status,detection,truth_ml,dice,hd95_mm
a,organ,ok,found,12.5,0.9,1.5
a,other,ok,missing,1.5,,
b,organ,failed,,,,
"""


def _seeds() -> list[bytes]:
    row = {"case": "a", "label": "organ", "status": "ok", "detection": "found", "truth_ml": 12.5, "dice": 0.9}
    return [_CSV, json.dumps({"rows": [row, row | {"case": "b", "dice": None}]}).encode()]


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / "evaluation"
    path.write_bytes(data)
    methods = distinct_names([read_measurements(path)] * 2)
    labels = {label: [case for case, one in methods[0].rows if one == label] for label in methods[0].labels}
    truths_differ(methods, labels)
    return []


READER: Final = Reader(_seeds, _read, (UserError,), WORDS)

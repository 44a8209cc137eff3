"""Files of settings (YAML and JSON), `--set`, and plans of trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.common.errors import UserError
from pipelines.crowd.count.config import CountConfig
from pipelines.medical.plan.file import read_plan_file
from pipelines.wafer.config import ClassifyConfig
from suite.settings import resolve

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out

WORDS: Final = (
    *(b"seed:", b"model:", b"engine:", b"device:", b"stride:", b"zones:", b"false_alarm_rate:", b"- "),
    *(b"? ", b"!!python/object/apply:os.system", b"!!binary", b"!!timestamp", b"&a", b"*a", b"<<: *a"),
    *(b"2001-01-01", b"null", b"~", b"yes", b"[[[[", b"{", b"}", b"|", b">", b"%YAML 9.9", b"---"),
    *(b"...", b"\t", b"[" * 3000, b"0o17", b"1:30:00", b".inf", b".nan", b"'", b'"\\ud800"', b"spacing:"),
    *(b"patch:", b"labels:"),
)
_PLAN: Final = b"""labels: {organ: 1}
channels: [CT]
spacing: [1.0, 1.0, 2.5]
patch: [32, 32, 16]
"""


def _seeds() -> list[bytes]:
    return [
        pack(
            {
                "wafer.yaml": b"seed: 3\nengine: native\nfalse_alarm_rate: 0.01\n",
                "sets": b"seed=4\nmodel=auto\n",
            }
        ),
        pack({"crowd.json": b'{"stride": 2, "seed": 1, "confidence": 0.8}', "sets": b"stride=3"}),
        pack({"plan.yaml": _PLAN}),
        pack({"wafer.yaml": b"seed: &a [1, 1]\nmodel: *a\n", "sets": b"seed=[&a 1, *a]"}),
    ]


def _read(data: bytes, folder: Path) -> list[str]:
    with laid_out(data, folder) as names:
        texts = (folder / "sets").read_bytes().decode(errors="replace").split("\n") if "sets" in names else []
        if "wafer.yaml" in names:
            resolve(ClassifyConfig, folder / "wafer.yaml", texts, {})
        elif "crowd.json" in names:
            resolve(CountConfig, folder / "crowd.json", texts, {})
        elif "plan.yaml" in names:
            read_plan_file(folder / "plan.yaml")
    return []


READER: Final = Reader(_seeds, _read, (UserError,), WORDS, folder=True)

"""Model folders of all tasks: the config, the numbers and the card, as far as the network."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save

from pipelines.common.models import ModelError, bundled_models, load_model
from pipelines.registry import TASKS

from ..containers import pack
from ..reader import Reader
from ._folders import laid_out

WORDS: Final = (
    *(b"schema_version", b"task", b"labels", b"architecture", b"preprocessing", b"kind", b"network"),
    *(b"plan", b"null", b"true", b"[]", b"{}", b"NaN", b"Infinity", b"1e400", b'"F32"', b'"BF16"'),
    *(b'"I64"', b'"shape"', b'"data_offsets"', b'"dtype"', b"[0,0]", b"[" * 2000, b"\\ud800", b".."),
    *(b"/etc/passwd", b'"__metadata__"'),
)
_WIDTHS: Final = ("channels", "decoder", "hidden", "stem_channels", "widths")
_TASKS: Final = {task.name: f"{task.package}.model.trained" for task in TASKS}


def _seeds() -> list[bytes]:
    """The configs of the bundled models, with narrow layers, and with numbers that do not fit them."""
    numbers = save({"network.weight": torch.zeros(2, 3), "prior_shift": torch.zeros(2)})
    config = json.dumps({"schema_version": 1, "task": "wafer"}).encode()
    made = [pack({"config.json": config, "model.safetensors": numbers, "metrics.json": b"{}"})]
    for task in _TASKS:
        for folder in bundled_models(task):
            config = json.dumps(_narrow(json.loads((folder / "config.json").read_bytes()))).encode()
            if len(config) < 40_000:
                made.append(pack({"config.json": config, "model.safetensors": numbers, f"{task}.task": b""}))
    return made


def _narrow(value: Any, key: str = "") -> Any:
    """A config with few channels in each layer: building wide ones is most of what an input costs."""
    if isinstance(value, dict):
        return {name: _narrow(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_narrow(one, key) for one in value]
    return min(value, 4) if key in _WIDTHS and type(value) is int else value


def _read(data: bytes, folder: Path) -> list[str]:
    with laid_out(data, folder) as names:
        task = next((name.removesuffix(".task") for name in names if name.endswith(".task")), "")
        if task:
            loader: Any = import_module(_TASKS[task]).load_trained
            loader(folder)
        else:
            load_model(folder, task="wafer")
    return []


READER: Final = Reader(_seeds, _read, (ModelError,), WORDS, folder=True, memory=2**30)

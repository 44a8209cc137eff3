"""Model folders of all tasks: the config, the numbers and what lies beside them, as far as the network."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import save

from pipelines.common.errors import UserError
from pipelines.common.models import bundled_models, load_model
from pipelines.polyp.size.predict import median_mm
from pipelines.registry import TASKS
from pipelines.wafer.examples import Examples, encode, read_examples

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
_LOADERS: Final = {task.name: f"{task.package}.model.trained" for task in TASKS} | {
    "polyp-lesion": "pipelines.polyp.lesion.trained",
    "polyp-depth": "pipelines.polyp.depth.trained",
}


def _seeds() -> list[bytes]:
    """The configs of the bundled models, with narrow layers, and with numbers that do not fit them."""
    numbers = save({"network.weight": torch.zeros(2, 3), "prior_shift": torch.zeros(2)})
    config = json.dumps({"schema_version": 1, "task": "wafer"}).encode()
    labelled = json.dumps({"schema_version": 1, "task": "wafer", "labels": ["ring", "none"]}).encode()
    latent = np.ones((2, 3), np.float32)
    examples = encode(Examples(latent, np.arange(2), ("{}", "null"), latent))
    made = [
        pack({"config.json": config, "model.safetensors": numbers}),
        pack({"config.json": labelled, "examples.safetensors": examples}),
        pack({"metrics.json": b'{"median_mm": 6.5, "held_out": {"mae_mm": 1.5}}'}),
    ]
    for task in _LOADERS:
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
            loader: Any = import_module(_LOADERS[task]).load_trained
            loader(folder)
        elif "examples.safetensors" in names:
            read_examples(folder)
        elif "metrics.json" in names:
            median_mm(folder)
        else:
            load_model(folder, task="wafer")
    return []


READER: Final = Reader(_seeds, _read, (UserError,), WORDS, folder=True, memory=2**30)

"""Model folders: `model.safetensors`, `config.json`, `metrics.json` and a card, `README.md`.

No pickle is ever read: everything numeric, Gaussian mixtures and calibration included, is a tensor
in the safetensors file, and everything else is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.common.errors import UserError

if TYPE_CHECKING:  # `suite list` and `suite --help` look for models without waiting for torch
    from torch import Tensor

SCHEMA_VERSION = 1
MAX_JSON_BYTES = 64 * 2**20  # of `config.json` and of `metrics.json`
LARGEST_HALF = 65_504.0  # the largest number in half precision
TENSORS, CONFIG, METRICS, CARD = "model.safetensors", "config.json", "metrics.json", "README.md"

_PIPELINES = Path(__file__).resolve().parents[1]


class ModelError(UserError):
    """A model folder is missing, incomplete, damaged, or made for something else."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelFolder:
    """A model as it lies on disk.

    config: the contents of `config.json`, with at least `task` and `schema_version`.
    tensors: name to tensor, on the CPU.
    sha256: of the tensors and the config, in hexadecimal; two folders of the same hash are the same model.
    """

    path: Path
    name: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    metrics: dict[str, Any]
    sha256: str


def save_model(
    folder: Path,
    *,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    files: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model folder under a temporary name beside `folder`, then rename it.

    `config` must name its `task`; the schema version is added here. files: what else lies in the folder, by
    name; no part of the model's hash. Raises ModelError if the folder
    exists and `overwrite` is not set, or if what exists is no model folder.
    """
    from safetensors.torch import save

    if not config.get("task"):
        raise ValueError("a model's config must name its task")
    check_model_target(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    new.mkdir()
    try:
        # Clones, since safetensors refuses tensors that share memory, as tied weights do.
        # Written by us, since safetensors makes a file that nobody but its owner may read.
        (new / TENSORS).write_bytes(
            save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
        )
        _write_json(new / CONFIG, {"schema_version": SCHEMA_VERSION, **config})
        _write_json(new / METRICS, metrics)
        (new / CARD).write_text(card, encoding="utf-8")
        for name, content in (files or {}).items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def halved(tensor: Tensor) -> Tensor:
    """In half precision, which halves the folder, but for whole numbers and for what is too large for it.

    Variances of images that are not scaled, or of wide activations, may be.
    """
    fits = tensor.is_floating_point() and float(tensor.abs().max()) <= LARGEST_HALF
    return tensor.half() if fits else tensor


def single(tensor: Tensor) -> Tensor:
    """In single precision again, but for whole numbers."""
    return tensor.float() if tensor.is_floating_point() else tensor


def check_weights(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelError unless all numbers of the tensors of a model folder are finite."""
    if broken := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise ModelError(
            f"the model {folder} is damaged: {broken[0]} holds a value that is not a finite number"
        )


def check_model_target(folder: Path, *, overwrite: bool) -> None:
    """Raise ModelError unless a model may be written to `folder`; cheap, so ask before training."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not overwrite:
        raise ModelError(f"{folder} exists; name another folder, or replace it with --overwrite")
    if folder.exists() and not (folder / CONFIG).is_file():
        raise ModelError(f"{folder} is not a model folder (it has no {CONFIG}), so it is not overwritten")


def load_model(folder: Path, *, task: str) -> ModelFolder:
    """Read the model folder `folder`, made for `task`; raises ModelError in words for the user."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    config = read_config(folder, task=task)
    try:
        weights = (folder / TENSORS).read_bytes()
        tensors = load(weights)
    except FileNotFoundError as error:
        raise ModelError(f"the model {folder} has no {TENSORS}") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{folder / TENSORS} cannot be read: {error}") from error
    metrics = _read_json(folder / METRICS) if (folder / METRICS).is_file() else {}
    return ModelFolder(folder, folder.resolve().name, config, tensors, metrics, _hash(weights, config))


def check_tensors(folder: Path) -> None:
    """Raise ModelError unless the weights of a model folder are whole; reads their header alone."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / TENSORS, framework="np") as tensors:
            if not tensors.keys():
                raise ModelError(f"{folder / TENSORS} holds no weights")
    except FileNotFoundError as error:
        raise ModelError(f"the model {folder} has no {TENSORS}") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{folder / TENSORS} cannot be read: {error}") from error


def model_hash(folder: Path, *, task: str) -> str:
    """The `sha256` of a model folder, without loading its weights into torch. Raises ModelError."""
    config = read_config(folder, task=task)
    try:
        return _hash((folder / TENSORS).read_bytes(), config)
    except OSError as error:
        raise ModelError(f"{folder / TENSORS} cannot be read: {error.strerror}") from error


def _hash(weights: bytes, config: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(weights)
    digest.update(json.dumps(config, sort_keys=True).encode())
    return digest.hexdigest()


def read_config(folder: Path, *, task: str) -> dict[str, Any]:
    """The checked `config.json` of a model folder, without its weights and without torch."""
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {folder}")
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder} is not a model folder: it has no {CONFIG}")
    config = _read_json(folder / CONFIG)
    version = config.get("schema_version")
    if not isinstance(version, int):
        raise ModelError(f"{folder / CONFIG} does not state its schema_version, a whole number")
    if version > SCHEMA_VERSION:
        raise ModelError(
            f"the model {folder} has schema version {version}, newer than this suite reads"
            f" ({SCHEMA_VERSION}); update the suite"
        )
    if config.get("task") != task:
        raise ModelError(
            f"the model {named(folder)} is for the task {config.get('task')!r}, not for {task!r}"
        )
    return config


def bundled_models(task: str) -> list[Path]:
    """Folders of the models that come with the task, by name."""
    return sorted(path.parent for path in (_PIPELINES / task / "models").glob(f"*/{CONFIG}"))


def named(folder: Path) -> str:
    """What a user calls a model: the name of a bundled one, else its folder."""
    return folder.name if _PIPELINES in folder.resolve().parents else str(folder)


def find_model(task: str, name_or_path: str) -> Path:
    """The folder of a bundled model, by its name, else the folder that the text names."""
    bundled = {path.name: path for path in bundled_models(task)}
    if name_or_path in bundled:
        return bundled[name_or_path]
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder
    names = ", ".join(bundled) or "none"
    raise ModelError(
        f"there is no model {name_or_path!r}: give a model folder or the name of a bundled model ({names})"
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{path} is larger than the config of a model can be ({MAX_JSON_BYTES:,} bytes)")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} must hold a JSON object, not a {type(content).__name__}")
    return content

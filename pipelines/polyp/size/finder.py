"""The model that finds lesions in frames without boxes, as this package asks it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.media.record import Pixels
from pipelines.common.models import bundled_models, find_model, model_hash, read_config
from pipelines.polyp.config import TASK
from pipelines.polyp.data import Box

FINDER_TASK: Final = f"{TASK}-lesion"


class FoundLesion(Protocol):
    """A lesion in a frame. box: in px. mask: bool (H, W). score: how sure that is, 0 to 1."""

    @property
    def box(self) -> Box: ...

    @property
    def mask(self) -> NDArray[np.bool_]: ...

    @property
    def score(self) -> float: ...


class Finder(Protocol):
    """Finds lesions."""

    def find(self, pixels: Pixels) -> tuple[FoundLesion, ...]:
        """The lesions of a frame, RGB uint8 (H, W, 3), that is black outside the field; the best first."""
        ...


@dataclass(frozen=True, slots=True)
class NamedFinder:
    """A finder with the name and the hash of its model folder."""

    finder: Finder
    name: str
    sha256: str


def load_named(name: str, device: torch.device) -> NamedFinder | None:
    """The finder of a name or a folder; None for `none`, and for `auto` if no finder is bundled.

    Raises UserError.
    """
    folder = finder_folder(name)
    if folder is None:
        return None
    read_config(folder, task=FINDER_TASK)
    module: Any = import_module("pipelines.polyp.lesion.predict")
    found: Finder = module.load_finder(folder, device=device)
    return NamedFinder(found, folder.resolve().name, model_hash(folder, task=FINDER_TASK))


def finder_folder(name: str) -> Path | None:
    """The model folder that a name stands for; see `load_named`. Raises UserError."""
    if name == "none":
        return None
    if name != "auto":
        return find_model(TASK, name)
    folders = bundled_of(FINDER_TASK)
    if len(folders) > 1:
        names = ", ".join(one.name for one in folders)
        raise UserError(f"--finder is needed, as several finders are bundled: {names}")
    return folders[0] if folders else None


def bundled_of(kind: str) -> list[Path]:
    """The bundled models that are made for `kind`; those that cannot be read are passed over."""
    found = []
    for folder in bundled_models(TASK):
        try:
            read_config(folder, task=kind)
        except UserError:
            continue
        found.append(folder)
    return found

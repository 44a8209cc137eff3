"""The model that finds lesions in frames without boxes, as this package asks it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.media.record import Pixels
from pipelines.common.models import bundled_models, find_model, read_config
from pipelines.polyp.config import TASK
from pipelines.polyp.data import Box, Field

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
    """Finds lesions. name, sha256: of its model folder."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def find(self, pixels: Pixels, *, field: Field | None = None) -> tuple[FoundLesion, ...]:
        """The lesions of a frame, RGB uint8 (H, W, 3), the best first. field: its optical field, if known."""
        ...


def load(name: str, device: torch.device) -> Finder | None:
    """The finder of a name or a folder; None for `none`, and for `auto` if no finder is bundled.

    Raises UserError.
    """
    folder = finder_folder(name)
    if folder is None:
        return None
    from pipelines.polyp.lesion.predict import load_finder

    return load_finder(folder, device=device)


def finder_folder(name: str) -> Path | None:
    """The model folder that a name stands for; see `load`. Raises UserError."""
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

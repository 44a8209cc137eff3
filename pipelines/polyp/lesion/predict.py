"""Where the lesions are in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.common.hardware import resolve_device
from pipelines.common.media.record import Pixels
from pipelines.common.models import find_model
from pipelines.common.precision import autocast
from pipelines.polyp.config import TASK as POLYP
from pipelines.polyp.data import Box, Field, box_of, find_field
from pipelines.polyp.lesion.network import LesionNetwork, as_images, as_shares
from pipelines.polyp.lesion.trained import Tuning, load_trained
from pipelines.polyp.lesion.view import Mask, fit_of, fitted, squared

MOST: Final = 32  # lesions of a frame, each with a mask of its size
FLIPS: Final = ((), (1,), (0,), (0, 1))  # axes of the square that each view of a frame is flipped along


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """One lesion of a frame. box: in px of it. mask: bool (H, W). score: 0 to 1, the mean probability within
    the mask; it ranks lesions, and is not calibrated."""

    box: Box
    mask: Mask
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Finder:
    """network: in evaluation mode on `device`. side: px of its square. tuning: of its model folder.
    precision: as `pipelines.common.precision` has it. sha256: of the folder."""

    name: str
    network: LesionNetwork
    side: int
    tuning: Tuning
    device: torch.device
    sha256: str = ""
    precision: str = "auto"

    def find(self, pixels: Pixels, *, field: Field | None = None) -> tuple[Lesion, ...]:
        """The lesions of a frame, the one of the highest score first; none where nothing is found.

        pixels: RGB uint8 (H, W, 3). field: its optical field, where it is known already. Raises ValueError
        for another shape or type.
        """
        field = checked_field(pixels, field)
        if field.shape == "none":
            return ()
        return lesions_of(self.shares(pixels, field), field, self.tuning)

    def shares(self, pixels: Pixels, field: Field) -> NDArray[np.float32]:
        """The probability of each px of the frame to be of a lesion, (H, W); 0 outside the field's box."""
        fit = fit_of(field, self.side)
        square = squared(fitted(pixels, field, fit), self.side)
        views = np.stack([np.flip(square, axes) for axes in FLIPS[: self.tuning.views]])
        images = as_images(torch.from_numpy(views).to(self.device))
        with torch.inference_mode(), autocast(self.precision, self.device):
            logits = self.network(images)[0]
        found = as_shares(logits).cpu().numpy()
        turned = [np.flip(one, axes) for one, axes in zip(found, FLIPS, strict=False)]
        return fit.back(np.mean(turned, axis=0, dtype=np.float32))


def load_finder(folder_or_name: str | Path, *, device: str | torch.device = "auto") -> Finder:
    """A finder from a model folder, or from the name of a bundled one such as `lesion`.

    device: `auto`, `cpu`, `cuda` or `cuda:N`. Raises ModelError, in words for the user, if there is none.
    """
    where = resolve_device(device) if isinstance(device, str) else device
    model = load_trained(find_model(POLYP, str(folder_or_name)), device=where)
    return Finder(model.name, model.network, model.plan.side, model.tuning, where, model.sha256)


def lesions_of(shares: NDArray[np.float32], field: Field, tuning: Tuning) -> tuple[Lesion, ...]:
    """Connected parts from the threshold on, without specks and unsure ones, the one of the highest score
    first; of very many
    the largest.

    shares: float32 (H, W), the probability of each px.
    """
    above = (shares >= tuning.threshold).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    least = max(1.0, tuning.smallest * float(field.mask.sum()))
    largest = [one for one in np.argsort(-areas, kind="stable")[:MOST] if areas[one] >= least]
    found = []
    for one in largest:
        mask: Mask = labels == one + 1
        box, score = box_of(mask), float(shares[mask].mean())
        if box is not None and score >= tuning.sure:
            found.append(Lesion(box, mask, score))
    return tuple(sorted(found, key=lambda one: (-one.score, -float(one.mask.sum()))))


def checked_field(pixels: Pixels, field: Field | None) -> Field:
    """The optical field of pixels (H, W, 3), or the given one. Raises ValueError if either does not fit."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"pixels must be uint8 of shape (H, W, 3), not {pixels.dtype} of {pixels.shape}")
    if field is None:
        return find_field(pixels)
    if field.mask.shape != pixels.shape[:2]:
        raise ValueError(f"the field is of a frame of {field.mask.shape} px, not of {pixels.shape[:2]}")
    return field

"""The depths of a frame that has no map of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.common.hardware import resolve_device
from pipelines.common.media.record import Pixels
from pipelines.common.models import find_model
from pipelines.common.precision import autocast
from pipelines.polyp.config import TASK as POLYP
from pipelines.polyp.data.record import Camera
from pipelines.polyp.depth.network import DepthNetwork, averaged_log_depths
from pipelines.polyp.depth.trained import load_trained
from pipelines.polyp.depth.view import picture_fit, rays_of, squared_picture

RELIEF: Final = 0.2  # how far depths on a lesion may be from their median, as a share of it

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """network: in evaluation mode on `device`. side: px of its square. sha256: of its model folder."""

    name: str
    network: DepthNetwork
    side: int
    device: torch.device
    sha256: str = ""
    precision: str = "auto"

    def estimate(self, pixels: Pixels, camera: Camera, mask: NDArray[np.bool_] | None = None) -> Floats:
        """Depths along the optical axis, float32 (H, W) in mm, NaN outside the box of the picture.

        pixels: RGB uint8 (H, W, 3), black outside the optical field. camera: of the frame. mask: bool (H, W),
        of the lesion. Its depths are held near their median: the map is coarse, and at an outline it runs
        over into what lies behind.
        """
        fit = picture_fit(pixels, self.side)
        square = torch.from_numpy(squared_picture(pixels, fit, self.side))[None].to(self.device)
        rays = torch.from_numpy(rays_of(camera, fit, self.side))[None].to(self.device)
        with torch.inference_mode(), autocast(self.precision, self.device):
            log = averaged_log_depths(self.network, square, rays)[0]
        full = torch.nn.functional.interpolate(
            log[None, None].float(), (self.side, self.side), mode="bilinear", align_corners=False
        )
        found = np.full(fit.frame, np.nan, np.float32)
        x0, y0, x1, y1 = fit.field
        found[y0:y1, x0:x1] = np.exp(fit.back(full[0, 0].cpu().numpy()))[y0:y1, x0:x1]
        return found if mask is None else _held_near(found, mask)


def load_estimator(folder_or_name: str | Path, *, device: str | torch.device = "auto") -> Estimator:
    """An estimator from a model folder, or from the name of a bundled one such as `depth`.

    device: `auto`, `cpu`, `cuda` or `cuda:N`. Raises ModelError, in words for the user, if there is none.
    """
    where = resolve_device(device) if isinstance(device, str) else device
    model = load_trained(find_model(POLYP, str(folder_or_name)), device=where)
    return Estimator(model.name, model.network, model.plan.side, where, model.sha256)


def _held_near(depth: Floats, mask: NDArray[np.bool_]) -> Floats:
    known = depth[mask & np.isfinite(depth)]
    if not len(known):
        return depth
    middle = float(np.median(known))
    held = np.clip(depth, middle * (1 - RELIEF), middle * (1 + RELIEF))
    return np.where(mask, held, depth).astype(np.float32)

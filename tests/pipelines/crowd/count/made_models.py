"""Small models whose weights are random but settled, and images and videos for them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipelines.crowd.calibration import calibrate
from pipelines.crowd.config import NetworkPlan
from pipelines.crowd.count.config import PredictConfig
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.model.network import CrowdNetwork, as_input
from pipelines.crowd.model.networks import build_network
from pipelines.crowd.model.sparse_counter import SparseCounter
from pipelines.crowd.model.trained import TrainedModel, save_trained
from sparse_backbones import engines
from tests.pipelines.crowd.scenes import scene

SMALL = NetworkPlan(
    widths=(4, 8, 8, 16, 16), blocks=(1, 1, 1, 1), decoder=(8, 12, 16), decoder_blocks=(1, 1, 1)
)


def small_plan(**changes: Any) -> NetworkPlan:
    return SMALL.model_copy(update=changes)


def shaken(plan: NetworkPlan = SMALL, seed: int = 3) -> CrowdNetwork:
    """A network of the plan in evaluation mode that no training has made; its norms have statistics of their
    own, and what it finds hangs on what it sees."""
    torch.manual_seed(seed)
    network = build_network(plan.model_copy(update={"name": "sparse-counter"}), engines.load("native"))
    if not plan.name.endswith("-counter"):
        network = build_network(plan, engines.load("native"))
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if "running_mean" in name:
            value.copy_(torch.rand(value.shape, generator=generator) - 0.5)
        elif "running_var" in name:
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    if isinstance(network, SparseCounter):
        _settle(network.eval())
    if plan.name == "dense-counter":
        dense = build_network(plan, engines.load("native"))
        dense.load_shared(network.shared_weights())
        network = dense
    return network.eval()


def _settle(network: SparseCounter) -> None:
    """Let the gate be open in about half of the blocks, and blocks differ in what they hold."""
    pixels = rough(128, 128)
    with torch.inference_mode():
        found = network.look(as_input(pixels[None]))[0].context.std()
        network.coarse.weight.copy_(torch.randn(network.coarse.weight.shape) / found)
        logits = network.look(as_input(pixels[None]))[1][:, 0]
        closed = math.log(1 / network.threshold - 1)
        network.coarse.bias[0] += closed - logits.median()
        network.coarse.bias[1] = 3.0


def rough(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """RGB pixels (height, width, 3) of noise, with places of any brightness and contrast."""
    rng = np.random.default_rng(seed)
    size = width // 24 + 2, height // 24 + 2
    level, contrast = (
        cv2.resize(rng.uniform(0, 1, size[::-1]).astype(np.float32), (width, height)) for _ in range(2)
    )
    waves = rng.normal(0, 60, (height, width, 3)) * contrast[..., None] + 255 * level[..., None]
    return np.clip(waves, 0, 255).astype(np.uint8)


def trained(plan: NetworkPlan = SMALL, *, calibrated: bool = True, seed: int = 3) -> TrainedModel:
    extra = calibration() if calibrated else {}
    return TrainedModel("small", plan, shaken(plan, seed), extra, {}, torch.device("cpu"), "0" * 64)


def predictor(plan: NetworkPlan = SMALL, *, calibrated: bool = True, **settings: Any) -> Predictor:
    return Predictor(trained(plan, calibrated=calibrated), PredictConfig(**settings))


def save_model(folder: Path, plan: NetworkPlan = SMALL, *, calibrated: bool = True) -> Path:
    save_trained(
        folder,
        plan=plan,
        weights=shaken(plan).shared_weights(),
        training={},
        metrics={},
        card="made for tests\n",
        calibration=calibration() if calibrated else {},
    )
    return folder


def write_scene(path: Path, side: int = 96, seed: int = 0) -> Path:
    """An image of discs on noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene(side, 20, seed)[0]).save(path)
    return path


def write_film(path: Path, frames: int = 5, side: int = 96) -> Path:
    """A video from a fixed camera: a disc moves over a scene that stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    still = scene(side, 20, 0)[0]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (side, side))
    for number in range(frames):
        frame = still.copy()
        cv2.circle(frame, (side // 2 + 4 * number, side // 2), 6, (240, 240, 240), -1)
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def calibration() -> dict[str, torch.Tensor]:
    """As of a training whose counts were one too low in 30 images."""
    counts = [float(number) for number in range(10, 40)]
    return calibrate([one + 1 for one in counts], counts, counts, counts)

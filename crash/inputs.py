"""Small inputs for each task, good and broken ones, so that runs hold failed rows too."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipelines.common.engines import load_engine
from pipelines.medical.config import Foreground, Normalisation, Plan
from pipelines.medical.config import NetworkPlan as UNetPlan
from pipelines.medical.generate.files import nifti
from pipelines.medical.model.trained import network_of
from pipelines.medical.model.trained import save_trained as save_segmenter
from pipelines.polyp.aggregate import SCORES
from pipelines.polyp.config import NetworkPlan
from pipelines.polyp.model.distribution import middles
from pipelines.polyp.model.network import build_network
from pipelines.polyp.model.trained import save_trained
from pipelines.wafer.generate.samples import write_samples

IMAGES, FRAMES, VOLUMES, POLYPS, FRAMES_OF_POLYP = 5, 6, 5, 7, 2
MM, SPREAD = 7.0, 0.12  # what the model of sizes says of every polyp, and its deviation in logarithms
SIDE: Final = 96  # px of images
VOXELS: Final = (14, 15, 16)
BROKEN: Final = b"this is no picture"
UNET: Final = UNetPlan(
    name="dense-unet",
    channels=(4, 6, 8),
    blocks=(1, 1, 1),
    strides=((2, 2, 2), (2, 2, 1)),
    heads=1,
)
PLAN: Final = {"backbone": "sparse-resnet", "side": 96, "widths": [8, 16], "blocks": [1, 1], "hidden": 16}


def write_wafers(folder: Path) -> None:
    """Wafer maps in every format, and broken files."""
    write_samples(folder / "in")


def write_crowds(folder: Path) -> None:
    """Images and a video of discs on noise, and a broken image."""
    (folder / "in").mkdir(parents=True)
    for number in range(IMAGES):
        Image.fromarray(_scene(number)).save(folder / "in" / f"image{number}.png")
    (folder / "in" / "image2b.png").write_bytes(BROKEN)
    film = cv2.VideoWriter(
        str(folder / "in" / "video.avi"),
        cv2.CAP_FFMPEG,
        cv2.VideoWriter.fourcc(*"MJPG"),
        10.0,
        (SIDE, SIDE),
    )
    for number in range(FRAMES):
        film.write(_scene(100 + number))
    film.release()


def write_volumes(folder: Path) -> None:
    """Volumes of noise, one that is cut off, and an untrained model."""
    (folder / "in").mkdir(parents=True)
    for number in range(VOLUMES):
        rng = np.random.default_rng(number)
        array = np.kron(rng.normal(300, 200, tuple(side // 2 + 1 for side in VOXELS)), np.ones((2, 2, 2)))
        cut = array[tuple(slice(side) for side in VOXELS)].astype(np.int16)
        data = nifti(cut, np.eye(4))
        (folder / "in" / f"case{number}.nii.gz").write_bytes(data)
        if number == 2:
            (folder / "in" / "case2b.nii.gz").write_bytes(data[: len(data) // 2])
    _write_segmenter(folder / "model")


def _write_segmenter(folder: Path) -> None:
    plan = Plan(
        labels={"one": 1, "two": 2},
        patch=(16, 16, 16),
        normalisation=(Normalisation(),),
        foreground=Foreground(),
        network=UNET,
    )
    torch.manual_seed(0)
    network = network_of(plan, load_engine("auto"))
    save_segmenter(
        folder, plan=plan, members=[network.shared_weights()], training={}, metrics={}, card="# Untrained\n"
    )


def write_polyps(folder: Path) -> None:
    """A data set of discs with boxes, one polyp of which has broken frames, and an untrained model."""
    data = folder / "in"
    data.mkdir(parents=True)
    with (
        (data / "polyps.csv").open("w", newline="") as polyps_file,
        (data / "frames.csv").open("w", newline="") as frames_file,
    ):
        polyps, frames = csv.writer(polyps_file), csv.writer(frames_file)
        polyps.writerow(["polyp", "patient", "size_mm"])
        frames.writerow(["polyp", "image", "x0", "y0", "x1", "y1", "mask"])
        for number in range(POLYPS):
            polyps.writerow([f"polyp{number}", f"patient{number}", 4 + number])
            for frame in range(FRAMES_OF_POLYP):
                name = f"polyp{number}_{frame}.png"
                if number == 3:
                    (data / name).write_bytes(BROKEN)
                else:
                    Image.fromarray(_scene(10 * number + frame)).save(data / name)
                frames.writerow([f"polyp{number}", name, 30, 32, 62, 60, ""])
    _write_sizer(folder / "model")


def _write_sizer(folder: Path) -> None:
    plan = NetworkPlan.model_validate(PLAN)
    torch.manual_seed(0)
    built = build_network(plan, load_engine("auto"))
    last = built.get_submodule("hidden.last")
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias.copy_(-((middles().log() - math.log(MM)) ** 2) / (2 * SPREAD**2))
    save_trained(
        folder,
        plan=plan,
        weights=built.state_dict(),
        calibration={SCORES["camera"]: torch.linspace(0.5, 1.5, 40, dtype=torch.float64)},
        training={"data": "nothing", "max_side": 512},
        metrics={},
        card="# Untrained\n",
    )


def _scene(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    pixels: Any = rng.integers(60, 120, (SIDE, SIDE, 3)).astype(np.uint8)
    for x, y in rng.integers(8, SIDE - 8, (12, 2)).tolist():
        cv2.circle(pixels, (x, y), 4, rng.integers(130, 250, 3).tolist(), -1)
    return np.asarray(pixels, np.uint8)

"""A data set of rendered videos on disk, which a killed run goes on with."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.common.errors import UserError
from pipelines.common.files import FolderLock, replacing
from pipelines.polyp.render.layout import (
    LESION_COLUMNS,
    VIDEO_COLUMNS,
    json_text,
    table,
    video_name,
    write_frame,
)
from pipelines.polyp.render.styles import STYLES
from pipelines.polyp.render.video import draw_video

PARTS = ("frames", "annotations", "depth", "masks")
SETTINGS, TRUTH = "settings.json", "_truth.json"
FPS = 25
SITES = ("cecum", "ascending", "transverse", "descending", "sigmoid", "rectum")


@dataclass(frozen=True, slots=True)
class Settings:
    """What makes a data set the one it is; how many polyps it has so far is not part of it."""

    seed: int
    frames: int
    style: str
    size: int
    one_camera: bool


def render_dataset(
    out: Path,
    *,
    polyps: int,
    seed: int = 0,
    frames: int = 8,
    style: str = "first",
    size: int = 384,
    one_camera: bool = False,
    workers: int = 1,
    done: Callable[[str], None] | None = None,
) -> list[str]:
    """Render one video of `frames` frames for each polyp into `out`; returns the videos' names.

    The same settings give the same files, more polyps the same first ones. Videos that are whole already are
    not rendered again, and stay in the tables if fewer polyps are asked for. `done` is called with the name
    of each that is rendered. size: px, height of the frames; one_camera: the same intrinsics for all. Raises
    UserError for settings that cannot be, or that differ from those of `out`.
    """
    settings = _checked(out, Settings(seed, frames, style, size, one_camera), polyps, workers)
    names = [video_name(number) for number in range(polyps)]
    lock = FolderLock(out)
    try:
        for left in out.glob(".*.new-*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        missing = [number for number in range(polyps) if not (out / f"{names[number]}{TRUTH}").exists()]
        for number in _each(out, settings, missing, workers):
            if done is not None:
                done(names[number])
        whole = sorted(path.name.removesuffix(TRUTH) for path in out.glob(f"*{TRUTH}"))
        _write_tables(out, whole, one_camera)
    finally:
        lock.release()
    return names


def render_video(out: Path, settings: Settings, number: int) -> int:
    """Render one video under a temporary name, then move its parts to their places, the sign that it is whole
    last."""
    torch.set_num_threads(1)
    name = video_name(number)
    work = out / f".{name}.new-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        video = draw_video(
            settings.seed, number, settings.frames, settings.style, settings.size, settings.one_camera
        )
        rows = []
        for at, (frame, planned) in enumerate(zip(video.frames(), video.clip, strict=True)):
            box = write_frame(work, name, at, frame.image, frame.depth, frame.mask, video.optics.quality)
            rows.append(
                {
                    "frame": f"{name}_{at}.jpg",
                    "distance_mm": round(planned.distance, 3),
                    "view": planned.view,
                    "blurred": planned.blurred,
                    "tool": planned.shot.tool is not None,
                    "polyp_px": int(frame.mask.sum()),
                    "box": box,
                }
            )
        (work / f"{name}_calibration.json").write_text(json_text(video.optics.camera.calibration()))
        site = SITES[int(np.random.default_rng([settings.seed, 4, number]).integers(len(SITES)))]
        truth = {
            "video": name,
            "style": settings.style,
            "shape": video.lesion.kind,
            "size_mm": video.lesion.size,
            "site": site,
            "words": video.optics.words,
            "narrow_band": video.skin.narrow,
            "frames": rows,
        }
        (work / f"{name}{TRUTH}").write_text(json_text(truth))
        for part in [*(f"{name}_{part}" for part in PARTS), f"{name}_calibration.json", f"{name}{TRUTH}"]:
            shutil.rmtree(out / part, ignore_errors=True)
            (work / part).replace(out / part)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return number


def _checked(out: Path, settings: Settings, polyps: int, workers: int) -> Settings:
    for name, value, least in (
        ("polyps", polyps, 1),
        ("frames", settings.frames, 1),
        ("size", settings.size, 64),
        ("workers", workers, 1),
        ("seed", settings.seed, 0),
    ):
        if value < least:
            raise UserError(f"{name} is {value}; it must be at least {least}")
    if settings.style not in STYLES:
        raise UserError(f"there is no style {settings.style!r}; there are {', '.join(STYLES)}")
    path = out / SETTINGS
    if path.exists():
        found = json.loads(path.read_text())
        changed = [key for key, value in asdict(settings).items() if found.get(key) != value]
        if changed:
            raise UserError(f"{out} was rendered with another {', '.join(changed)}; name another folder")
    elif out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and has no {SETTINGS}; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json_text(asdict(settings)))
    return settings


def _each(out: Path, settings: Settings, missing: list[int], workers: int) -> Iterator[int]:
    """Render the missing videos; gives the number of each when it is whole."""
    if workers == 1 or len(missing) < 2:
        for number in missing:
            yield render_video(out, settings, number)
        return
    # Forked processes would share the locks of torch's threads.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(render_video, out, settings, number) for number in missing]
        for one in as_completed(waiting):
            yield one.result()


def _write_tables(out: Path, names: list[str], one_camera: bool) -> None:
    videos: list[dict[str, Any]] = []
    lesions: list[dict[str, Any]] = []
    for name in names:
        truth = json.loads((out / f"{name}{TRUTH}").read_text())
        videos.append(
            {
                "unique_video_name": name,
                "endoscope_brand": "rendered",
                "fps": FPS,
                "num_frames": len(truth["frames"]),
                "num_lesions": 1,
            }
        )
        lesions.append(
            {
                "unique_object_id": f"{name}_1",
                "unique_video_name": name,
                "size [mm]": truth["size_mm"],
                "site": truth["site"],
                "histology_extended": "rendered",
                "histology_class": "rendered",
                "shape": truth["shape"],
                "style": truth["style"],
            }
        )
    files = {
        "video_info.csv": table(VIDEO_COLUMNS, videos),
        "lesion_info.csv": table(LESION_COLUMNS, lesions),
    }
    if one_camera:
        files["calibration.json"] = (out / f"{names[0]}_calibration.json").read_text()
    for path, text in files.items():
        with replacing(out / path) as file:
            file.write(text)

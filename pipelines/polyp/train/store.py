"""Frames made ready once: without what is written around them, reduced, on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.arrays import mapped
from pipelines.common.errors import UserError
from pipelines.common.media.limits import MAX_PIXELS
from pipelines.common.media.record import Pixels
from pipelines.polyp.data import (
    Camera,
    FailedFrame,
    Field,
    Frame,
    FrameRef,
    Polyp,
    PolypError,
    find_field,
    frames_of,
    read_frames,
    without_surroundings,
)
from pipelines.polyp.data.record import Box
from pipelines.polyp.data.thinning import spread
from pipelines.polyp.geometry import resized
from pipelines.polyp.quality import Quality, quality_of

if TYPE_CHECKING:  # it comes with torch
    from pipelines.polyp.depth.estimate import Estimator

HASHED_BYTES = 2**20  # of a file


@dataclass(frozen=True, slots=True, eq=False)
class StoredFrame:
    """pixels: RGB uint8 (H, W, 3), on the disk, black outside the optical field. box: in px of these.
    mask: bool (H, W) or None. depth: float32 (H, W), mm, NaN where unknown, or None. estimated: the same, by
    an estimator. camera: of these px."""

    name: str
    pixels: Pixels
    box: Box
    quality: Quality
    mask: NDArray[np.bool_] | None = None
    depth: NDArray[np.float32] | None = None
    camera: Camera | None = None
    estimated: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StoredPolyp:
    """A polyp of known size with its frames; at least one of them is usable. content: of `content_hash`."""

    id: str
    patient: str
    mm: float
    censored: bool
    frames: tuple[StoredFrame, ...]
    content: str = ""

    @property
    def usable(self) -> tuple[StoredFrame, ...]:
        return tuple(one for one in self.frames if one.quality.usable)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A polyp or a frame that cannot be trained on, and why."""

    name: str
    reason: str


def store_polyps(
    polyps: Sequence[Polyp],
    max_side: int,
    frames_per_polyp: int,
    folder: Path,
    progress: Callable[[str], None],
    *,
    depth: bool = False,
    estimator: Estimator | None = None,
    max_pixels: int = MAX_PIXELS,
) -> tuple[list[StoredPolyp], list[LeftOut]]:
    """Make the frames of polyps ready in `folder`, or take what lies there for the same files.

    Polyps without a size, and frames without the lesion or that cannot be read, are left out. depth: keep
    maps of depth. estimator: keep its estimates of frames with a camera, too. max_pixels: of a frame that is
    read. Raises UserError if no polyp is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    how = _How(max_side, frames_per_polyp, depth, estimator, max_pixels)
    found: list[StoredPolyp] = []
    left_out: list[LeftOut] = []
    for number, polyp in enumerate(polyps):
        if number % 20 == 0:
            progress(f"preparing polyp {number + 1} of {len(polyps)}")
        try:
            found.append(_stored(polyp, how, folder / f"{number:05d}", left_out))
        except PolypError as error:
            left_out.append(LeftOut(polyp.id, str(error)))
    if not found:
        reason = f": {left_out[0].name}: {left_out[0].reason}" if left_out else ""
        raise UserError(f"there is no polyp of known size to train on{reason}")
    return found, left_out


def ready(
    frame: Frame, max_side: int, camera: Camera | None, field: Field | None = None
) -> StoredFrame | None:
    """A frame as networks see it; None if it shows no lesion.

    What lies outside the optical field, writing above all, is black, and the frame is reduced to a longer
    side of `max_side` px at most. field: if it is known, else it is found in the frame.
    """
    if frame.box is None:
        return None
    field = field or find_field(frame.pixels)
    pixels = without_surroundings(frame.pixels, field)
    share = min(1.0, max_side / max(frame.height, frame.width))
    size = (max(1, round(frame.width * share)), max(1, round(frame.height * share)))
    x, y = size[0] / frame.width, size[1] / frame.height
    box = frame.box[0] * x, frame.box[1] * y, frame.box[2] * x, frame.box[3] * y
    seen = None if field.shape in ("whole", "none") else field.mask
    # Before it is reduced, which hides blur.
    quality = quality_of(frame.pixels, frame.box, mask=frame.mask, field=seen)
    mask, depth = frame.mask, frame.depth
    if share < 1:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        if mask is not None:
            mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
        if depth is not None:
            depth = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
    if camera is not None:
        camera = resized(camera, *size)
    return StoredFrame(frame.ref.name, pixels, box, quality, mask, depth, camera)


@dataclass(frozen=True, slots=True)
class _How:
    """How frames are made ready; see `store_polyps`."""

    max_side: int
    most: int
    depth: bool
    estimator: Estimator | None
    max_pixels: int

    @property
    def key(self) -> list[Any]:
        estimates = self.estimator and f"beside maps: {self.estimator.sha256}"
        return [self.max_side, self.depth, estimates]


def _stored(polyp: Polyp, how: _How, target: Path, left_out: list[LeftOut]) -> StoredPolyp:
    if polyp.size_mm is None:
        raise PolypError("its size is not known")
    listing = frames_of(polyp)
    left_out += [LeftOut(f"{polyp.id}/{one.name}", one.error) for one in listing.failed]
    refs = spread(marked(listing.frames), how.most)
    key = json.dumps([how.key, [frame_state(one) for one in refs], _camera_key(polyp.camera)], default=str)
    record = _read(target) if target.with_suffix(".json").is_file() else {}
    # Another limit changes nothing where all frames could be read.
    again = record.get("failed") and record.get("max_pixels") != how.max_pixels
    if record.get("key") != key or again:
        _write(polyp, refs, how, target, key)
        record = _read(target)
    left_out += [LeftOut(f"{polyp.id}/{name}", reason) for name, reason in record["failed"]]
    frames = tuple(_open(target, number, one) for number, one in enumerate(record["frames"]))
    if not any(one.quality.usable for one in frames):
        raise PolypError("none of its frames can be used")
    content = content_hash(refs[0])
    return StoredPolyp(polyp.id, polyp.patient, polyp.size_mm, polyp.censored, frames, content)


def _write(polyp: Polyp, refs: Sequence[FrameRef], how: _How, target: Path, key: str) -> None:
    target.with_suffix(".json").unlink(missing_ok=True)
    frames: list[dict[str, Any]] = []
    failed: list[tuple[str, str]] = []
    for one in read_frames(refs, max_pixels=how.max_pixels):
        if isinstance(one, FailedFrame):
            failed.append((one.name, one.error))
            continue
        made = ready(one, how.max_side, polyp.camera)
        if made is None:
            continue
        if how.estimator is not None:
            made = with_estimate(made, how.estimator)
        if not how.depth:
            made = replace(made, depth=None)
        for what in ("pixels", "mask", "depth", "estimated"):
            if (values := getattr(made, what)) is not None:
                np.save(_part(target, len(frames), what), np.ascontiguousarray(values))
        frames.append(
            {
                "name": made.name,
                "box": made.box,
                "quality": asdict(made.quality),
                "mask": made.mask is not None,
                "depth": made.depth is not None,
                "estimated": made.estimated is not None,
                "camera": None if made.camera is None else asdict(made.camera),
            }
        )
    record = {"key": key, "max_pixels": how.max_pixels, "frames": frames, "failed": failed}
    target.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def with_estimate(frame: StoredFrame, estimator: Estimator) -> StoredFrame:
    """A frame with the depths that an estimator says, too, if its camera is known."""
    if frame.camera is None:
        return frame
    return replace(frame, estimated=estimator.estimate(np.asarray(frame.pixels), frame.camera, frame.mask))


def _open(target: Path, number: int, record: dict[str, Any]) -> StoredFrame:
    quality = {**record["quality"], "reasons": tuple(record["quality"]["reasons"])}
    camera = record["camera"]
    return StoredFrame(
        record["name"],
        mapped(_part(target, number, "pixels")),
        tuple(record["box"]),
        Quality(**quality),
        mapped(_part(target, number, "mask")) if record["mask"] else None,
        mapped(_part(target, number, "depth")) if record["depth"] else None,
        None if camera is None else Camera(**{**camera, "notes": tuple(camera["notes"])}),
        mapped(_part(target, number, "estimated")) if record.get("estimated") else None,
    )


def _read(target: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def _part(target: Path, number: int, what: str) -> Path:
    return target.with_name(f"{target.name}-{number:04d}-{what}.npy")


def frame_state(ref: FrameRef) -> list[Any]:
    """What a stored frame follows from: its files as they are now, and its labels."""
    states: list[Any] = [ref.name, ref.number, ref.box, ref.label_size]
    for path in (ref.image, ref.video, ref.mask, None if ref.depth is None else ref.depth.path):
        if path is not None and path.exists():
            stat = path.stat()
            states.append([str(path.absolute()), stat.st_size, stat.st_mtime_ns])
    return states


def content_hash(ref: FrameRef) -> str:
    """Of the file of a frame, whatever it is called, to know a polyp again by its first frame.

    Of a video its beginning counts, and the number of the frame. Empty if the file cannot be read.
    """
    path = ref.image or ref.video
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            digest = blake2b(file.read(HASHED_BYTES), digest_size=12)
    except OSError:
        return ""
    if ref.image is None:
        digest.update(str(ref.number).encode())
    return digest.hexdigest()


def marked(refs: Sequence[FrameRef]) -> list[FrameRef]:
    """Those that have a box or a mask."""
    return [one for one in refs if one.box is not None or one.mask is not None]


def _camera_key(camera: Camera | None) -> list[float] | None:
    names = ("width", "height", "fx", "fy", "cx", "cy", "k1")
    return None if camera is None else [getattr(camera, name) for name in names]

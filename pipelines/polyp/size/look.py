"""The frames of a polyp, read one at a time, cleaned, judged and shown to the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.polyp.aggregate import FrameSize, scale_of
from pipelines.polyp.data import (
    Box,
    Camera,
    FailedFrame,
    Field,
    Frame,
    FrameRef,
    find_field,
    read_frames,
    without_surroundings,
)
from pipelines.polyp.data.boxes import box_of, within
from pipelines.polyp.quality import Quality
from pipelines.polyp.size.fields import Fields, fields_of
from pipelines.polyp.size.finder import Finder
from pipelines.polyp.size.predict import FrameAnswer, Predictor
from pipelines.polyp.train.store import StoredFrame, ready, with_estimate

AT_ONCE: Final = 16  # frames
LEAST_INSIDE: Final = 0.25  # of a box that must lie in the field
ASPECT_TOLERANCE: Final = 0.02
Corners = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class FrameLook:
    """What came of a frame.

    reason: why it is not to be used, empty if it is. width, height: of the frame in px, 0 if it could not be
    read. box: in its px. picture: the frame in small without what is around the field, a JPEG, empty if it
    could not be read. outline: of the lesion's mask, in px of the picture. calibrated: whether the camera
    was known; depth: whether a map of depth was; estimated: whether its depths were estimated. score: the
    finder's.
    """

    name: str
    reason: str = ""
    width: int = 0
    height: int = 0
    box: Box | None = None
    quality: Quality | None = None
    answer: FrameAnswer | None = None
    picture: bytes = b""
    outline: tuple[Corners, ...] = ()
    calibrated: bool = False
    depth: bool = False
    estimated: bool = False
    score: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def deep(self) -> bool:
        """Whether the network saw depths of it."""
        return self.depth or self.estimated

    @property
    def weight(self) -> float:
        """How much the frame counts: its quality, and how sure the finder is."""
        if self.quality is None:
            return 0.0
        return self.quality.weight * (1.0 if self.score is None else self.score)

    def size(self) -> FrameSize:
        """For `aggregate.size_polyp`; a frame without a distribution has a reason."""
        shares = torch.empty(0) if self.answer is None else self.answer.shares
        scale = scale_of(camera=self.calibrated, depth_map=self.depth)
        return FrameSize(self.name, shares, self.weight, self.reason, scale)


def look_at(
    refs: Sequence[FrameRef],
    predictor: Predictor,
    camera: Camera | None,
    *,
    finder: Finder | None,
    told: Callable[[float], None],
) -> list[FrameLook]:
    """Every frame in its order; pixels of AT_ONCE at a time are in memory. told: gets the share that is done.

    finder: finds the lesions; None if frames have boxes or masks.
    """
    limit = predictor.config.max_pixels
    frames, fields = read_frames(refs, max_pixels=limit), fields_of(refs, limit)
    return look_at_frames(frames, len(refs), fields, predictor, camera, finder=finder, told=told)


def look_at_frames(
    frames: Iterable[Frame | FailedFrame],
    count: int,
    fields: Fields,
    predictor: Predictor,
    camera: Camera | None,
    *,
    finder: Finder | None,
    told: Callable[[float], None],
) -> list[FrameLook]:
    """The same for frames that are read. count: how many. fields: of `fields_of`."""
    found: list[FrameLook] = []
    waiting: list[tuple[int, StoredFrame]] = []
    for number, frame in enumerate(frames):
        told(number / count)
        look, stored = _prepared(frame, fields, predictor, camera, finder)
        if stored is not None:
            waiting.append((len(found), stored))
        found.append(look)
        if len(waiting) == AT_ONCE:
            _ask(waiting, predictor, found)
    _ask(waiting, predictor, found)
    return found


def _prepared(
    frame: Frame | FailedFrame,
    fields: Fields,
    predictor: Predictor,
    camera: Camera | None,
    finder: Finder | None,
) -> tuple[FrameLook, StoredFrame | None]:
    if isinstance(frame, FailedFrame):
        return FrameLook(frame.name, f"it cannot be read: {frame.error}"), None
    field = fields.get(frame.pixels.shape[:2]) or find_field(frame.pixels)
    score = None
    if finder is not None:
        frame, score = _found(frame, field, finder, predictor.config.least_score)
    look = FrameLook(frame.ref.name, width=frame.width, height=frame.height, notes=frame.notes, score=score)
    if field.shape == "none":
        return replace(look, reason="nothing in it is picture: no optical field was found"), None
    usable_camera = camera if camera is not None and _fits(camera, frame) else None
    if frame.box is None:
        return replace(look, reason=_no_lesion(frame, finder), picture=_small(frame, field, predictor)), None
    stored = ready(frame, predictor.max_side, usable_camera, field)
    if stored is None:
        raise ValueError("a frame with a box was not made ready")
    reasons = list(stored.quality.reasons)
    inside = field.mask & within(frame.box, frame.width, frame.height)
    if inside.sum() < LEAST_INSIDE * within(frame.box, frame.width, frame.height).sum():
        reasons.insert(0, "its box lies outside the optical field")
    look = replace(
        look,
        reason="; ".join(reasons),
        box=frame.box,
        quality=stored.quality,
        picture=_jpeg(stored.pixels),
        outline=_outline(stored.mask),
        calibrated=usable_camera is not None,
        depth=stored.depth is not None,
    )
    if predictor.estimator is not None and stored.depth is None and stored.camera is not None:
        return replace(look, estimated=True), with_estimate(stored, predictor.estimator)
    return look, stored


def _ask(waiting: list[tuple[int, StoredFrame]], predictor: Predictor, found: list[FrameLook]) -> None:
    """Put the network's answers to the waiting frames into `found`."""
    if waiting:
        answers = predictor.look([stored for _, stored in waiting])
        for (place, _), answer in zip(waiting, answers, strict=True):
            found[place] = replace(found[place], answer=answer)
        waiting.clear()


def _found(frame: Frame, field: Field, finder: Finder, least: float) -> tuple[Frame, float | None]:
    """The frame with the best lesion that is found in it, if any."""
    lesions = finder.find(without_surroundings(frame.pixels, field), field=field)
    best = next((one for one in lesions if one.score >= least), None)
    if best is None:
        return replace(frame, box=None, mask=None), max((one.score for one in lesions), default=None)
    return replace(frame, box=best.box, mask=best.mask if box_of(best.mask) else None), best.score


def _no_lesion(frame: Frame, finder: Finder | None) -> str:
    if finder is not None:
        return "no lesion was found in it"
    odd = [note for note in frame.notes if note.endswith("is left out")]
    if frame.others and frame.ref.box is None:
        return f"it has {len(frame.others)} boxes without ids: which one is of the polyp is not known"
    return "; ".join(odd) or "it shows no lesion: neither a box nor a mask marks one"


def _fits(camera: Camera, frame: Frame) -> bool:
    """Whether the frame may be one of the camera's: its proportions are the same."""
    return abs(camera.width * frame.height / (camera.height * frame.width) - 1) <= ASPECT_TOLERANCE


def _small(frame: Frame, field: Field, predictor: Predictor) -> bytes:
    """The picture of a frame without a lesion."""
    share = min(1.0, predictor.max_side / max(frame.height, frame.width))
    size = (max(1, round(frame.width * share)), max(1, round(frame.height * share)))
    pixels = without_surroundings(frame.pixels, field)
    return _jpeg(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8))


def _jpeg(pixels: Pixels) -> bytes:
    done, content = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]))
    if not done:
        raise ValueError("a picture could not be written as JPEG")
    return content.tobytes()


def _outline(mask: NDArray[np.bool_] | None) -> tuple[Corners, ...]:
    if mask is None:
        return ()
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(_corners(one) for one in found if len(one) > 2)


def _corners(contour: Any) -> Corners:
    return tuple((int(x), int(y)) for x, y in np.reshape(contour, (-1, 2)))


def iter_notes(looks: Sequence[FrameLook]) -> Iterator[str]:
    """What was odd about frames, each once with the number of frames."""
    counts: dict[str, int] = {}
    for look in looks:
        for note in look.notes:
            counts[note] = counts.get(note, 0) + 1
    for note, count in counts.items():
        yield note if count == 1 else f"{note} ({count} frames)"

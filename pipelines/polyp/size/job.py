"""The work of a run: a polyp to its row, its frames and its pictures, whichever process does it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.common.runner import FAILS_ONE, Work, reason_of
from pipelines.common.runs import Key
from pipelines.polyp.aggregate import PolypSize, agreeing, pooled, size_polyp
from pipelines.polyp.data import Camera, FailedFrame, Frame, frames_of
from pipelines.polyp.data.thinning import spread
from pipelines.polyp.size import rows
from pipelines.polyp.size.choose import MOST_NAMED, NO_BOX, Chosen, fingerprint
from pipelines.polyp.size.config import PredictConfig
from pipelines.polyp.size.items import Item
from pipelines.polyp.size.look import FrameLook, iter_notes, look_at_frames
from pipelines.polyp.size.pictures import draw, draw_features, write_picture
from pipelines.polyp.size.predict import Predictor
from pipelines.polyp.size.reading import Closed, Opened, Part, Reader, Todo, lost

OVERLAYS: Final = "overlays"
Told = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Sized:
    """What came of a polyp. companion: its line in the companion file."""

    row: rows.Row
    companion: str


def todos(items: Sequence[Item], finished: Container[Key]) -> Iterator[Todo]:
    """The polyps without a row. finished: the keys of those with one."""
    for number, item in enumerate(items):
        if (item.source, item.polyp.id) not in finished:
            yield Todo(item, number)


def work_of(job: SizeJob, out: Path) -> Work[Todo, Part, Sized]:
    """What a runner is told of a sizing run into the folder `out`. job: in this process."""
    config = job.predictor.config
    return Work(job.reader, lost, partial(load, config, job.marks, out), device=config.device)


def load(config: PredictConfig, marks: str, out: Path) -> SizeJob:
    """Load the models that the config names. Raises UserError."""
    return SizeJob(Predictor.load(config), marks, out)


def _silent(number: int, name: str, share: float) -> None:
    pass


@dataclass(slots=True)
class SizeJob:
    """Sizes polyp after polyp. marks: `boxes` or `masks` where the user gave them, else `labels`. out: the
    run folder, to which it writes pictures but no rows. tell: gets the number and the name of a polyp, and
    the share of it that is done, 0 to 1."""

    predictor: Predictor
    marks: str
    out: Path
    tell: Callable[[int, str, float], None] = field(default=_silent)

    @property
    def reader(self) -> Reader:
        return Reader(self.predictor.config, self.predictor.finder is not None, self.marks)

    def fingerprint(self, item: Item) -> str:
        """Of the files and boxes of a polyp, to tell whether they changed. Raises PolypError."""
        return fingerprint(self.reader.choose(item, frames_of(item.polyp)), self._camera(item))

    def do(self, parts: Iterable[Part], /) -> Iterator[Sized]:
        """Size polyps as they are read; pictures are there before their row."""
        parts = iter(parts)
        for part in parts:
            if isinstance(part, Closed):
                yield self._failed(part.todo.item, part.problem)
            elif isinstance(part, Opened):
                frames = _Frames(parts)
                try:
                    done = self._polyp(part, frames)
                except FAILS_ONE as error:
                    done = self._failed(part.todo.item, reason_of(error, "measured"))
                frames.finish()
                yield done

    def _polyp(self, opened: Opened, frames: Iterable[Frame | FailedFrame]) -> Sized:
        begun, config = time.monotonic() - opened.seconds, self.predictor.config
        item, listing, chosen = opened.todo.item, opened.listing, opened.chosen
        camera = self._camera(item)
        read = look_at_frames(
            frames,
            len(chosen.refs),
            opened.fields,
            self.predictor,
            camera,
            finder=self.predictor.finder if chosen.by_finder else None,
            told=partial(self.tell, opened.todo.number, item.polyp.id),
        )
        looks = [
            *read,
            *(FrameLook(one.name, NO_BOX) for one in chosen.bare[:MOST_NAMED]),
            *(FrameLook(one.name, f"its labels cannot be read: {one.error}") for one in listing.failed),
        ]
        sizes = [look.size() for look in looks]
        found = size_polyp(
            sizes,
            self.predictor.model.calibration,
            confidence=config.confidence,
            least_frames=config.least_frames,
        )
        usable = [one for one in sizes if not one.reason]
        shares = pooled(agreeing(usable)[0]) if usable else None
        reasons = {look.name: look.reason for look in looks} | dict(found.left_out)
        of_frames = [rows.frame_row(look, reasons[look.name]) for look in looks]
        if (read or listing.failed) and not any(look.width for look in read):
            return self._failed(item, found.abstained, of_frames)  # of those with a lesion none could be read
        self._draw(item, looks, of_frames)
        total = len(listing.frames) + len(listing.failed)
        if not item.trained_on and self.predictor.was_trained_on(item.polyp.id, listing.frames):
            item = replace(item, trained_on=True)
        row = rows.ok_row(
            item,
            found,
            frames=total,
            looked=len(chosen.refs),
            scale_from=_scale_from(looks, found, self.predictor.model.plan.depth),
            boxes_from=chosen.boxes_from,
            model=self.predictor.model.name,
            seconds=time.monotonic() - begun,
            fingerprint=fingerprint(chosen, camera),
            notes=[
                *listing.notes,
                *_notes(chosen, len(listing.frames), looks, found, camera),
                *self._lacking(looks, found),
                *iter_notes(looks),
            ],
        )
        return Sized(row, _companion(shares, of_frames))

    def _draw(self, item: Item, looks: Sequence[FrameLook], of_frames: Sequence[dict[str, Any]]) -> None:
        """Pictures of some frames; their rows get the names of the files."""
        folder = self.out / OVERLAYS / item.name
        shown = _shown(looks, of_frames, self.predictor.config.pictures)
        best = max(
            (one for one in shown if of_frames[one]["used"]),
            key=lambda one: looks[one].weight,
            default=None,
        )
        for number in shown:
            look, row = looks[number], of_frames[number]
            path = folder / f"{number:05d}.jpg"
            words = "" if row["mm"] is None else f"{row['mm']:.1f} mm"
            write_picture(path, draw(look, words, row["reason"]))
            row["picture"] = path.relative_to(self.out).as_posix()
            if number == best and (features := draw_features(look)) is not None:
                path = folder / f"{number:05d}-features.jpg"
                write_picture(path, features)
                row["features"] = path.relative_to(self.out).as_posix()

    def _lacking(self, looks: Sequence[FrameLook], found: PolypSize) -> Iterator[str]:
        """What the model had in all of its training, and does not have here."""
        used = [look for look in looks if look.name in set(found.used)]
        if used and self.predictor.needs_cameras and not all(look.calibrated for look in used):
            yield (
                "the model learnt from calibrated frames only, and these have no calibration: its sizes are"
                " worth little here; give --calibration"
            )
        deep = any(look.deep for look in used)
        bare = self.predictor.forgets_cameras and not any(look.calibrated for look in used)
        if used and self.predictor.model.plan.depth and not deep and not bare:
            yield "the model learnt from maps of depth, and there are none of these frames"

    def _camera(self, item: Item) -> Camera | None:
        """The camera of a polyp's frames; None too for a model that has never learnt what one is for."""
        return (self.predictor.camera or item.polyp.camera) if self.predictor.knows_cameras else None

    def _failed(self, item: Item, reason: str, of_frames: Sequence[dict[str, Any]] = ()) -> Sized:
        return Sized(rows.failed_row(item, reason, self.predictor.model.name), _companion(None, of_frames))


class _Frames:
    """The frames of one polyp among the parts of all. Raises UserError if it ends with a problem."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._ended = False

    def __iter__(self) -> Iterator[Frame | FailedFrame]:
        while not self._ended:
            part = next(self._parts)
            if isinstance(part, Closed):
                self._ended = True
                if part.problem:
                    raise UserError(part.problem)
            elif not isinstance(part, Opened):
                yield part

    def finish(self) -> None:
        """Leave out what was not looked at, so that the next part is the next polyp's."""
        while not self._ended:
            self._ended = isinstance(next(self._parts), Closed)


def _shown(looks: Sequence[FrameLook], of_frames: Sequence[dict[str, Any]], most: int) -> list[int]:
    """Which frames are drawn, in order of time: mostly used ones, spread over the time."""
    there = [number for number, look in enumerate(looks) if look.picture]
    used = [number for number in there if of_frames[number]["used"]]
    others = [number for number in there if not of_frames[number]["used"]]
    few = min(len(others), max(most - len(used), most // 3))
    return sorted([*spread(used, most - few), *spread(others, few)])


def _scale_from(looks: Sequence[FrameLook], found: PolypSize, sees_depth: bool) -> str:
    names = set(found.used)
    used = [look for look in looks if look.name in names]
    if not used or not all(look.calibrated for look in used):
        return rows.LEARNT
    if not sees_depth or not all(look.deep for look in used):
        return rows.CALIBRATION
    return rows.DEPTH if all(look.depth for look in used) else rows.ESTIMATED


def _notes(
    chosen: Chosen, total: int, looks: Sequence[FrameLook], found: PolypSize, camera: Camera | None
) -> Iterator[str]:
    """What the user should know of a polyp's frames. total: of those whose labels can be read."""
    if len(chosen.refs) + len(chosen.bare) < total:
        yield f"{len(chosen.refs):,} of its {total:,} frames were looked at, evenly over their order"
    if chosen.bare:
        yield f"{len(chosen.bare):,} of its frames have neither a box nor a mask, and are left out"
    sizes = {(look.width, look.height) for look in looks if look.width}
    if len(sizes) > 1:
        yield "its frames have several sizes: " + ", ".join(f"{w} x {h}" for w, h in sorted(sizes))
    misfits = sum(look.answer is not None and not look.calibrated for look in looks)
    if camera is not None and misfits:
        yield (
            f"the calibration is for frames of {camera.width} x {camera.height} px, and {misfits:,} frames"
            " have other proportions; they are measured without it"
        )
    if found.mm is not None and len(found.used) == 1 and total > 1:
        yield "a single frame is used: nothing speaks against an error in it"


def _companion(shares: Tensor | None, of_frames: Sequence[dict[str, Any]]) -> str:
    """A line of the companion file: the frames of a polyp, and its distribution over sizes."""
    values = None if shares is None else [round(one, 5) for one in shares.tolist()]
    return json.dumps({"shares": values, "frames": list(of_frames)})

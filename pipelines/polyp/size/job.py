"""The work of a run: a polyp to its row, its frames and its pictures."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.common.runs import RunFolder
from pipelines.polyp.aggregate import PolypSize, agreeing, pooled, size_polyp
from pipelines.polyp.data import Camera, FrameListing, frames_of
from pipelines.polyp.data.thinning import spread
from pipelines.polyp.size import rows
from pipelines.polyp.size.choose import MOST_NAMED, NO_BOX, Chosen, choose, fingerprint
from pipelines.polyp.size.items import Item
from pipelines.polyp.size.look import FrameLook, iter_notes, look_at
from pipelines.polyp.size.pictures import draw, draw_features, write_picture
from pipelines.polyp.size.predict import Predictor

OVERLAYS: Final = "overlays"
Told = Callable[[float], None]


@dataclass(slots=True)
class Job:
    """Sizes polyp after polyp into a run folder that has begun. marks: `boxes` or `masks` where the user gave
    them, else `labels`."""

    run: RunFolder
    predictor: Predictor
    marks: str = "labels"

    def do(self, item: Item, told: Told) -> None:
        """Size a polyp that has no row yet. told: gets the share that is done, 0 to 1."""
        if (item.source, item.polyp.id) in self.run.finished:
            return
        with self._failing(item):
            self._polyp(item, told)

    def fingerprint(self, item: Item) -> str:
        """Of the files and boxes of a polyp, to tell whether they changed. Raises PolypError."""
        return fingerprint(self._choose(item, frames_of(item.polyp)), self._camera(item))

    def _polyp(self, item: Item, told: Told) -> None:
        begun, config = time.monotonic(), self.predictor.config
        listing = frames_of(item.polyp)
        chosen = self._choose(item, listing)
        camera = self._camera(item)
        looks = [
            *look_at(chosen.refs, self.predictor, camera, finder=chosen.finder, told=told),
            *(FrameLook(one.name, NO_BOX) for one in chosen.bare[:MOST_NAMED]),
            *(FrameLook(one.name, f"its labels cannot be read: {one.error}") for one in listing.failed),
        ]
        frames = [look.size() for look in looks]
        found = size_polyp(
            frames,
            self.predictor.model.calibration,
            confidence=config.confidence,
            least_frames=config.least_frames,
        )
        usable = [one for one in frames if not one.reason]
        shares = pooled(agreeing(usable)[0]) if usable else None
        reasons = {look.name: look.reason for look in looks} | dict(found.left_out)
        of_frames = [rows.frame_row(look, reasons[look.name]) for look in looks]
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
        self.run.append([row], [_companion(shares, of_frames)])

    def _draw(self, item: Item, looks: Sequence[FrameLook], of_frames: Sequence[dict[str, Any]]) -> None:
        """Pictures of some frames; their rows get the names of the files."""
        folder = self.run.path / OVERLAYS / item.name
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
            row["picture"] = path.relative_to(self.run.path).as_posix()
            if number == best and (features := draw_features(look)) is not None:
                path = folder / f"{number:05d}-features.jpg"
                write_picture(path, features)
                row["features"] = path.relative_to(self.run.path).as_posix()

    def _lacking(self, looks: Sequence[FrameLook], found: PolypSize) -> Iterator[str]:
        """What the model had in all of its training, and does not have here."""
        used = [look for look in looks if look.name in set(found.used)]
        if used and self.predictor.needs_cameras and not all(look.calibrated for look in used):
            yield (
                "the model learnt from calibrated frames only, and these have no calibration: its sizes are"
                " worth little here; give --calibration"
            )
        if used and self.predictor.model.plan.depth and not any(look.depth for look in used):
            yield "the model learnt from maps of depth, and there are none of these frames"

    def _choose(self, item: Item, listing: FrameListing) -> Chosen:
        return choose(item, listing, self.predictor.config, self.predictor.finder, self.marks)

    def _camera(self, item: Item) -> Camera | None:
        """The camera of a polyp's frames; None too for a model that has never learnt what one is for."""
        return (self.predictor.camera or item.polyp.camera) if self.predictor.knows_cameras else None

    @contextmanager
    def _failing(self, item: Item) -> Iterator[None]:
        """What goes wrong with one polyp, as a failed row; the next one may well pass."""
        try:
            yield
        except UserError as error:
            reason = str(error)
        except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
            # RuntimeError is what torch raises for want of memory too.
            reason = f"cannot be measured: {str(error) or type(error).__name__}"
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:  # anything else, such as a full disk, ends the run
                raise
            reason = "its name is too long for a file"
        else:
            return
        row = rows.failed_row(item, reason, self.predictor.model.name)
        self.run.append([row], [_companion(None, [])])


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
    return rows.DEPTH if sees_depth and all(look.depth for look in used) else rows.CALIBRATION


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

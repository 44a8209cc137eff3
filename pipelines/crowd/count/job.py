"""The work of a run: an image or a frame to its row and its files."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runs import RunFolder
from pipelines.crowd.count.changes import Changes
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.files import MAPS, OVERLAYS, POINTS, VIDEOS, file_of, files_of
from pipelines.crowd.count.film import film, frames_to_show, fullest
from pipelines.crowd.count.heads import place_heads
from pipelines.crowd.count.items import Item
from pipelines.crowd.count.maps import CountMap, read_map, write_map
from pipelines.crowd.count.pictures import draw, heat, write_picture
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.rows import Row, Shot, failed_row, ok_row
from pipelines.crowd.count.scene import Measured, Scene, View, measure
from pipelines.crowd.data.images import read_image
from pipelines.crowd.data.record import Pixels
from pipelines.crowd.data.video import Video

Told = Callable[[float], None]


@dataclass(slots=True)
class Job:
    """Counts item after item into a run folder that has begun. videos: facts of each, for `run.json`."""

    run: RunFolder
    predictor: Predictor
    config: CountConfig
    scene: Scene
    videos: list[dict[str, Any]] = field(default_factory=list)

    def do(self, item: Item, told: Told) -> None:
        """Count an image, or the frames of a video that have no row yet. told: gets the share, 0 to 1."""
        shot = Shot(item.source, item.name, bytes=item.stored_bytes)
        if self._has_row(shot):
            return
        with self._failing(shot):
            if item.problem:
                raise UserError(item.problem)
            if item.kind == "video":
                self._video(item, told)
            else:
                self._image(shot, told)

    def _image(self, shot: Shot, told: Told) -> None:
        begun = time.monotonic()
        picture = read_image(shot.source, max_pixels=self.config.max_pixels)
        pixels = self.predictor.prepared(picture.pixels)
        found = self.predictor.predict_prepared(pixels, told)
        notes = (*picture.notes, *self._notes(picture.pixels, found))
        view, measured = self._measured(found, picture.full_size)
        self._write_map(shot, found, picture.full_size)
        write_picture(self._file(OVERLAYS, shot), draw(pixels, found, view, measured))
        self._row(shot, picture.pixels, picture.full_size, found, measured, begun, notes)

    def _video(self, item: Item, told: Told) -> None:
        counted = frames = 0
        with Video(item.source, max_pixels=self.config.max_pixels) as video:
            by = Changes(self.predictor) if self.config.changed_only else None
            begun = time.monotonic()
            for frame in video.frames(self.config.stride):
                frames += 1
                shot = Shot(item.source, item.name, frame.number, frame.seconds, item.stored_bytes)
                told(_share(frame.number, video))
                if not self._has_row(shot):
                    counted += 1
                    self._frame(shot, frame.pixels, by, begun)
                begun = time.monotonic()
        notes = [*video.notes, *(by.notes if by else [])]
        facts = {"source": str(item.source), "name": item.name, "fps": video.fps, "frames": frames}
        if by is not None:
            facts |= {"checked": by.checked, "largest_drift": round(by.largest_drift, 3)}
        self.videos.append(facts | {"notes": notes})
        if counted or not self._is_drawn(item):
            self._draw_video(item, told)

    def _frame(self, shot: Shot, pixels: Pixels, by: Changes | None, begun: float) -> None:
        prepared = self.predictor.prepared(pixels)
        found = by.predict(prepared) if by else self.predictor.predict_prepared(prepared)
        size = pixels.shape[1], pixels.shape[0]
        _, measured = self._measured(found, size)
        self._write_map(shot, found, size)
        self._row(shot, pixels, size, found, measured, begun, self._notes(pixels, found))

    def _draw_video(self, item: Item, told: Told) -> None:
        """Pictures of some frames, and the annotated video, from the maps of all frames."""
        out, counts = self.run.path, self._counts(item)
        if not counts:
            return
        shown = frames_to_show(counts)
        full = heat(read_map(file_of(out, MAPS, item.name, fullest(counts))))
        with Video(item.source, max_pixels=self.config.max_pixels) as video, ExitStack() as stack:
            add = None
            if self.config.video:
                (out / VIDEOS).mkdir(exist_ok=True)
                path = file_of(out, VIDEOS, item.name)
                add = stack.enter_context(film(path, video.fps / self.config.stride))
            for frame in video.frames(self.config.stride):
                told(_share(frame.number, video))
                if frame.number not in counts or not (add or frame.number in shown):
                    continue
                found = read_map(file_of(out, MAPS, item.name, frame.number))
                view, measured = self._measured(found, (frame.pixels.shape[1], frame.pixels.shape[0]))
                picture = draw(self.predictor.prepared(frame.pixels), found, view, measured, full=full)
                if frame.number in shown:
                    write_picture(self._file(OVERLAYS, Shot(item.source, item.name, frame.number)), picture)
                if add:
                    add(picture)

    def _is_drawn(self, item: Item) -> bool:
        """Whether an earlier run has drawn this video to the end; the last picture comes last."""
        counts = self._counts(item)
        files = [file_of(self.run.path, OVERLAYS, item.name, one) for one in frames_to_show(counts)]
        if self.config.video:
            files.append(file_of(self.run.path, VIDEOS, item.name))
        return all(path.is_file() for path in files)

    def _counts(self, item: Item) -> dict[int, float]:
        """What was counted in each frame of a video, from the rows."""
        rows = (row for row, _ in self.run.rows() if row["source"] == str(item.source))
        return {row["frame"]: row["count"] for row in rows if row["status"] == "ok"}

    def _measured(self, found: CountMap, full_size: tuple[int, int]) -> tuple[View, Measured]:
        view = self.scene.view(found, full_size)
        return view, measure(found, view, self.predictor.model.calibration, self.config.confidence)

    def _write_map(self, shot: Shot, found: CountMap, full_size: tuple[int, int]) -> None:
        write_map(self._file(MAPS, shot), found)
        if not self.config.points:
            return
        points, shares = place_heads(found)
        points = points * (full_size[0] / found.width, full_size[1] / found.height)
        with replacing(self._file(POINTS, shot)) as file:
            file.write("x,y,share\n")
            file.writelines(
                f"{x:.2f},{y:.2f},{share:.3f}\n" for (x, y), share in zip(points, shares, strict=True)
            )

    def _row(
        self,
        shot: Shot,
        pixels: Pixels,
        full_size: tuple[int, int],
        found: CountMap,
        measured: Measured,
        begun: float,
        notes: tuple[str, ...],
    ) -> None:
        name, seconds = self.predictor.model.name, time.monotonic() - begun
        self._append(
            ok_row(shot, pixels, full_size, found, measured, model=name, seconds=seconds, notes=notes)
        )

    def _notes(self, pixels: Pixels, found: CountMap) -> tuple[str, ...]:
        notes = []
        if found.width < pixels.shape[1] or found.height < pixels.shape[0]:
            notes.append(
                f"its {pixels.shape[1]:,} x {pixels.shape[0]:,} pixels were reduced to {found.width:,} x"
                f" {found.height:,}, as in the model's training"
            )
        if found.tiles > 1 and self.predictor.reach is None:
            notes.append(
                f"it was computed in {found.tiles} tiles; {self.predictor.model.plan.name} looks at the whole"
                " image otherwise, so the count differs a little from that"
            )
        return tuple(notes)

    def _file(self, folder: str, shot: Shot) -> Path:
        path = file_of(self.run.path, folder, shot.name, shot.frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _has_row(self, shot: Shot) -> bool:
        return (str(shot.source), str(shot.frame)) in self.run.finished

    @contextmanager
    def _failing(self, shot: Shot) -> Iterator[None]:
        """What goes wrong with one item, as a failed row; the next one may well pass."""
        try:
            yield
        except UserError as error:
            reason = str(error)
        except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
            # RuntimeError is what torch raises for want of memory too.
            reason = f"cannot be counted: {str(error) or type(error).__name__}"
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:  # anything else, such as a full disk, ends the run
                raise
            reason = "its name is too long for a file"
        else:
            return
        self._append(failed_row(shot, reason, self.predictor.model.name))

    def _append(self, row: Row) -> None:
        self.run.append([row], [json.dumps(self._files(row))])

    def _files(self, row: Row) -> dict[str, str]:
        """The files of a row that are there, by kind, relative to the run folder."""
        files = files_of(self.run.path, row) if row["status"] == "ok" else []
        found = [path.relative_to(self.run.path) for path in files if path.is_file()]
        return {path.parts[0]: path.as_posix() for path in found if path.parts[0] != VIDEOS}


def _share(frame: int, video: Video) -> float:
    return min(1.0, frame / video.frame_count) if video.frame_count else 0.0

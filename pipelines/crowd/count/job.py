"""The work of a run: an image or a frame to its row and its files."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.runs import RunFolder
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.items import Item
from pipelines.crowd.count.maps import CountMap, write_map
from pipelines.crowd.count.pictures import draw, write_picture
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.rows import Row, Shot, failed_row, ok_row
from pipelines.crowd.count.scene import Scene, measure
from pipelines.crowd.data.images import read_image
from pipelines.crowd.data.record import Pixels
from pipelines.crowd.data.video import Video

MAPS, OVERLAYS, POINTS, VIDEOS = "maps", "overlays", "points", "videos"
FOLDERS: Final = (MAPS, OVERLAYS, POINTS, VIDEOS)
ENDINGS: Final = {MAPS: ".npz", OVERLAYS: ".jpg", POINTS: ".csv", VIDEOS: ".mp4"}

Told = Callable[[float], None]


def file_of(out: Path, folder: str, name: str, frame: int | None = None) -> Path:
    """The file of an image, or of a frame of a video, which has a folder for its frames."""
    if frame is None:
        return out / folder / f"{name}{ENDINGS[folder]}"
    return out / folder / name / f"{frame:06d}{ENDINGS[folder]}"


def files_of(out: Path, row: Row) -> list[Path]:
    """The files that a row may have, the map first. Raises KeyError or TypeError for what is no row."""
    name, frame = Path(row["name"]).name, row["frame"]
    files = [file_of(out, folder, name, frame) for folder in (MAPS, OVERLAYS, POINTS)]
    return [*files, file_of(out, VIDEOS, name)]


@dataclass(slots=True)
class Job:
    """Counts item after item into a run folder that has begun."""

    run: RunFolder
    predictor: Predictor
    config: CountConfig
    scene: Scene

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
        found = self.predictor.predict(picture.pixels, told)
        self._write(shot, picture.pixels, picture.full_size, found, begun, picture.notes)

    def _video(self, item: Item, told: Told) -> None:
        with Video(item.source, max_pixels=self.config.max_pixels) as video:
            begun = time.monotonic()
            for frame in video.frames(self.config.stride):
                shot = Shot(item.source, item.name, frame.number, frame.seconds, item.stored_bytes)
                told(min(1.0, frame.number / video.frame_count) if video.frame_count else 0.0)
                if not self._has_row(shot):
                    found = self.predictor.predict(frame.pixels)
                    size = video.width, video.height
                    self._write(shot, frame.pixels, size, found, begun, ())
                begun = time.monotonic()

    def _write(
        self,
        shot: Shot,
        pixels: Pixels,
        full_size: tuple[int, int],
        found: CountMap,
        begun: float,
        notes: tuple[str, ...],
    ) -> None:
        """Write the files of a shot, then its row."""
        view = self.scene.view(found, full_size)
        measured = measure(found, view, self.predictor.model.calibration, self.config.confidence)
        write_map(self._file(MAPS, shot), found)
        overlay = self._file(OVERLAYS, shot)
        picture = draw(pixels, found, view, measured)
        size = write_picture(overlay, picture)
        seconds = time.monotonic() - begun
        row = ok_row(
            shot, pixels, found, measured, model=self.predictor.model.name, seconds=seconds, notes=notes
        )
        self._append(row, {"width": picture.shape[1], "height": picture.shape[0], "bytes": size})

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
        self._append(failed_row(shot, reason, self.predictor.model.name), None)

    def _append(self, row: Row, drawn: dict[str, Any] | None) -> None:
        self.run.append([row], [json.dumps(drawn)])

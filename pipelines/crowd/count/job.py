"""The work of a run: an image or a frame to its row and its files, whichever process does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.files import new_folder, replacing
from pipelines.common.runner import FAILS_ONE, Work, reason_of
from pipelines.common.runs import RunFolder
from pipelines.crowd.count.changes import Changes, check_local
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.files import MAPS, OVERLAYS, POINTS, VIDEOS, file_of, files_of
from pipelines.crowd.count.film import film, frames_to_show, fullest
from pipelines.crowd.count.heads import place_heads
from pipelines.crowd.count.items import Item
from pipelines.crowd.count.maps import CountMap, read_map, write_map
from pipelines.crowd.count.pictures import draw, heat, write_picture
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.reading import Ready, Todo, lost, read
from pipelines.crowd.count.rows import Row, Shot, failed_row, ok_row
from pipelines.crowd.count.scene import Measured, Scene, View, measure
from pipelines.crowd.data.record import Pixels
from pipelines.crowd.data.video import Video, VideoFrame

Told = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of an image or a frame. files: of the row, by kind, relative to the run folder."""

    row: Row
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Watched:
    """What came of a video beside its frames, for `run.json`."""

    facts: dict[str, Any]


Done = Counted | Watched


def todos(items: Sequence[Item], run: RunFolder) -> list[Todo]:
    """The items of a run with what is done of each."""
    finished: dict[str, set[int | None]] = {}
    counts: dict[str, dict[int, float]] = {}
    for row, _ in run.rows():
        finished.setdefault(row["source"], set()).add(row["frame"])
        if row["status"] == "ok" and row["frame"] is not None:
            counts.setdefault(row["source"], {})[row["frame"]] = row["count"]
    return [
        Todo(item, number, frozenset(finished.get(name, ())), counts.get(name, {}))
        for number, item in enumerate(items)
        for name in [str(item.source)]
    ]


def work_of(config: CountConfig, out: Path) -> Work[Todo, Ready, Done]:
    """What a runner is told of a counting run into the folder `out`."""
    return Work(partial(read, config.max_pixels), lost, partial(load, config, out), device=config.device)


def load(config: CountConfig, out: Path) -> CountJob:
    """Load the model that the config names, and its zones. Raises UserError."""
    predictor = Predictor.load(config)
    return CountJob(predictor, config, check(predictor, config), out)


def check(predictor: Predictor, config: CountConfig) -> Scene:
    """Zones and ground of a run. Raises UserError for what would make every item fail."""
    if config.changed_only:
        check_local(predictor)
    return Scene.read(config.zones, config.pixels_per_metre, config.ground)


def _silent(number: int, name: str, share: float) -> None:
    pass


@dataclass(slots=True)
class CountJob:
    """Counts item after item. out: the run folder, to which it writes maps and pictures but no rows.
    tell: gets the number and the name of an item, and the share of it that is done, 0 to 1."""

    predictor: Predictor
    config: CountConfig
    scene: Scene
    out: Path
    tell: Callable[[int, str, float], None] = field(default=_silent)

    def do(self, parts: Iterable[Ready], /) -> Iterator[Done]:
        """Count images, and the frames of videos that have no row yet; files are there before their row."""
        for ready in parts:
            item = ready.todo.item
            shot = Shot(item.source, item.name, bytes=item.stored_bytes)
            told = partial(self.tell, ready.todo.number, item.name)
            try:
                if ready.problem:
                    raise UserError(ready.problem)
                if item.kind == "video":
                    yield from self._video(ready.todo, told)
                else:
                    yield self._image(shot, ready, told)
            except FAILS_ONE as error:
                reason = reason_of(error, "counted")
                yield Counted(failed_row(shot, reason, self.predictor.model.name), {})

    def _image(self, shot: Shot, ready: Ready, told: Told) -> Counted:
        begun, picture = time.monotonic() - ready.seconds, ready.picture
        if picture is None:
            raise ValueError("an image came without its pixels")
        told(0.0)
        pixels = self.predictor.prepared(picture.pixels)
        found = self.predictor.predict_prepared(pixels, told)
        notes = (*picture.notes, *self._notes(picture.pixels, found))
        view, measured = self._measured(found, picture.full_size)
        self._write_map(shot, found, picture.full_size)
        write_picture(self._file(OVERLAYS, shot), draw(pixels, found, view, measured))
        return self._counted(shot, picture.pixels, picture.full_size, found, measured, begun, notes)

    def _video(self, todo: Todo, told: Told) -> Iterator[Done]:
        item, counts = todo.item, dict(todo.counts)
        before, frames = len(counts), 0
        with Video(item.source, max_pixels=self.config.max_pixels) as video:
            by = Changes(self.predictor) if self.config.changed_only else None
            at_once = 1 if by else self.predictor.at_once(video.height, video.width)
            waiting: list[VideoFrame] = []
            begun = time.monotonic()
            for frame in video.frames(self.config.stride):
                frames += 1
                told(_share(frame.number, video))
                waiting.append(frame)
                if len(waiting) >= at_once:
                    yield from self._frames(todo, waiting, by, begun, counts)
                    waiting.clear()
                    begun = time.monotonic()
            yield from self._frames(todo, waiting, by, begun, counts)
        notes = [*video.notes, *(by.notes if by else [])]
        facts = {"source": str(item.source), "name": item.name, "fps": video.fps, "frames": frames}
        if by is not None:
            facts |= {"checked": by.checked, "largest_drift": round(by.largest_drift, 3)}
        yield Watched(facts | {"notes": notes})
        if len(counts) > before or not self._is_drawn(item, counts):
            self._draw_video(item, counts, told)

    def _frames(
        self,
        todo: Todo,
        frames: Sequence[VideoFrame],
        by: Changes | None,
        begun: float,
        counts: dict[int, float],
    ) -> Iterator[Counted]:
        """Count frames together, those of `changes` one at a time; their counts are added to `counts`.

        Frames that have a row are counted again with the others, as rounding hangs on what is computed
        together: so a run that goes on comes to the same counts.
        """
        item = todo.item
        if all(frame.number in todo.finished for frame in frames):
            return
        prepared = [self.predictor.prepared(one.pixels) for one in frames]
        maps = [by.predict(one) for one in prepared] if by else self.predictor.predict_many(prepared)
        each = (time.monotonic() - begun) / max(1, len(frames))
        for frame, found in zip(frames, maps, strict=True):
            if frame.number in todo.finished:
                continue
            begun = time.monotonic() - each
            shot = Shot(item.source, item.name, frame.number, frame.seconds, item.stored_bytes)
            size = frame.pixels.shape[1], frame.pixels.shape[0]
            _, measured = self._measured(found, size)
            self._write_map(shot, found, size)
            notes = self._notes(frame.pixels, found)
            done = self._counted(shot, frame.pixels, size, found, measured, begun, notes)
            counts[frame.number] = done.row["count"]
            yield done

    def _draw_video(self, item: Item, counts: Mapping[int, float], told: Told) -> None:
        """Pictures of some frames, and the annotated video, from the maps of all frames."""
        out = self.out
        if not counts:
            return
        shown = frames_to_show(counts)
        full = heat(read_map(file_of(out, MAPS, item.name, fullest(counts))))
        with Video(item.source, max_pixels=self.config.max_pixels) as video, ExitStack() as stack:
            add = None
            if self.config.video:
                new_folder(out / VIDEOS)
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

    def _is_drawn(self, item: Item, counts: Mapping[int, float]) -> bool:
        """Whether an earlier run has drawn this video to the end; the last picture comes last."""
        files = [file_of(self.out, OVERLAYS, item.name, one) for one in frames_to_show(counts)]
        if self.config.video:
            files.append(file_of(self.out, VIDEOS, item.name))
        return all(path.is_file() for path in files)

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

    def _counted(
        self,
        shot: Shot,
        pixels: Pixels,
        full_size: tuple[int, int],
        found: CountMap,
        measured: Measured,
        begun: float,
        notes: tuple[str, ...],
    ) -> Counted:
        name, seconds = self.predictor.model.name, time.monotonic() - begun
        row = ok_row(shot, pixels, full_size, found, measured, model=name, seconds=seconds, notes=notes)
        return Counted(row, self._files(row))

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
        path = file_of(self.out, folder, shot.name, shot.frame)
        new_folder(path.parent)
        return path

    def _files(self, row: Row) -> dict[str, str]:
        """The files of a row that are there, by kind, relative to the run folder."""
        found = [path.relative_to(self.out) for path in files_of(self.out, row) if path.is_file()]
        return {path.parts[0]: path.as_posix() for path in found if path.parts[0] != VIDEOS}


def _share(frame: int, video: Video) -> float:
    return min(1.0, frame / video.frame_count) if video.frame_count else 0.0

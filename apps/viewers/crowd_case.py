"""An image or a frame of a run, as it was counted, and its map of people. Free of Streamlit and of torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apps.items import Row, Run, visible
from pipelines.common.errors import UserError
from pipelines.crowd.count.files import MAPS, ZONES, file_of
from pipelines.crowd.count.maps import CountMap, read_map
from pipelines.crowd.count.rows import item_hash
from pipelines.crowd.data import Pixels, Video, read_image
from pipelines.crowd.data.limits import MAX_PIXELS
from pipelines.crowd.zones import Zone, read_zones


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """pixels: RGB uint8 (H, W, 3), upright, smaller than the image in the file if that is too large to be
    read whole. width, height: of the image in the file, in px, to which all points and zones refer."""

    pixels: Pixels
    width: int
    height: int


def read_seen(run: Run, row: Row) -> Seen:
    """The image or frame of a row. Raises UserError if it is gone, or is not what was counted."""
    source = run.source(str(row["source"]))
    most = _max_pixels(run)
    if row["frame"] is None:
        picture = read_image(source, max_pixels=most)
        pixels, (width, height) = picture.pixels, picture.full_size
        if item_hash(pixels) != row["item"]:
            raise UserError(f"{visible(str(row['source']))} has changed since the run")
        return Seen(pixels, width, height)
    pixels = _frame(source, int(row["frame"]), str(row["item"]), most)
    return Seen(pixels, pixels.shape[1], pixels.shape[0])


def read_counts(run: Run, row: Row) -> CountMap:
    """The map of a row. Raises UserError if it is gone or is none."""
    frame = None if row["frame"] is None else int(row["frame"])
    path = file_of(run.path, MAPS, Path(str(row["name"])).name, frame)
    path = run.artefact(str(path.relative_to(run.path)))
    if not path.is_file():
        raise UserError(f"its map is gone: there is no {visible(str(path.relative_to(run.path)))}")
    try:
        found = read_map(path)
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"its map is damaged: {visible(str(error))}") from error
    blocks = tuple(-(-side // max(found.stride, 1)) for side in (found.height, found.width))
    if found.counts.shape != blocks or (found.gate is not None and found.gate.shape != blocks):
        raise UserError("its map is damaged: it does not fit its image")
    return found


def read_areas(run: Run, width: int, height: int) -> tuple[Zone, ...]:
    """The zones of the run, in px of an image of this size; none if it has none. Raises UserError."""
    path = run.artefact(ZONES)
    return read_zones(path, width, height) if path.is_file() else ()


def _frame(source: Path, number: int, item: str, most: int) -> Pixels:
    """The frame that was counted: by the file's index if that leads to it, else by decoding all before it."""
    with Video(source, max_pixels=most) as video:
        found = video.frame(number)
        if found is not None and item_hash(found) == item:
            return found
    with Video(source, max_pixels=most) as video:
        for frame in video.frames(max(number, 1)):
            if frame.number == number:
                if item_hash(frame.pixels) == item:
                    return frame.pixels
                break
    raise UserError(f"{visible(str(source.name))} has changed since the run: frame {number} is another one")


def _max_pixels(run: Run) -> int:
    """Up to which size the run read images: with another limit a large one would not be the same."""
    return run.limit("max_pixels", MAX_PIXELS)

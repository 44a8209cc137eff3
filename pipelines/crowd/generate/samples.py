"""Small photographs and a video of a made-up square, zones and scale for them, and files that are none."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from pipelines.common.media.record import Pixels
from pipelines.crowd.generate.camera import Floats
from pipelines.crowd.generate.people import draw_people, walked
from pipelines.crowd.generate.place import brick_wall
from pipelines.crowd.generate.scene import Scene, draw_scene, photograph

LICENSE = (
    b"These scenes are drawn. Nobody was photographed.\n"
    b"They may be used, changed and passed on by anyone for any purpose.\n"
)
SIZE: Final = (960, 640)
CROWDS: Final = {"morning": 24, "noon": 80, "evening": 160}
ZONES: Final = {
    "units": "normalised",
    "zones": [
        {"name": "front", "polygon": [[0, 0.45], [1, 0.45], [1, 1], [0, 1]]},
        {"name": "along the houses", "polygon": [[0, 0.2], [1, 0.2], [1, 0.45], [0, 0.45]]},
    ],
}
FRAMES, FPS = 20, 4.0
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]


def write_samples(out: Path, seed: int = 0) -> list[Path]:
    """Write the sample folder and return its files, sorted; the same seed gives the same pictures.

    `photos` holds one square with and without people and two pictures of nothing, `photos/bad` what is no
    picture. `heads.csv` says where the heads are, `zones.json` and `ground.json` belong to the square.
    """
    square = _square(seed)
    made: dict[str, bytes] = {"LICENSE.txt": LICENSE}
    heads: dict[str, Floats] = {}
    for number, (name, count) in enumerate(CROWDS.items()):
        rng = np.random.default_rng([seed, 1, number])
        people = draw_people(square.camera, count, 9.0, 42.0, rng)
        file = f"photos/square-{name}.jpg"
        made[file] = encoded(photograph(square, people, rng), ".jpg")
        heads[file] = square.camera.project([one.head for one in people])
    rng = np.random.default_rng([seed, 2])
    nobody = {
        "photos/square-empty.jpg": photograph(square, (), rng),
        "photos/wall.jpg": brick_wall(640, 480, rng),
        "photos/black.png": np.zeros((480, 640, 3), np.uint8),
    }
    made |= {name: encoded(pixels, Path(name).suffix) for name, pixels in nobody.items()}
    heads |= {name: np.empty((0, 2)) for name in nobody}
    made["heads.csv"] = heads_table(heads)
    made["zones.json"] = _json(ZONES)
    made["ground.json"] = _json({"homography": square.camera.homography().tolist()})
    made |= bad_files(made["photos/square-morning.jpg"])
    for name, data in made.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    _write_video(out / "walk.avi", seed)
    return sorted([*(out / name for name in made), out / "walk.avi"])


def bad_files(jpeg: bytes) -> dict[str, bytes]:
    """Files that hold no usable picture, by name. jpeg: a whole one."""
    return {
        "photos/bad/cut-off.jpg": jpeg[: len(jpeg) // 3],
        "photos/bad/empty.jpg": b"",
        "photos/bad/not-really.jpg": b"A note that was saved under the name of a photograph.\n",
        "photos/bad/notes.txt": b"Files that are no pictures are passed over.\n",
    }


def encoded(pixels: Pixels, ending: str) -> bytes:
    """RGB uint8 (H, W, 3) as the bytes of a `.jpg` or `.png` file."""
    done, data = cv2.imencode(ending, pixels[..., ::-1], JPEG if ending == ".jpg" else [])
    if not done:
        raise OSError(f"OpenCV cannot write {ending} images here")
    return data.tobytes()


def heads_table(heads: Mapping[str, Floats]) -> bytes:
    """CSV of image, x and y in px, a row for each head; an image without any has one with neither."""
    text = io.StringIO()
    text.write("image,x,y\n")
    for name, points in sorted(heads.items()):
        text.writelines(f"{name},{x:.1f},{y:.1f}\n" for x, y in points.tolist())
        if not len(points):
            text.write(f"{name},,\n")
    return text.getvalue().encode()


def _square(seed: int) -> Scene:
    return draw_scene(*SIZE, 0, np.random.default_rng([seed, 0]))


def _write_video(path: Path, seed: int) -> None:
    """People who walk through the picture of a camera that does not move."""
    rng = np.random.default_rng([seed, 3])
    scene = draw_scene(480, 320, 30, rng, far=30.0)
    # OpenCV writes to files only; a name that says nothing until the file is whole.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".walk") as folder:
        unfinished = Path(folder) / path.name
        writer = cv2.VideoWriter(str(unfinished), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (480, 320))
        if not writer.isOpened():
            raise OSError("OpenCV cannot write Motion JPEG here")
        for number in range(FRAMES):
            people = [walked(one, number / FPS) for one in scene.people]
            seen = [one for one in people if one.z > 6]
            writer.write(np.ascontiguousarray(photograph(scene, seen, rng)[..., ::-1]))
        writer.release()
        unfinished.replace(path)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()

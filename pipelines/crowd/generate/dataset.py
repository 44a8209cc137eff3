"""A labelled data set of made-up squares, to try training on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.crowd.generate.samples import encoded, heads_table
from pipelines.crowd.generate.scene import draw_scene, photograph

MOST = 300  # people in a picture


def write_dataset(out: Path, *, images: int, seed: int = 0) -> list[Path]:
    """Write `images` photographs of 640 x 480 px, each of another square, with 0 to 300 people, and
    `heads.csv`. Returns the files; the same seed gives the same pictures."""
    digits = max(3, len(str(images - 1)))
    paths, heads = [], {}
    for number in range(images):
        rng = np.random.default_rng([seed, 4, number])
        people = 0 if number % 10 == 9 else round(float(np.exp(rng.uniform(1, np.log(MOST)))))
        far = float(rng.uniform(20, 60))
        mast, tilt = float(rng.uniform(4, 10)), float(rng.uniform(0.22, 0.42))
        scene = draw_scene(640, 480, people, rng, mast=mast, tilt=tilt, near=mast + 1, far=far)
        name = f"photos/scene_{number:0{digits}d}.jpg"
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(photograph(scene, scene.people, rng), ".jpg"))
        paths.append(path)
        heads[name] = scene.heads
    paths.append(out / "heads.csv")
    paths[-1].write_bytes(heads_table(heads))
    return sorted(paths)

"""A labelled data set of made-up bodies, to try training on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.medical.generate import files
from pipelines.medical.generate.grids import Grid, sample
from pipelines.medical.generate.phantom import LABELS, Body, Modality


def write_dataset(out: Path, *, cases: int, modality: Modality = "CT", seed: int = 0) -> list[Path]:
    """Write `cases` volumes of about 2 mm in the layout of the Medical Segmentation Decathlon: `imagesTr`,
    `labelsTr` and `dataset.json`. Returns the files, sorted; the same seed gives the same bytes."""
    digits = max(3, len(str(cases - 1)))
    paths, listed = [], []
    for number in range(cases):
        rng = np.random.default_rng([seed, 4, number])
        spacing = rng.uniform(1.8, 2.4)
        x, y, z = (round(mm / spacing) for mm in (112, 88, 80))
        grid = Grid((x, y, z), (spacing,) * 3, "LPS")
        image, labels = sample(Body.draw(rng), grid, modality, rng)
        name = f"body_{number:0{digits}d}.nii.gz"
        pair: dict[str, NDArray[Any]] = {"imagesTr": image, "labelsTr": labels}
        for folder, array in pair.items():
            path = out / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files.nifti(array, grid.affine))
            paths.append(path)
        listed.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    about = {
        "name": "Made-up bodies",
        "description": "Nobody was scanned: shapes, textures and noise are computed.",
        "licence": "may be used, changed and passed on by anyone for any purpose",
        "tensorImageSize": "3D",
        "modality": {"0": modality},
        "labels": {"0": "background"} | {str(value): name for name, value in LABELS.items()},
        "numTraining": cases,
        "training": listed,
    }
    paths.append(out / "dataset.json")
    paths[-1].write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return sorted(paths)

"""Small volumes in every format that is read, with their label maps, and files that are no volumes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from pipelines.medical.generate import files
from pipelines.medical.generate.grids import Grid, sample
from pipelines.medical.generate.phantom import Body, Modality

LICENSE = (
    b"These volumes are made up. Nobody was scanned, and no anatomy is behind them.\n"
    b"They may be used, changed and passed on by anyone for any purpose.\n"
)
# By the name of the case. The first grid lies as most CT scans do, the second as sagittal MR.
GRIDS: dict[str, tuple[Modality, Grid]] = {
    "ct": ("CT", Grid((56, 44, 40), (2.0, 2.0, 2.0), "LPS", centre=(3.0, -8.0, 900.0))),
    "mr-sagittal": ("MR", Grid((40, 44, 52), (2.2, 2.0, 2.1), "PSR")),
    "ct-oblique": ("CT", Grid((50, 42, 34), (2.2, 2.2, 2.4), "LPS", tilt=(12.0, 8.0))),
    "mr-thick-slices": ("MR", Grid((72, 60, 10), (1.5, 1.5, 8.0), "LPS")),
}
AXIAL = Grid((50, 42, 16), (2.2, 2.2, 4.4), "LPS")
CORONAL = Grid((50, 32, 10), (2.2, 2.4, 5.0), "LIP")
# The folder of the DICOM series, and what their cases are called: the end is a hash of what tells them apart.
SCAN = "scan"
SERIES = {"axial": "scan_series2_971121", "coronal": "scan_series3_f47148"}


def write_samples(out: Path, seed: int = 0) -> list[Path]:
    """Write the sample folder and return its files, sorted; the same seed gives the same bytes.

    `volumes` holds volumes, and in `volumes/bad` what is none; `labels` holds a label map for each volume,
    under the name of its case.
    """
    made = {"LICENSE.txt": LICENSE} | _volumes(seed) | _scans(seed) | bad_files(seed)
    paths = []
    for name, data in sorted(made.items()):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return paths


def _volumes(seed: int) -> dict[str, bytes]:
    made = {}
    for number, (name, (modality, grid)) in enumerate(GRIDS.items()):
        rng = np.random.default_rng([seed, 1, number])
        centred = Grid(grid.shape, grid.spacing, grid.axes, grid.tilt)  # the body is where the scanner looks
        image, labels = sample(Body.draw(rng), centred, modality, rng)
        writers = {
            "mr-sagittal": (".nrrd", files.nrrd(image, grid.affine)),
            "ct-oblique": (".mha", files.metaimage(image, grid.affine, modality)),
        }
        ending, data = writers.get(name, (".nii.gz", files.nifti(image, grid.affine)))
        made[f"volumes/{name}{ending}"] = data
        made[f"labels/{name}.nii.gz"] = files.nifti(labels, grid.affine)
    return made


def _scans(seed: int) -> dict[str, bytes]:
    """One body in two DICOM series of one folder, in the order of no series, as scanners' exports are."""
    rng = np.random.default_rng([seed, 2])
    body = Body.draw(rng)
    made, slices = {}, []
    for number, (grid, about) in enumerate(((AXIAL, "axial"), (CORONAL, "coronal")), start=2):
        image, labels = sample(body, grid, "CT", rng)
        slices += files.dicom_series(image, grid.affine, number, about)
        made[f"labels/{SERIES[about]}.nii.gz"] = files.nifti(labels, grid.affine)
    for place, at in enumerate(rng.permutation(len(slices))):
        made[f"volumes/{SCAN}/IM{place:04d}"] = slices[at]
    return made


def bad_files(seed: int = 0) -> dict[str, bytes]:
    """Files that hold no usable volume, by name, as broken transfers and broken tools leave them."""
    rng = np.random.default_rng([seed, 3])
    grid = Grid((24, 20, 16), (4.0, 4.0, 5.0))
    image, _ = sample(Body.draw(rng), grid, "CT", rng)
    nowhere = bytearray(gzip.decompress(files.nifti(image, grid.affine)))
    nowhere[280:328] = np.full(12, np.nan, "<f4").tobytes()  # srow_x, srow_y and srow_z
    nowhere[252:254] = b"\0\0"  # the code of the qform: it says nothing either
    whole = files.nifti(image, grid.affine)
    return {
        "volumes/bad/cut-off.nii.gz": whole[: len(whole) // 2],
        "volumes/bad/four-axes.nii.gz": files.nifti(np.stack([image, image], axis=-1), grid.affine),
        "volumes/bad/lies-nowhere.nii.gz": files.packed(bytes(nowhere)),
        "volumes/bad/not-really.nii.gz": b"A note that was saved under the name of a volume.\n",
        "volumes/bad/notes.txt": b"Files that are no volumes are passed over.\n",
    }

"""A few rendered clips with their true sizes, and clips in which something is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from pipelines.polyp.render.dataset import SETTINGS, TRUTH, render_dataset

LICENSE = (
    b"These frames are rendered. Nobody was examined.\n"
    b"They may be used, changed and passed on by anyone for any purpose.\n"
)
CLIPS, BAD, FRAMES, SIZE = 4, 2, 4, 224
SEED: Final = 6  # of scenes that no bundled model learnt from
FOLDERS: Final = ("clips", "bad")


def write_samples(out: Path, seed: int = SEED) -> list[Path]:
    """Write the sample folder and return its files, sorted; the same seed gives the same pictures.

    `clips` and `bad` are in the layout of REAL-Colon. In `bad` a frame is cut short, a box lies off its
    frame, an annotation declares an entity, and a polyp has no size.
    """
    for number, (name, count) in enumerate(zip(FOLDERS, (CLIPS, BAD), strict=True)):
        folder = out / name
        render_dataset(folder, polyps=count, seed=seed + 1000 * number, frames=FRAMES, size=SIZE)
        for file in [folder / SETTINGS, folder / ".lock", *folder.glob(f"*{TRUTH}")]:
            file.unlink(missing_ok=True)
    for depth in (out / "bad").glob("*_depth"):
        shutil.rmtree(depth)
    _spoil(out / "bad")
    (out / "LICENSE.txt").write_bytes(LICENSE)
    return sorted(path for path in out.rglob("*") if path.is_file())


def _spoil(folder: Path) -> None:
    """Leave files as broken transfers, broken tools and ill will do."""
    first, second = "001-001", "001-002"
    frame = folder / f"{first}_frames" / f"{first}_0.jpg"
    frame.write_bytes(frame.read_bytes()[:900])
    boxes = folder / f"{first}_annotations"
    off = boxes / f"{first}_1.xml"
    off.write_text(_annotation(first, 1, "<xmin>900</xmin><xmax>990</xmax><ymin>5</ymin><ymax>60</ymax>"))
    declared = '<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa">]>\n'
    entity = boxes / f"{first}_2.xml"
    entity.write_text(declared + entity.read_text())
    table = folder / "lesion_info.csv"
    head, *rows = table.read_text().splitlines()
    rows = [row for row in rows if not row.startswith(second)]
    table.write_text("\n".join([head, *rows, f"{second}_1,{second},-1,,,,,"]) + "\n")


def _annotation(video: str, number: int, sides: str) -> str:
    return (
        f"<annotation>\n  <folder>{video}_frames</folder>\n  <filename>{video}_{number}.jpg</filename>\n"
        f"  <object><name>lesion</name><unique_id>{video}_1</unique_id><box_id>1</box_id>"
        f"<bndbox>{sides}</bndbox></object>\n</annotation>\n"
    )

"""Small data sets in every layout that the readers of polyps know."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np
from PIL import Image

from pipelines.polyp.data import Box
from tests.pipelines.common.media.made import noise, write_image, write_text

__all__ = ["noise", "write_image", "write_text"]

WIDTH, HEIGHT = 40, 30


def image(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """A PNG or JPEG of noise."""
    return write_image(path, height, width)


def mask(path: Path, box: tuple[int, int, int, int] | None, value: int = 255) -> Path:
    """A mask of a rectangle (x0, y0, x1, y1), or of nothing."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    if box is not None:
        values[box[1] : box[3], box[0] : box[2]] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def depth(path: Path, hundredths: int) -> Path:
    """A 16-bit depth image of one value, with an unknown first pixel."""
    values = np.full((HEIGHT, WIDTH), hundredths, np.uint16)
    values[0, 0] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def voc(path: Path, lesions: Sequence[tuple[str, Box]], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """An annotation, with its corners in the order of REAL-Colon, as numbers of pixels, the last within."""
    objects = "".join(
        f"<object><name>lesion</name><unique_id>{escape(name)}</unique_id><box_id>1</box_id><bndbox>"
        f"<xmin>{x0:g}</xmin><xmax>{x1 - 1:g}</xmax><ymin>{y0:g}</ymin><ymax>{y1 - 1:g}</ymax>"
        "</bndbox></object>"
        for name, (x0, y0, x1, y1) in lesions
    )
    return write_text(
        path,
        f"<annotation><filename>{path.stem}.jpg</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>{objects}</annotation>",
    )


def video(path: Path, count: int = 12, fps: float = 10.0) -> Path:
    """Frames of one gray each, that grows by 16 from frame to frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.full((HEIGHT, WIDTH, 3), 16 * number, np.uint8))
    writer.release()
    return path


def xlsx(path: Path, rows: Sequence[Sequence[str | float]]) -> Path:
    """A workbook of one sheet, with texts in the shared table as Excel stores them."""
    texts: list[str] = []
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = []
        for column, value in enumerate(row):
            place = f"{chr(65 + column)}{number}"
            if isinstance(value, str):
                texts.append(value)
                cells.append(f'<c r="{place}" t="s"><v>{len(texts) - 1}</v></c>')
            else:
                cells.append(f'<c r="{place}"><v>{value}</v></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        shared = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}">{shared}</sst>')
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}</sheetData></worksheet>',
        )
    return path


CALIBRATION = '{"width": 40, "height": 30, "fx": 25, "fy": 26, "cx": 19.5, "cy": 14.5, "k1": -0.3}'


def real_colon(
    top: Path, annotations: str = "annotations", sizes: Sequence[str] = ("4", "12"), extras: bool = True
) -> Path:
    """Two recordings: 001-001 with two polyps in frames 2 and 10, and 11 without any; 002-001 without one."""
    for name, frames in (("001-001", (2, 10, 11)), ("002-001", (0, 1))):
        for number in frames:
            image(top / f"{name}_frames" / f"{name}_{number}.jpg")
            lesions: list[tuple[str, Box]] = []
            if name == "001-001" and number != 11:
                lesions.append(("001-001_1", (5.0, 6.0, 15.0, 18.0)))
            if name == "001-001" and number == 10:
                lesions.append(("001-001_2", (20.0, 6.0, 30.0, 18.0)))
            voc(top / f"{name}_{annotations}" / f"{name}_{number}.xml", lesions)
            if extras and name == "001-001":
                mask(top / f"{name}_masks" / f"{name}_{number}.png", (6, 7, 28, 17) if number != 11 else None)
                depth(top / f"{name}_depth" / f"{name}_{number}.png", 2_550)
    write_text(
        top / "video_info.csv",
        "unique_video_name,age,fps,num_frames,num_lesions\n001-001,60,25,3,2\n002-001,61,30,2,0\n",
    )
    lines = "".join(
        f"001-001_{number},001-001,{size},sigmoid,tubular adenoma,AD\n"
        for number, size in enumerate(sizes, start=1)
    )
    write_text(
        top / "lesion_info.csv",
        f"unique_object_id,unique_video_name,size [mm],site,histology_extended,histology_class\n{lines}",
    )
    if extras:
        write_text(top / "calibration.json", CALIBRATION)
    return top

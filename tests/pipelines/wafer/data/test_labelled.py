from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import Limits, WaferFileError, read_labelled
from tests.pipelines.wafer.data import builders


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_npz_layouts(tmp_path: Path) -> None:
    dies = list(read_labelled(write(tmp_path / "dies.npz", builders.wm811k())))
    assert [label for _, label in dies] == ["Loc", "None"]
    assert all(wafer.die_level for wafer, _ in dies)
    points = list(read_labelled(write(tmp_path / "points.npz", builders.coordinates())))
    assert [(label, len(wafer.defects)) for wafer, label in points] == [
        ("ring", 2),
        ("normal", 0),
        ("zigzag", 1),
    ]


@pytest.mark.parametrize("named", [".", "labels.csv"])
def test_folder_with_labels(tmp_path: Path, named: str) -> None:
    write(tmp_path / "sub" / "a.map", builders.sinf() + builders.sinf(WAFER="8"))
    write(tmp_path / "b.csv", "x_mm,y_mm\n1,2\n")
    rows = ["sub/a.map,1,Scratch", "b.csv,0,Loc", "sub/a.map,0,Ring"]
    write(tmp_path / "labels.csv", "source,map,label\n" + "\n".join(rows) + "\n")
    read = [(wafer.source.name, wafer.position, label) for wafer, label in read_labelled(tmp_path / named)]
    assert read == [("a.map", 0, "Ring"), ("a.map", 1, "Scratch"), ("b.csv", 0, "Loc")]


def test_files_of_a_folder_keep_to_the_limits(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", "x_mm,y_mm\n1,2\n3,4\n")
    write(tmp_path / "labels.csv", "source,map,label\nb.csv,0,Loc\n")
    with pytest.raises(WaferFileError, match=r"more than 1 rows.*--set max_defects=N"):
        list(read_labelled(tmp_path, limits=Limits(max_defects=1)))
    ((wafer, _),) = read_labelled(tmp_path, limits=Limits(max_defects=2))
    assert len(wafer.defects) == 2


def test_a_data_set_in_one_file_keeps_to_its_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "maps.npz", builders.wm811k())
    with np.load(path) as arrays:
        size = sum(array.nbytes + 128 for array in arrays.values())  # an .npy has a header of 128 bytes
    with pytest.raises(WaferFileError, match=r"when unpacked.*max_dataset_bytes=N"):
        list(read_labelled(path, limits=Limits(max_dataset_bytes=size - 1)))
    with pytest.raises(WaferFileError, match=r"--set max_dies=N"):
        list(read_labelled(path, limits=Limits(max_dies=19)))
    assert len(list(read_labelled(path, limits=Limits(1, size, max_dies=20)))) == 2


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("", "the columns source, map, label are needed"),
        ("source,label\na.map,Loc\n", "the columns source, map, label are needed"),
        ("source,map,label\n", "lists no map"),
        ("source,map,label\na.map,x,Loc\n", "line 2 needs a source, a map number and a label"),
        ("source,map,label\na.map,0\n", "line 2 needs"),
        ("source,map,label\na.map,0,Loc\na.map,0,Ring\n", "listed twice"),
        ("source,map,label\na.map,3,Loc\n", "has no map 3"),
        ("source,map,label\nbad.map,0,Loc\n", "cut short"),
        ("source,map,label\n../out.map,0,Loc\n", "lies outside the folder"),
        ("source,map,label\nnone.map,0,Loc\n", "No such file"),
        (b"source,map,label\n\xff\xfe,0,Loc\n", "the file is damaged"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, labels: str | bytes, words: str) -> None:
    write(tmp_path / "out.map", builders.sinf())
    folder = tmp_path / "data"
    write(folder / "a.map", builders.sinf())
    write(folder / "bad.map", builders.sinf(ROWCT="9"))
    write(folder / "labels.csv", labels)
    with pytest.raises(WaferFileError, match=words):
        list(read_labelled(folder))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (builders.npz(flat=[1], offsets=[0], shapes=[[1, 1]]), "the data set has no labels"),
        (builders.npz(a=builders.UPRIGHT), "are no data set"),
        (builders.wm811k(label=["only one"]), r"the array 'label' must have the shape \(2\)"),
        (builders.wm811k(label=[1, 2]), "'label' must hold text"),
        (builders.wm811k(shapes=[[5, 4], [50, 40]]), "map 1: the map needs the values"),
        (builders.wm811k()[:-30], "cut short or damaged"),
        (builders.sinf(), "a data set is an .npz file, or a folder with labels.csv"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(WaferFileError, match=words):
        list(read_labelled(write(tmp_path / "data.npz", content)))


def test_missing_data_sets(tmp_path: Path) -> None:
    with pytest.raises(WaferFileError, match=r"no data set: it has no labels\.csv"):
        list(read_labelled(tmp_path))
    with pytest.raises(WaferFileError, match="No such file"):
        list(read_labelled(tmp_path / "none.npz"))

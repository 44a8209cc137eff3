from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.data.files import read_volume
from pipelines.medical.generate.dataset import write_dataset
from pipelines.medical.generate.phantom import LABELS, Body
from suite.cli import app


def test_a_data_set_is_read_with_its_names(tmp_path: Path) -> None:
    written = write_dataset(tmp_path, cases=3)
    assert len(written) == 7
    found = read_dataset(tmp_path)
    assert found.label_names == LABELS
    assert found.notes == ()
    assert [case.name for case in found.cases] == ["body_000", "body_001", "body_002"]
    spacings = set()
    for case in found.cases:
        assert case.labels is not None
        image, labels = read_volume(case.images[0]), read_volume(case.labels)
        assert set(np.unique(labels.array)) == {0, *LABELS.values()}
        np.testing.assert_array_equal(image.affine, labels.affine)
        spacings.add(image.spacing)
    assert len(spacings) == 3


def test_the_same_seed_gives_the_same_bytes_and_more_cases_the_same_first_ones(tmp_path: Path) -> None:
    for folder, cases in (("one", 1), ("two", 2)):
        write_dataset(tmp_path / folder, cases=cases, modality="MR", seed=5)
    name = "imagesTr/body_000.nii.gz"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    second = (tmp_path / "two" / "imagesTr" / "body_001.nii.gz").read_bytes()
    assert second != (tmp_path / "two" / name).read_bytes()


def test_depths_and_labels_agree() -> None:
    body = Body.draw(np.random.default_rng(3))
    points = np.random.default_rng(4).uniform((-50, -40, -40), (50, 40, 40), (20_000, 3))
    tissues = body.tissues(points)
    wanted = np.zeros(len(points), int)
    for at in range(len(points)):  # the innermost tissue that a point lies in, one point at a time
        inside = [number for number, depth in tissues if depth[at] > 0]
        wanted[at] = max(0, inside[-1] - 3) if inside else 0
    np.testing.assert_array_equal(body.labels(points), wanted)
    assert len(np.unique(wanted)) == 5


@pytest.mark.parametrize(("words", "files"), [([], 42), (["--cases", "1"], 3)])
def test_the_command(words: list[str], files: int, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    done = CliRunner().invoke(app, ["sample", "medical", "--out", out, "--json", *words])
    assert done.exit_code == 0
    listed = [Path(line) for line in json.loads(done.stdout)["files"]]
    assert listed == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert len(listed) == files
    again = CliRunner().invoke(app, ["sample", "medical", "--out", str(tmp_path / "out"), *words])
    assert again.exit_code == 2
    assert "is not empty" in again.stderr

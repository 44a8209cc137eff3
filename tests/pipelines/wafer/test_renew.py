"""A model around whose network all is made anew."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from pipelines.common.errors import UserError
from pipelines.wafer.examples import EXAMPLES
from pipelines.wafer.renew import renew
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.conftest import Trained


@pytest.mark.parametrize("name", ["tiny_dies", "tiny_coordinates"])
def test_from_the_same_data_it_is_the_same_model(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made: Trained = request.getfixturevalue(name)
    folder = tmp_path / made.folder.name
    shutil.copytree(made.folder, folder)
    (folder / EXAMPLES).unlink()
    metrics = renew(str(folder), made.data)
    for file in ("config.json", "README.md"):
        assert (folder / file).read_text() == (made.folder / file).read_text()
    old, new = (load_file(one / "model.safetensors") for one in (made.folder, folder))
    assert old.keys() == new.keys()
    assert all(bool((old[key] == new[key]).all()) for key in old)
    assert (folder / EXAMPLES).read_bytes() == (made.folder / EXAMPLES).read_bytes()
    for key, value in json.loads((made.folder / "metrics.json").read_text()).items():
        assert metrics[key] == value


def test_data_of_other_classes_is_refused(tiny_dies: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_dies.folder, folder)
    before = (folder / "model.safetensors").read_bytes()
    other = tiny.write_dies(tmp_path / "other.npz", {"None": 8, "Edge": 8})
    with pytest.raises(UserError, match="other classes than the model"):
        renew(str(folder), other)
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_refitted_model_is_left_alone(tiny_dies: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_dies.folder, folder)
    config = json.loads((folder / "config.json").read_text()) | {"refitted_from": {"name": "first"}}
    (folder / "config.json").write_text(json.dumps(config))
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="refit it again"):
        renew(str(folder), tiny_dies.data)
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.slow
def test_the_command_says_how_it_is_used() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "pipelines.wafer.renew"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "renew MODEL DATA" in found.stderr

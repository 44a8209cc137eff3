"""The module that makes MinkowskiEngine importable: the package, or a clear error in its place."""

from __future__ import annotations

import collections
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

MODULE = "sparse_backbones.engines.minkowski"


@pytest.fixture(scope="module")
def engine() -> Any:
    """MinkowskiEngine. CI must have it; elsewhere the test is skipped."""
    try:
        return importlib.import_module(MODULE)
    except ImportError as error:
        if os.environ.get("CI"):
            pytest.fail(f"{error}; CI is meant to have it")
        pytest.skip(str(error))


def test_it_is_the_release_that_the_weights_are_shared_with(engine: Any) -> None:
    assert engine.__version__ == "0.5.4"
    assert "MinkowskiConvolution" in dir(engine)
    with pytest.raises(AttributeError, match="NoSuchLayer"):
        _ = engine.NoSuchLayer


def test_it_leaves_collections_as_it_was(engine: Any) -> None:
    assert not hasattr(collections, "Sequence")
    assert not hasattr(collections, "Mapping")


def test_a_convolution_runs_forward_and_backward(engine: Any) -> None:
    coordinates = torch.tensor([[0, 0, 0], [0, 0, 1], [0, 5, 5]], dtype=torch.int32)
    features = torch.tensor([[1.0], [10.0], [100.0]], requires_grad=True)
    convolution = engine.MinkowskiConvolution(1, 1, kernel_size=3, dimension=2)
    torch.nn.init.ones_(convolution.kernel)

    out = convolution(engine.SparseTensor(features, coordinates=coordinates))
    sums = {tuple(c): f for c, f in zip(out.C.tolist(), out.F[:, 0].tolist(), strict=True)}
    assert sums == {(0, 0, 0): 11.0, (0, 0, 1): 11.0, (0, 5, 5): 100.0}

    out.F.sum().backward()
    assert features.grad is not None
    assert features.grad[:, 0].tolist() == [2.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("broken", "message"),
    [("sys.modules['MinkowskiEngine'] = None", "is not installed"), ("", "does not load")],
)
def test_its_absence_says_what_to_run(broken: str, message: str, tmp_path: Path, project_root: Path) -> None:
    package = tmp_path / "MinkowskiEngine"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('libopenblas.so.0: no such file')\n")
    code = f"import sys; sys.path.insert(0, sys.argv[1])\n{broken}\nimport {MODULE}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=project_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "run scripts/install" in done.stderr

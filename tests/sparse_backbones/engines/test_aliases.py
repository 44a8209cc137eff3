"""A project's own imports of MinkowskiEngine, given the native engine, in a Python of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

START = """
import sys
import sparse_backbones.engines.native as native
assert "MinkowskiEngine" not in sys.modules
native.install_as_minkowski()
native.install_as_minkowski()
"""

IMPORTS = [
    "import MinkowskiEngine as ME; assert ME is native",
    "import MinkowskiEngine.MinkowskiFunctional as MEF; assert MEF is native.MinkowskiFunctional",
    "import MinkowskiEngine.MinkowskiOps as ops; assert ops.MinkowskiLinear is native.MinkowskiLinear",
    "from MinkowskiEngine.MinkowskiConvolution import MinkowskiConvolutionBase as B\n"
    "assert issubclass(native.MinkowskiConvolution, B)",
    "from MinkowskiEngine.MinkowskiPooling import MinkowskiAvgPooling, MinkowskiGlobalPooling as G\n"
    "assert G is native.MinkowskiGlobalPooling",
    "from MinkowskiEngine.modules.resnet_block import BasicBlock\n"
    "from modules.resnet_block import BasicBlock as B; assert B is BasicBlock",
    "import MinkowskiEngine.utils.gradcheck as g; import utils.gradcheck as h\n"
    "assert g.gradcheck is h.gradcheck",
    "from MinkowskiEngine.utils import summary; assert callable(summary)",
    "from utils.summary import summary; assert summary is native.utils.summary",
    "from utils import batched_coordinates as b; assert b is native.utils.batched_coordinates",
    "from MinkowskiTensor import SparseTensorQuantizationMode, Tensor\n"
    "assert issubclass(native.TensorField, Tensor)",
    "from MinkowskiCommon import convert_to_int_list; assert convert_to_int_list(2, 3) == [2, 2, 2]",
    "from MinkowskiKernelGenerator import KernelGenerator as K; assert K is native.KernelGenerator",
    "from MinkowskiCoordinateManager import CoordinateManager, set_coordinate_map_type",
    "from sparse_matrix_functions import spmm; assert spmm is native.spmm",
    "from diagnostics import print_diagnostics as p; assert p is native.print_diagnostics",
    "import MinkowskiEngineBackend._C as C; import numpy as np\n"
    "assert C.RegionType is native.RegionType and C.ConvolutionMode.COPY_GEMM == 2\n"
    "rows = np.array([[1, 2], [0, 0], [1, 2]], dtype=np.int32)\n"
    "first, inverse = C.quantize_np(rows); assert (rows[first][inverse] == rows).all()",
    "import MinkowskiEngine.MinkowskiConvolution\nassert isinstance(native.MinkowskiConvolution, type)",
]


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START + code], cwd=folder, capture_output=True, text=True, check=False
    )


def test_its_imports_work(project_root: Path) -> None:
    done = python("\n".join(IMPORTS), project_root)
    assert done.returncode == 0, done.stderr


def test_a_projects_own_modules_go_first(project_root: Path, tmp_path: Path) -> None:
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils" / "__init__.py").write_text("mine = 1\n")
    (tmp_path / "diagnostics.py").write_text("mine = 2\n")
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
import utils, diagnostics
assert (utils.mine, diagnostics.mine) == (1, 2)
import utils.gradcheck
"""
    assert "No module named 'utils.gradcheck'" in python(code, project_root).stderr


def test_it_does_not_mix_with_minkowski_itself(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MinkowskiEngine", ModuleType("MinkowskiEngine"))
    with pytest.raises(RuntimeError, match="MinkowskiEngine itself is loaded already"):
        native.install_as_minkowski()

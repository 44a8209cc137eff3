"""The rules of the layout: which package may import which, what stays light, what no file may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sparse_backbones", "pipelines", "suite", "apps", "benchmarks", "fuzz", "crash")
TOPS = ("benchmarks", "fuzz", "crash")  # what nobody imports
MAX_FILE_BYTES = 8 * 2**20


def python_files(*folders: str) -> list[Path]:
    """The modules in these folders, as paths relative to the root."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def project_files() -> list[Path]:
    """What git tracks or would add; every file beside the caches where the tree is no git checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        hidden_or_made = {"runs", "build", "dist", "__pycache__"}
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(p.startswith(".") or p in hidden_or_made for p in path.relative_to(ROOT).parts)
        ]
    return sorted(path for path in paths if path.is_file())


def imported_modules(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Dotted names that the source of `module` imports anywhere in it, relative imports resolved.

    `from a import b` gives both `a` and `a.b`, as b may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                keep = len(parts) - node.level + is_package
                base = ".".join([*parts[:keep], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def layer(module: str) -> str | None:
    """The box of the layout that a module belongs to; None if it is not ours.

    A pipeline is a box of its own (`pipelines.wafer`). What stands directly in `pipelines` (the registry)
    names the tasks and must import none of them, so it counts as common.
    """
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return None
    if parts[0] != "pipelines":
        return parts[0]
    if len(parts) > 1 and (ROOT / "pipelines" / parts[1]).is_dir() and parts[1] != "common":
        return f"pipelines.{parts[1]}"
    return "pipelines.common"


def may_import(importer: str, imported: str) -> bool:
    """Whether the dependency direction lets one box import another."""
    if importer == imported:
        return True
    if importer == "sparse_backbones":
        return False
    if importer == "pipelines.common":
        return imported == "sparse_backbones"
    if importer.startswith("pipelines."):
        return imported in ("sparse_backbones", "pipelines.common")
    return importer in TOPS or imported not in TOPS


def direction_breaches(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports in the source of `module` that go against the dependency direction."""
    importer = layer(module)
    assert importer is not None, f"{module} is not one of the project's modules"
    return [
        f"{module} imports {name}"
        for name in imported_modules(source, module, is_package)
        if (imported := layer(name)) is not None and not may_import(importer, imported)
    ]


def unsafe_uses(source: str) -> list[str]:
    """Pickle in any form, eval, exec, os.system and shell=True in the syntax tree, with line numbers."""
    pickles = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve"}
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("eval", "exec", "os.system", "torch.load", "builtins.eval", "builtins.exec"):
                found.append(f"line {node.lineno}: {name}()")
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("shell", "allow_pickle") and not off:
                    found.append(f"line {node.lineno}: {keyword.arg}=")
        found += [f"import {name}" for name in names if name.split(".")[0] in pickles]
    return found


def test_imports_follow_the_dependency_direction() -> None:
    breaches = []
    for path in python_files(*PACKAGES):
        is_package = path.name == "__init__.py"
        module = ".".join((path.parent if is_package else path.with_suffix("")).parts)
        breaches += direction_breaches((ROOT / path).read_text(encoding="utf-8"), module, is_package)
    assert breaches == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sparse_backbones.unet", "from pipelines.common import runs"),
        ("sparse_backbones.unet", "def f():\n    import suite.cli"),
        ("pipelines.common.runs", "from pipelines.wafer.data import read_file"),
        ("pipelines.registry", "import pipelines.wafer.predict"),
        ("pipelines.wafer.predict", "from apps.store import Store"),
        ("pipelines.wafer.predict", "from .. import medical"),
        ("pipelines.wafer.data.klarf", "from ...medical.data import volume"),
        ("suite.cli", "import benchmarks.engines"),
    ],
)
def test_a_breach_of_the_direction_is_found(
    module: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task in ("common", "wafer", "medical"):
        (tmp_path / "pipelines" / task).mkdir(parents=True)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert len(direction_breaches(source, module)) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sparse_backbones.unet", "import torch\nfrom . import blocks"),
        (
            "pipelines.wafer.model",
            "from sparse_backbones import engines\nfrom pipelines.common.models import save_model",
        ),
        ("pipelines.wafer.predict", "from ..common import runs\nfrom .data import read_file"),
        ("suite.wafer", "import pipelines.wafer.predict, apps.store"),
        ("benchmarks.engines", "import suite.cli"),
    ],
)
def test_an_allowed_import_passes(module: str, source: str) -> None:
    assert direction_breaches(source, module) == []


READERS = sorted(f"pipelines.{path.parent.name}.data" for path in (ROOT / "pipelines").glob("*/data"))
VIEWERS = [f"apps.viewers.{name}" for name in ("wafer", "medical", "crowd", "polyp")]


@pytest.mark.parametrize("module", ["suite.cli", "pipelines.registry", *VIEWERS, *READERS])
def test_importing_it_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or f"{module} imports torch"


def test_no_file_is_large() -> None:
    files = project_files()
    assert ROOT / "pyproject.toml" in files
    large = [str(path.relative_to(ROOT)) for path in files if path.stat().st_size > MAX_FILE_BYTES]
    assert large == []


def test_no_code_unpickles_evaluates_or_calls_a_shell() -> None:
    found = {
        str(path): unsafe_uses((ROOT / path).read_text(encoding="utf-8")) for path in python_files(*PACKAGES)
    }
    assert {path: uses for path, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "import subprocess\nsubprocess.run(command, shell=True)",
        "import os\nos.system(command)",
        "import torch\ntorch.load(path)",
    ],
)
def test_an_unsafe_use_is_found(source: str) -> None:
    assert len(unsafe_uses(source)) == 1


def test_a_safe_source_passes() -> None:
    calls = ["model.eval()", "subprocess.run(command, shell=False)", "np.load(path, allow_pickle=False)"]
    assert unsafe_uses("\n".join(calls)) == []

"""`scripts/wheel`: the wheel has every file of the packages, and runs outside the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from tests.scripts import load_script

NOT_NEEDED = (".cpp", ".inl")  # what the kernels are compiled from


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("wheel")


@pytest.fixture(scope="module")
def wheel(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = script.build(Path(sys.executable), tmp_path_factory.mktemp("wheel"))
    return built


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages(script: ModuleType, wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {name for name in script.files_of_packages() if not name.endswith(NOT_NEEDED)}
    assert len(wanted) > 400
    assert wanted - names == set()
    assert any(name.startswith("sparse_backbones/engines/native/compiled/_kernels.") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "fuzz/", "crash/"))]


@pytest.mark.slow
def test_the_installed_wheel_does_all_tasks_outside_the_checkout(
    script: ModuleType, wheel: Path, tmp_path: Path
) -> None:
    """All other packages are those of this environment, by a plain entry of the path."""
    environment, work = tmp_path / "environment", tmp_path / "work"
    work.mkdir()
    venv.create(environment)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = environment / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)],
        check=True,
    )
    suite = environment / "bin" / "suite"
    where = subprocess.run(
        [str(python), "-c", "from suite import remedies as one; print(one.__file__, one.in_checkout())"],
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    file, in_checkout = where.stdout.split()
    assert Path(file).is_relative_to(environment)
    assert in_checkout == "False"
    assert "compiled, " in script.run(suite, ["doctor"], work).stdout
    assert script.try_out(suite, work) == []

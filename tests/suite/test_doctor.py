"""`suite doctor`: what it says where something is amiss."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipelines.common.models import bundled_models
from suite import doctor, doctor_machine, remedies
from suite.cli import app
from suite.ports import HOST, is_free

Usage = namedtuple("Usage", "total used free")
GIB = 2**30
ROOT = Path(__file__).resolve().parents[2]


def findings() -> dict[str, dict[str, str]]:
    report = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    return {finding["what"]: finding for finding in report["findings"]}


def test_the_machine_is_described() -> None:
    found = findings()
    assert {"memory", "disk", "this folder", "temporary files", "display", "port"} <= found.keys()
    assert all(one["mend"] for one in found.values() if one["state"] in ("low", "wrong", "missing"))


@pytest.mark.parametrize(
    ("version", "state"), [("2.8.0", "wrong"), ("3.0.0", "wrong"), ("2.13.0+cpu", "ok"), ("2.14.1", "ok")]
)
def test_a_torch_of_another_version_is_named(
    version: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: version if name == "torch" else real(name))
    result = CliRunner().invoke(app, ["doctor", "--json"])
    report = json.loads(result.stdout)
    torch_found = next(one for one in report["findings"] if one["what"] == "torch")
    assert torch_found["state"] == state
    if state == "wrong":
        assert result.exit_code == 2
        assert not report["healthy"]
        assert ">=2.9" in torch_found["detail"]
        assert torch_found["mend"]


def test_a_torch_for_cuda_without_a_gpu_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "CUDA 13.0 and sees no GPU" in findings()["device cuda"]["detail"]
    monkeypatch.setattr(torch.version, "cuda", None)
    assert findings()["device cuda"]["mend"] == ""


def test_an_engine_that_is_not_there_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    from sparse_backbones import engines

    real = engines.load

    def load(name: str) -> object:
        if name == "minkowski":
            raise ImportError("MinkowskiEngine is not installed")
        return real(name)

    monkeypatch.setattr(engines, "load", load)
    found = findings()["engine minkowski"]
    assert (found["state"], found["mend"]) == ("absent", "scripts/install")


# What comes before `suite doctor` in a process of its own: no torch, and one that raises as it is imported.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None"
BROKEN_TORCH = (
    "import sys\n"
    "class Broken:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name == 'torch': raise {error}('libtorch_cpu.so: cannot be opened')\n"
    "sys.meta_path.insert(0, Broken())"
)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (WITHOUT_TORCH, "torch"),
        *((BROKEN_TORCH.format(error=one.__name__), "libtorch_cpu.so") for one in (OSError, RuntimeError)),
    ],
)
def test_a_torch_that_cannot_be_imported_is_named(before: str, said: str) -> None:
    code = f"{before}\nsys.argv = ['suite', 'doctor', '--json']\nfrom suite.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    report = json.loads(done.stdout)
    assert not report["healthy"]
    found = {one["what"]: one for one in report["findings"]}
    assert [found[f"engine {name}"]["state"] for name in ("native", "minkowski")] == ["missing", "absent"]
    cpu = found["device cpu"]
    assert (cpu["state"], cpu["mend"]) == ("missing", "rm -r .venv, then scripts/install")
    assert cpu["detail"].startswith("torch cannot be imported: ") and said in cpu["detail"].split(": ", 1)[1]
    assert found["model wafer/wm811k"]["state"] == "ok"


def test_damaged_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = bundled_models("wafer")[0]
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / name).write_bytes((bundled / name).read_bytes())
    monkeypatch.setattr(doctor, "bundled_models", lambda task: [tmp_path / "cut"] if task == "wafer" else [])
    assert next(one for one in doctor._models() if "cut" in one.what).state == "ok"
    whole = (tmp_path / "cut" / "model.safetensors").read_bytes()
    for part in (whole[: len(whole) // 2], b""):
        (tmp_path / "cut" / "model.safetensors").write_bytes(part)
        found = next(one for one in doctor._models() if "cut" in one.what)
        assert (found.state, found.mend) == ("missing", "git checkout -- pipelines")
        assert "model.safetensors cannot be read" in found.detail


def test_the_table_shortens_neither_reasons_nor_what_mends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    long = doctor_machine.Finding("a model", "missing", "a/" * 50 + "x cannot be read", "suite " + "b" * 100)
    monkeypatch.setattr(doctor, "_models", lambda: [long])
    lines = CliRunner().invoke(app, ["doctor"]).stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("a model "))
    assert lines[place].endswith(f"  missing  {long.detail}")
    assert lines[place + 1].strip() == f"to mend: {long.mend}"


def test_models_cannot_be_checked_without_their_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    found = next(one for one in doctor._models() if "wm811k" in one.what)
    assert (found.state, found.mend) == ("missing", "scripts/install")
    assert "cannot be checked" in found.detail


def test_outside_a_checkout_nothing_asks_for_its_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remedies, "ROOT", tmp_path)
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.0.1" if name == "torch" else real(name))
    mends = [one.mend for one in doctor._packages()]
    assert any("torch<3,>=2.9" in mend for mend in mends)
    monkeypatch.setattr(doctor, "package_version", lambda name: None)
    error = ImportError("run scripts/install")
    for found in (*doctor._packages(), doctor._no_engine("native", error)):
        assert found.state == "ok" or found.mend.startswith("python -m pip install "), found
        mends.append(found.mend)
    absent = doctor._no_engine("minkowski", error)
    mends += [absent.detail, absent.mend, remedies.restore(), remedies.reinstall("torch")]
    assert not any(word in mend for mend in mends for word in ("scripts/", ".venv", "git "))


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine.shutil, "disk_usage", lambda path: Usage(10 * GIB, 9 * GIB, GIB))
    found = doctor_machine.disk(tmp_path)
    assert (found.state, found.detail) == ("low", f"1.0 GiB free of 10.0 GiB at {tmp_path}")
    assert "--out" in found.mend


def test_little_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "free_memory", lambda: (GIB, 16 * GIB))
    found = doctor_machine.memory()
    assert (found.state, found.detail) == ("low", "1.0 GiB free of 16.0 GiB")


def test_the_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"/sys/fs/cgroup/memory.max": GIB, "/sys/fs/cgroup/memory.current": GIB // 4}
    monkeypatch.setattr(doctor_machine, "_number", numbers.get)
    free, total = doctor_machine.free_memory()
    assert total == GIB
    assert free <= GIB - GIB // 4


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    assert doctor_machine.writable(tmp_path).state == "ok"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(doctor_machine.tempfile, "NamedTemporaryFile", refuse)
    found = doctor_machine.writable(tmp_path)
    assert found.state == "read-only"
    assert "Permission denied" in found.detail
    assert "--out" in found.mend
    assert doctor_machine.writable(tmp_path / "gone").state == "read-only"


def test_a_machine_without_a_display_says_how_to_review(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "ssh -L 8501:127.0.0.1:8501" in doctor_machine.display().mend
    monkeypatch.setenv("DISPLAY", ":0")
    assert doctor_machine.display().state == "ok"


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        taken = server.getsockname()[1]
        assert not is_free(taken)
        monkeypatch.setattr(doctor_machine, "FIRST_PORT", taken)
        found = doctor_machine.port()
        assert found.state == "taken"
        assert str(taken) in found.detail
    assert doctor_machine.port().state == "ok"

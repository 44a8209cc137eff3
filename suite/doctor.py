"""`suite doctor`: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import typer

from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, package_version, suite_version
from pipelines.common.models import bundled_models, check_tensors, read_config
from pipelines.registry import TASKS
from suite import exits, options
from suite.doctor_machine import Finding, of_the_machine
from suite.remedies import in_checkout, install, reinstall, requirements, restore
from suite.terminal import print_json, print_table

# Packages that some commands need, and what for.
OPTIONAL = (
    ("semi-ate-stdf", "reading STDF files"),
    ("streamlit", "pages in the browser"),
    ("ray", "work on several machines, --runner ray"),
    ("lightning-fabric", "training on several devices, --devices"),
)
TONES = {"missing": "red", "wrong": "red"} | dict.fromkeys(("absent", "low", "taken", "read-only"), "yellow")


def doctor(as_json: options.Json = False) -> None:
    """Versions, engines, devices, models and the machine; what is amiss, and what mends it.

    Ends with 2 if something that every command needs is missing or wrong.
    """
    findings = [*_packages(), *_engines(), *_devices(), *_models(), *of_the_machine(Path.cwd())]
    healthy = all(finding.state not in ("missing", "wrong") for finding in findings)
    if as_json:
        print_json(
            {
                "healthy": healthy,
                "suite": suite_version(),
                "environment": environment(),
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        rows = [row for one in findings for row in _rows(one)]
        print_table(("what", "state", "detail"), lambda: rows, tone=lambda row: TONES.get(row[1], ""))
    raise typer.Exit(exits.OK if healthy else exits.USAGE)


def _rows(one: Finding) -> list[tuple[str, str, str]]:
    """A finding in the table. What mends it is below its detail, as the last column alone is never cut."""
    mend = [("", "", f"to mend: {one.mend}")] if one.mend else []
    return [(one.what, one.state, one.detail), *mend]


def _packages() -> list[Finding]:
    about = environment()
    findings = [
        Finding("suite", "ok", suite_version()),
        Finding("python", "ok", str(about["python"])),
        Finding("processor", "ok", f"{about['processor']}, {about['cores']} cores"),
    ]
    needed = {name: str(one.specifier) for name, one in requirements().items()}
    for name in ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "pydantic", "jinja2"):
        findings.append(_package(name, needed.get(name, "")))
    for name, purpose in OPTIONAL:
        version = package_version(name)
        absent = Finding(name, "absent", purpose, install(name))
        findings.append(Finding(name, "ok", version) if version else absent)
    return findings


def _package(name: str, needed: str) -> Finding:
    """A package that every command needs. needed: its versions, such as `>=2.9,<3`."""
    version = package_version(name)
    if version is None:
        return Finding(name, "missing", "", install(name))
    try:
        from packaging.specifiers import SpecifierSet

        fits = SpecifierSet(needed).contains(version, prereleases=True)
    except ImportError:
        fits = True
    if fits:
        return Finding(name, "ok", version)
    # pip replaces a version that does not suit; scripts/install does nothing to an environment that it made.
    mend = reinstall(name) if in_checkout() else install(name)
    return Finding(name, "wrong", f"{version}, and {needed} is needed", mend)


def _engines() -> list[Finding]:
    engines = import_module("sparse_backbones.engines")
    findings = []
    for name in ("native", "minkowski"):
        try:
            engines.load(name)
        except Exception as error:  # a broken torch, which both import, raises whatever it meets
            findings.append(_no_engine(name, error))
        else:
            detail = package_version("MinkowskiEngine") if name == "minkowski" else _kernels()
            findings.append(Finding(f"engine {name}", "ok", detail or ""))
    return findings


def _no_engine(name: str, error: Exception) -> Finding:
    """An engine that cannot be loaded."""
    if name == "native":
        return Finding("engine native", "missing", _first_line(error), reinstall("torch"))
    # Only the scripts of a checkout build MinkowskiEngine.
    mend = "scripts/install" if in_checkout() else "none is needed: the native engine does all"
    absent = package_version("MinkowskiEngine") is None
    return Finding("engine minkowski", "absent", "not installed" if absent else _first_line(error), mend)


def _kernels() -> str:
    """What the native engine computes with on the CPU."""
    from sparse_backbones.engines.native import compiled

    reason = compiled.problem()
    if reason:
        return f"in plain PyTorch; compiled kernels: {reason}"
    return f"compiled, {compiled.instructions()}"


def _devices() -> list[Finding]:
    try:
        import torch
    except Exception as error:  # such as a library of it that cannot be loaded
        detail = f"torch cannot be imported: {_first_line(error)}"
        return [Finding("device cpu", "missing", detail, reinstall("torch"))]
    findings = [Finding("device cpu", "ok", f"{torch.get_num_threads()} threads")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            findings.append(Finding(f"device cuda:{index}", "ok", torch.cuda.get_device_name(index)))
    elif torch.version.cuda is None:
        findings.append(Finding("device cuda", "absent", "this torch is for the CPU, and all runs there"))
    else:
        detail = f"this torch is for CUDA {torch.version.cuda} and sees no GPU; all runs on the CPU"
        findings.append(Finding("device cuda", "absent", detail, "nvidia-smi says if the driver is there"))
    return findings


def _models() -> list[Finding]:
    findings = []
    for task in TASKS:
        bundled = bundled_models(task.name)
        if not bundled:
            mend = f"suite {task.name} train DATA --out MODEL"
            findings.append(Finding(f"model for {task.name}", "missing", "no model is bundled", mend))
        for folder in bundled:
            name = f"model {task.name}/{folder.name}"
            try:
                detail = _detail(folder, task.name)
            except UserError as error:
                findings.append(Finding(name, "missing", str(error), restore()))
            except ImportError as error:
                detail = f"cannot be checked: {_first_line(error)}"
                findings.append(Finding(name, "missing", detail, install("safetensors")))
            else:
                findings.append(Finding(name, "ok", detail))
    return findings


def _detail(folder: Path, task: str) -> str:
    """What a bundled model is for: the task, or the part of it that the folder is called after.

    Raises UserError for a model that cannot be read.
    """
    try:
        config = read_config(folder, task=task)
    except UserError as error:
        try:
            config = read_config(folder, task=f"{task}-{folder.name}")
        except UserError:
            raise error from None
    check_tensors(folder)
    labels = config.get("labels")
    return f"for {config['task']}" if labels is None else f"{len(labels)} classes"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

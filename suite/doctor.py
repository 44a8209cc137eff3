"""`suite doctor`: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import typer

from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, package_version, suite_version
from pipelines.common.models import bundled_models, read_config
from pipelines.registry import TASKS
from suite import exits, options
from suite.terminal import print_json, print_table

INSTALL = "scripts/install"
OPTIONAL = (
    ("semi-ate-stdf", "reading STDF files", ".venv/bin/pip install semi-ate-stdf"),
    ("streamlit", "pages in the browser", INSTALL),
    ("ray", "work on several machines, --runner ray", INSTALL),
    ("lightning-fabric", "training on several devices, --devices", INSTALL),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. state: `ok`, `missing` (needed) or `absent` (optional)."""

    what: str
    state: str
    detail: str
    mend: str = ""


def doctor(as_json: options.Json = False) -> None:
    """Versions, engines, devices and models; what is missing, and the command that mends it.

    Ends with 2 if something that every command needs is missing.
    """
    findings = [*_packages(), *_engines(), *_devices(), *_models()]
    healthy = all(finding.state != "missing" for finding in findings)
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
        rows = [(one.what, one.state, one.detail, one.mend) for one in findings]
        print_table(
            ("what", "state", "detail", "to mend"),
            lambda: rows,
            tone=lambda row: {"missing": "red", "absent": "yellow"}.get(row[1], ""),
        )
    raise typer.Exit(exits.OK if healthy else exits.USAGE)


def _packages() -> list[Finding]:
    about = environment()
    findings = [
        Finding("suite", "ok", suite_version()),
        Finding("python", "ok", str(about["python"])),
        Finding("processor", "ok", f"{about['processor']}, {about['cores']} cores"),
    ]
    for name in ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "pydantic", "jinja2"):
        version = package_version(name)
        findings.append(Finding(name, "ok", version) if version else Finding(name, "missing", "", INSTALL))
    for name, purpose, mend in OPTIONAL:
        version = package_version(name)
        findings.append(Finding(name, "ok", version) if version else Finding(name, "absent", purpose, mend))
    return findings


def _engines() -> list[Finding]:
    try:
        engines = import_module("sparse_backbones.engines")
    except ImportError as error:
        return [Finding("engine native", "missing", str(error), INSTALL)]
    findings = []
    for name, absent in (("native", "missing"), ("minkowski", "absent")):
        try:
            engines.load(name)
        except (ImportError, OSError) as error:
            findings.append(Finding(f"engine {name}", absent, _first_line(error), INSTALL))
        else:
            detail = package_version("MinkowskiEngine") if name == "minkowski" else _kernels()
            findings.append(Finding(f"engine {name}", "ok", detail or ""))
    return findings


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
    except ImportError as error:
        return [Finding("device cpu", "missing", _first_line(error), INSTALL)]
    findings = [Finding("device cpu", "ok", f"{torch.get_num_threads()} threads")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            findings.append(Finding(f"device cuda:{index}", "ok", torch.cuda.get_device_name(index)))
    else:
        findings.append(Finding("device cuda", "absent", "torch sees no GPU; everything runs on the CPU"))
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
                findings.append(Finding(name, "missing", str(error), "git checkout -- pipelines"))
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
    labels = config.get("labels")
    return f"for {config['task']}" if labels is None else f"{len(labels)} classes"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

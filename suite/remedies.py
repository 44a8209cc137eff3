"""What mends an installation: in a checkout its scripts, elsewhere pip."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parents[1]
PIP: Final = "python -m pip install"
OURS: Final = "sparse-suite"


def in_checkout() -> bool:
    """Whether the suite runs from a checkout, and not from where pip has put a wheel."""
    return (ROOT / "scripts" / "install").is_file()


def install(package: str) -> str:
    """The command that brings a package, in a version that suits."""
    return "scripts/install" if in_checkout() else f"{PIP} '{_as_stated(package)}'"


def reinstall(package: str) -> str:
    """The command that brings a package anew that is there and does not work."""
    if in_checkout():
        return "rm -r .venv, then scripts/install"
    return f"{PIP} --force-reinstall '{_as_stated(package)}'"


def restore() -> str:
    """The command that brings bundled files back. WHEEL: the file, as a name could be another's package."""
    return "git checkout -- pipelines" if in_checkout() else f"{PIP} --force-reinstall --no-deps WHEEL"


def requirements() -> dict[str, Requirement]:
    """What the installed suite and its extras ask for, by package; nothing where that is not known."""
    try:
        from packaging.requirements import Requirement

        return {one.name: one for one in map(Requirement, requires(OURS) or [])}
    except (ImportError, PackageNotFoundError):
        return {}


def _as_stated(package: str) -> str:
    """A package as pip takes it, with the parts and the versions of it that the suite asks for."""
    found = requirements().get(package)
    if found is None:
        return package
    parts = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
    return f"{package}{parts}{found.specifier}"

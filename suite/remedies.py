"""What mends an installation: in a checkout its scripts, elsewhere pip."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PIP: Final = "python -m pip install"


def in_checkout() -> bool:
    """Whether the suite runs from a checkout, and not from where pip has put a wheel."""
    return (ROOT / "scripts" / "install").is_file()


def install(extra: str = "") -> str:
    """The command that brings what is missing. extra: the one of `pyproject.toml` that it belongs to."""
    if in_checkout():
        return "scripts/install"
    what = f"sparse-suite[{extra}]" if extra else "sparse-suite"
    return f"{PIP} --upgrade '{what}'" if extra else f"{PIP} --force-reinstall {what}"


def reinstall() -> str:
    """The command that begins with what is installed anew."""
    return "rm -r .venv, then scripts/install" if in_checkout() else f"{PIP} --force-reinstall sparse-suite"


def restore() -> str:
    """The command that brings bundled files back."""
    return "git checkout -- pipelines" if in_checkout() else f"{PIP} --force-reinstall --no-deps sparse-suite"

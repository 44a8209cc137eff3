"""What is said to mend an installation, in a checkout and where a wheel is installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from suite import doctor, remedies, review
from suite.cli import app
from tests.apps.runs import small_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite as it is where no checkout is."""
    monkeypatch.setattr(remedies, "ROOT", tmp_path)


def test_a_checkout_is_told_by_its_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remedies.in_checkout()
    assert remedies.install("torch") == "scripts/install"
    monkeypatch.setattr(remedies, "ROOT", tmp_path)
    assert not remedies.in_checkout()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "install").touch()
    assert remedies.in_checkout()


@pytest.mark.usefixtures("wheel")
def test_outside_a_checkout_pip_brings_what_is_stated() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [stated["dependencies"], *stated["optional-dependencies"].values()]
    texts = {Requirement(text).name: Requirement(text) for one in lists for text in one}
    for name in ("torch", "streamlit", *(name for name, _ in doctor.OPTIONAL)):
        command, _, package = remedies.install(name).partition(" '")
        assert command == "python -m pip install"
        assert Requirement(package.removesuffix("'")) == texts[name]


@pytest.mark.usefixtures("wheel")
def test_what_the_suite_does_not_know_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remedies.install("unknown") == "python -m pip install 'unknown'"
    monkeypatch.setattr(remedies, "OURS", "never-installed")
    assert remedies.requirements() == {}
    assert remedies.install("torch") == "python -m pip install 'torch'"


def test_a_review_without_streamlit_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run(tmp_path / "run")
    monkeypatch.setattr(review, "find_spec", lambda name: None)
    told = CliRunner().invoke(app, ["review", str(run)])
    assert (told.exit_code, told.stderr) == (2, "error: streamlit is not installed: scripts/install\n")
    monkeypatch.setattr(remedies, "ROOT", tmp_path)
    told = CliRunner().invoke(app, ["review", str(run)])
    assert told.exit_code == 2
    assert "streamlit is not installed: python -m pip install 'streamlit<2,>=1.67'" in told.stderr

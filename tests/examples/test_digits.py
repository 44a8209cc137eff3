"""The example of a further task: built into a copy of the project as the page for contributors says."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "digits"
PAGE = ROOT / "docs" / "contributing.md"
# File, the line before, and the line that is added; all three stand on the page.
LINES = (
    (
        "pipelines/registry.py",
        '    Task("polyp", "pipelines.polyp", "size", "The size of polyps in frames of colonoscopy.'
        ' For research."),\n',
        '    Task("digits", "pipelines.digits", "classify", "Handwritten digits in sparse pictures."),\n',
    ),
    (
        "apps/viewers/__init__.py",
        '    "polyp": "apps.viewers.polyp",\n',
        '    "digits": "apps.viewers.digits",\n',
    ),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with the example in them."""
    folder = tmp_path_factory.mktemp("project")
    leave = shutil.ignore_patterns("__pycache__", "models")
    for name in ("sparse_backbones", "pipelines", "suite", "apps"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=leave)
    page = PAGE.read_text(encoding="utf-8")
    for file, before, line in LINES:
        assert file in page and line.strip() in page
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(before) == 1
        (folder / file).write_text(text.replace(before, before + line), encoding="utf-8")
    (folder / "tests").mkdir()
    shutil.copy2(ROOT / "tests" / "test_layout.py", folder / "tests")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,797 digits of 8 x 8 px as files of sparse pixels, in folders by label."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        (folder / str(label)).mkdir(exist_ok=True)
        with (folder / str(label) / f"{number:04d}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["x", "y", "value"])
            writer.writerows((x, y, image[y, x] / 16) for y, x in zip(*image.nonzero(), strict=True))
    return folder


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy of the project alone."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_files_to_a_reviewed_result(project: Path, pictures: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "run"
    done = python(project, "-m", "suite", "digits", "train", str(pictures), "--out", str(model), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] > 0.93

    given = tmp_path / "given"
    given.mkdir()
    for label in "37":
        shutil.copy(sorted((pictures / label).iterdir())[0], given / f"{label}.csv")
    (given / "bad.csv").write_text("x,y,value\n1,2,7\n")
    command = ["-m", "suite", "digits", "classify", str(given), "--model", str(model), "--out", str(out)]
    done = python(project, *command)
    assert done.returncode == 3, done.stderr
    assert "bad.csv: line 2: a value lies in 0 to 1" in done.stderr
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [(Path(row["source"]).name, row["digit"], row["status"]) for row in rows] == [
        ("3.csv", "3", "ok"),
        ("7.csv", "7", "ok"),
        ("bad.csv", None, "failed"),
    ]
    assert "2 classified, 1 failed" in (out / "report.html").read_text()

    before = (out / "results.jsonl").read_bytes()
    assert python(project, *command).returncode == 2  # there is a run already
    assert python(project, *command, "--resume", "--workers", "1").returncode == 3
    assert (out / "results.jsonl").read_bytes() == before

    review = (
        "import sys; from pathlib import Path; from streamlit.testing.v1 import AppTest\n"
        "run = sys.argv[1]; sys.argv = ['review.py', run, '--reviewer', 'Ann']\n"
        "page = AppTest.from_file('apps/review.py', default_timeout=300).run()\n"
        "next(one for one in page.button if (one.key or '').split(' / ')[0] == 'accept').click().run()\n"
        "page.button(key='export').click().run()\n"
        "assert not page.exception, page.exception\n"
    )
    done = python(project, "-c", review, str(out))
    assert done.returncode == 0, done.stderr
    with (out / "reviewed.csv").open(newline="") as lines:
        (verdict,) = csv.DictReader(lines)
    assert (verdict["verdict"], verdict["label"], verdict["reviewer"]) == (
        "accept",
        verdict["prediction"],
        "Ann",
    )


def test_it_keeps_the_rules_of_the_layout(project: Path) -> None:
    done = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_layout.py",
                  "-k", "direction or torch or unpickles")  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_suite_lists_it(project: Path) -> None:
    done = python(project, "-m", "suite", "list")
    assert "Handwritten digits in sparse pictures." in done.stdout

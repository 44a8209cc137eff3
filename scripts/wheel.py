"""What `scripts/wheel` runs: see there."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
TORCH = "torch==2.13.0"
PACKAGES = ("sparse_backbones", "pipelines", "suite", "apps")
SAMPLES, RUNS = "samples", ("wafer-run", "medical-run", "crowd-run", "polyp-run")
NATIVE = ("--engine", "native")  # the one engine that a wheel has
# Each with the exit code that it must end with.
COMMANDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("doctor",), 0),
    (("sample", "all", "--out", SAMPLES), 0),
    (("wafer", "classify", f"{SAMPLES}/wafer", *NATIVE, "--out", "wafer-run"), 0),
    (("medical", "segment", f"{SAMPLES}/medical/volumes/mr-thick-slices.nii.gz", "--model", "hippocampus",
      "--overlap", "0", *NATIVE, "--out", "medical-run"), 0),
    (("crowd", "count", f"{SAMPLES}/crowd/photos", *NATIVE, "--out", "crowd-run"), 3),  # one is damaged
    (("polyp", "size", f"{SAMPLES}/polyp/clips", *NATIVE, "--out", "polyp-run"), 0),
)  # fmt: skip
PATIENCE = 60.0  # seconds for the review's server to answer


def files_of_packages() -> list[str]:
    """Whatever git tracks of the packages or does not ignore, by path in the checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]


def build(python: Path, out: Path) -> Path:
    """The wheel, built for an interpreter from a copy of its files, so that nothing left over gets in."""
    with TemporaryDirectory() as folder:
        for name in [*files_of_packages(), "pyproject.toml", "setup.py", "README.md"]:
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, Path(folder) / name)
        pip(python, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), folder)
    (wheel,) = out.glob("sparse_suite-*.whl")
    return wheel


def pip(python: Path, *arguments: str) -> None:
    """Run pip; its errors go to the terminal."""
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([str(python), "-m", "pip", *arguments, *quiet], check=True, stdin=subprocess.DEVNULL)


def without_compiler(scripts: Path) -> dict[str, str]:
    """The surroundings of a command: only the environment's own programs, and no compiler."""
    kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "OMP_NUM_THREADS")}
    return {**kept, "PATH": str(scripts), "CC": "/nonexistent", "CXX": "/nonexistent"}


def run(suite: Path, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """One command of the installed suite."""
    return subprocess.run(
        [str(suite), *arguments],
        cwd=folder,
        env=without_compiler(suite.parent),
        capture_output=True,
        text=True,
        check=False,
    )


def engine_of(run_folder: Path) -> str:
    """What a run says it was computed with."""
    try:
        return str(json.loads((run_folder / "run.json").read_text(encoding="utf-8"))["engine"])
    except (OSError, ValueError, LookupError) as error:
        return f"that is not known ({error})"


def answers(suite: Path, folder: Path, run_folder: str, port: int) -> bool:
    """Whether a review of a run is served."""
    command = [str(suite), "review", run_folder, "--no-browser", "--port", str(port)]
    server = subprocess.Popen(
        command, cwd=folder, env=without_compiler(suite.parent), stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and server.poll() is None:
            try:
                with urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                    return bool(answer.read() == b"ok")
            except (URLError, OSError):
                time.sleep(0.2)
        return False
    finally:
        server.terminate()
        server.wait()


# Draws the page of each run as its server does, and tells what a person would see in red.
DRAW = """
import sys
from pathlib import Path
import apps
from streamlit.testing.v1 import AppTest

page = Path(apps.__file__).with_name("review.py")
for run in sys.argv[1:]:
    sys.argv = ["review.py", run, "--reviewer", "Ann"]
    drawn = AppTest.from_file(str(page), default_timeout=120).run()
    problems = [*drawn.exception, *drawn.error]
    assert not problems, (run, [one.value for one in problems])
    assert any((one.key or "").startswith("accept") for one in drawn.button), f"{run}: nothing to accept"
"""


def try_out(suite: Path, folder: Path) -> list[str]:
    """What went wrong; each command is named as it ends."""
    wrong = []
    for arguments, expected in COMMANDS:
        began = time.monotonic()
        done = run(suite, arguments, folder)
        say(f"suite {' '.join(arguments)}: ended with {done.returncode} in {time.monotonic() - began:.1f} s")
        if done.returncode != expected:
            wrong.append(f"suite {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    for name in RUNS:
        if (engine := engine_of(folder / name)) != "native":
            wrong.append(f"{name}: computed by the engine {engine}, not by the native one")
    drawn = subprocess.run(
        [str(suite.with_name("python")), "-c", DRAW, *RUNS],
        cwd=folder,
        env=without_compiler(suite.parent),
        capture_output=True,
        text=True,
        check=False,
    )
    if drawn.returncode:
        wrong.append(f"the pages of the reviews: {drawn.stderr}")
    say("the pages of the reviews: drawn")
    for number, name in enumerate(RUNS):
        if not answers(suite, folder, name, 8701 + number):
            wrong.append(f"suite review {name}: no answer")
        say(f"suite review {name}: looked at")
    return wrong


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/wheel", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the wheel here")
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment, work = folder / "environment", folder / "work"
        work.mkdir()
        chosen = os.environ.get("PYTHON") or getattr(sys, "_base_executable", sys.executable)
        say(f"making an environment with {chosen}")
        subprocess.run([chosen, "-m", "venv", str(environment)], check=True)
        python = environment / "bin" / "python"
        constraints = ["-c", str(ROOT / "constraints.txt")]
        say(f"installing {TORCH}")
        pip(python, "install", *constraints, TORCH, "setuptools", "wheel")
        say("building the wheel")
        wheel = build(python, folder / "wheel")
        say(f"installing {wheel.name} ({wheel.stat().st_size / 2**20:.1f} MB) and what it needs")
        pip(python, "install", *constraints, str(wheel))
        wrong = try_out(environment / "bin" / "suite", work)
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            shutil.copy2(wheel, given.out)
            say(f"kept: {given.out / wheel.name}")
    for text in wrong:
        say(f"went wrong: {text}")
    say("all is well" if not wrong else f"{len(wrong)} went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

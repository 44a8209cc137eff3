"""Ctrl-C that a library kept to itself, as one does while it is loaded, still ends the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PRESSED = """
import os, signal, sys
from suite import interrupt, terminal

signal.signal(signal.SIGINT, {handler})
interrupt.listen()
with terminal.progress(quiet=True) as progress:
    progress("nothing was pressed yet")
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("kept", flush=True)
    try:
        progress("first item")
    except KeyboardInterrupt:
        print("heard", flush=True)
"""


@pytest.mark.parametrize(
    ("handler", "said"),
    [("signal.default_int_handler", ["kept", "heard"]), ("signal.SIG_IGN", []), ("lambda *_: None", [])],
)
def test_the_next_item_hears_it(handler: str, said: list[str], project_root: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PRESSED.format(handler=handler)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=project_root,
    )
    assert (ended.returncode, ended.stdout.split()) == (0, said), ended.stderr


SWALLOWED = """
import os, signal, sys
from pipelines.wafer.predict import Predictor
from suite import cli

load = Predictor.of

def of(config):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        pass
    return load(config)

Predictor.of = of
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["suite", "wafer", "classify", *sys.argv[1:]]
cli.main()
"""


def test_a_command_ends_although_its_model_kept_ctrl_c(tmp_path: Path, project_root: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{number},{number}\n" for number in range(50)))
    ended = subprocess.run(
        [sys.executable, "-c", SWALLOWED, str(tmp_path / "a.csv"), "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=project_root,
    )
    assert ended.returncode == 130, ended.stderr
    assert "interrupted" in ended.stderr and "--resume" in ended.stderr
    assert (tmp_path / "run" / "results.jsonl").read_text() == "", "it ended before the first map"

"""`suite review` as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Served:
    """A page that answers. url: as the command printed it."""

    url: str
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(run: Path) -> Iterator[Served]:
    """The page of a run for the reviewer Ann, from when it answers until the block ends."""
    command = [sys.executable, "-m", "suite", "review", str(run), "--no-browser", "--reviewer", "Ann"]
    process = subprocess.Popen(
        [*command, "--port", str(free_port())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        until = time.monotonic() + PATIENCE_S
        while not _answers(f"{url}/_stcore/health"):
            assert process.poll() is None and time.monotonic() < until, "the page does not answer"
            time.sleep(0.1)
        yield Served(url, process)
    finally:
        process.kill()
        process.communicate()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

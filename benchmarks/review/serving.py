"""The review page as a process of its own, and the time that it takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.cache import ROOT

PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Served:
    """A page that answers. url: as the command printed it."""

    url: str
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """Of the server, since it started. Linux only."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        """The most memory that the server held. Linux only."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(run: Path, truth: Path | None = None, port: int | None = None) -> Iterator[Served]:
    """The page of a run for the reviewer Ann, until the block ends. port: by default any."""
    command = [sys.executable, "-m", "suite", "review", str(run), "--no-browser", "--reviewer", "Ann"]
    command += ["--truth", str(truth)] if truth is not None else []
    process = subprocess.Popen(
        [*command, "--port", str(port or free_port())],
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

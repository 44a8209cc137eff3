from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from benchmarks.review.serving import serve
from suite.cli import app
from suite.ports import HOST
from suite.review import PAGE
from tests.apps.runs import small_run


class Started(Exception):
    """Stands for the server that takes this process's place."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that would be run."""
    command: list[str] = []

    def execv(program: str, words: list[str]) -> None:
        assert program == sys.executable
        command.extend(words)
        raise Started

    monkeypatch.setattr(os, "execv", execv)
    return command


def review(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["review", *map(str, words)])


def test_it_starts_on_this_machine_only_and_tells_nobody(tmp_path: Path, started: list[str]) -> None:
    run = small_run(tmp_path / "run")
    result = review(run, "--reviewer", "Ann", "--no-browser")
    assert isinstance(result.exception, Started)
    assert started[:2] == [sys.executable, str(PAGE)]
    options = json.loads(started[2])
    assert [options["server.address"]] == options["server.allowedHosts"] == [HOST] == ["127.0.0.1"]
    assert options["browser.gatherUsageStats"] is False
    assert options["server.headless"] is True
    assert started[3:] == [str(run), "--reviewer=Ann"]
    assert result.stdout == f"Review: http://127.0.0.1:{options['server.port']} (Ctrl-C ends it)\n"


def test_a_browser_is_opened_unless_told_otherwise(tmp_path: Path, started: list[str]) -> None:
    review(small_run(tmp_path / "run"))
    assert json.loads(started[2])["server.headless"] is False


def test_a_truth_is_for_tasks_that_have_one(tmp_path: Path, started: list[str]) -> None:
    run = small_run(tmp_path / "run")
    (tmp_path / "truth").mkdir()
    refused = review(run, "--truth", tmp_path / "truth")
    assert refused.exit_code == 2
    assert "wafer" in refused.stderr and "--truth" in refused.stderr
    assert started == []
    (run / "run.json").write_text(json.dumps({"schema_version": 1, "task": "medical"}))
    review(run, "--truth", tmp_path / "truth")
    assert started[-1] == f"--truth={(tmp_path / 'truth').resolve()}"


def test_a_port_that_is_taken_is_refused_and_passed_over(tmp_path: Path, started: list[str]) -> None:
    run = small_run(tmp_path / "run")
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        result = review(run, "--port", str(port))
        assert result.exit_code == 2
        assert result.stderr == f"error: port {port} cannot be had; give --port another, or leave it out\n"


def test_what_is_no_run_is_refused(tmp_path: Path, started: list[str]) -> None:
    for folder, said in ((tmp_path / "gone", "there is no folder"), (tmp_path, "is no run folder")):
        result = review(folder)
        assert result.exit_code == 2
        assert said in result.stderr
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": 1, "task": "paint"}))
    result = review(tmp_path)
    assert result.exit_code == 2
    assert (
        "runs of the task 'paint' cannot be reviewed; those of wafer, medical, crowd, polyp can"
        in result.stderr
    )
    assert started == []


@pytest.mark.slow
def test_it_listens_on_loopback_alone_and_ends_quietly(tmp_path: Path) -> None:
    with serve(small_run(tmp_path / "run")) as served:
        port = int(served.url.rsplit(":", 1)[1])
        listening = [
            fields[1].rsplit(":", 1)[0]
            for table in ("tcp", "tcp6")
            for line in Path("/proc/net", table).read_text().splitlines()[1:]
            if (fields := line.split())[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port
        ]
        assert listening == ["0100007F"]
        served.process.send_signal(signal.SIGINT)
        said, _ = served.process.communicate(timeout=120)
        assert served.process.returncode == 0
        assert said.split() in ([], ["Stopping..."])

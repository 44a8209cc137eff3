"""`suite wafer classify` on a Ray cluster that is there already, and asks for a token."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pipelines.common.errors import UserError
from pipelines.common.runner import on_ray
from pipelines.wafer.classify import classify
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.predict import Predictor

pytest.importorskip("ray")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the token of a cluster."""
    token = tmp_path / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text(secrets.token_hex(32))
    return tmp_path / "home"


@pytest.fixture
def address(home: Path) -> Iterator[str]:
    """Of a cluster of its own process, as `ray start` makes it on a head node."""
    port, another = free_ports(2)
    head = subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"),
            *("--num-cpus=2", "--include-dashboard=false", f"--object-store-memory={100 * 2**20}"),
            *("--disable-usage-stats", f"--ray-client-server-port={another}"),
        ],
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(240):
            with closing(socket.socket()) as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        else:
            pytest.fail("ray start did not come up within two minutes")
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(head.pid, signal.SIGKILL)  # asked to end, it takes its time
        head.wait(60)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"HOME": str(home)}


@pytest.mark.slow
def test_a_cluster_is_used_with_its_token(
    address: str, home: Path, tmp_path: Path, project_root: Path
) -> None:
    maps = project_root / "sample_data" / "wafer" / "maps" / "K24082"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "suite", "wafer", "classify", str(maps), "--device", "cpu"),
            *("--out", str(tmp_path / "there"), "--runner", "ray", "--ray-address", address),
        ],
        env=environment(home),
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config = ClassifyConfig(device="cpu")
    classify([maps], predictor=Predictor.of(config), out=tmp_path / "here", config=config)
    results = [(tmp_path / out / "results.csv").read_bytes() for out in ("there", "here")]
    assert results[0] == results[1]


def test_without_a_token_it_is_said_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(address: str, cores: int | None) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(on_ray, "_connect", refuse)
    monkeypatch.setattr(on_ray, "check_ray", lambda address: None)
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # whatever other tests keep
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"copy ~/\.ray/auth_token from its head node"), on_ray.cluster("a:1"):
        pass
    assert "RAY_AUTH_MODE" not in os.environ

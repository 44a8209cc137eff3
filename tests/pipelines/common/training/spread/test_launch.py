"""How many processes are asked for, and how they end; starting them is tested with the commands."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.common.training.spread import launch
from pipelines.common.training.spread.launch import Layout, accelerator, processes, read_layout
from pipelines.common.training.spread.world import ALONE

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "a",
    "WORLD_SIZE": "6",
    "LOCAL_WORLD_SIZE": "2",
    "RANK": "3",
    "LOCAL_RANK": "1",
}
MANUAL = {"MASTER_ADDR": "host", "MASTER_PORT": "5", "NODE_RANK": "1"}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by nobody, with Lightning Fabric installed."""
    for name in (*TORCHRUN, *MANUAL):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "ERROR")
    monkeypatch.setattr(launch, "find_spec", lambda name: True)


class Store:
    """What processes tell each other, without any. gone: whether nobody holds it any more."""

    def __init__(self, failed: int = 0, gone: bool = False) -> None:
        self.counts, self.gone = {"failed": failed, "done": 0}, gone

    def add(self, key: str, amount: int) -> int:
        if self.gone:
            raise RuntimeError("Broken pipe")
        self.counts[key] += amount
        return self.counts[key]


@pytest.mark.parametrize(
    ("devices", "nodes", "environment", "expected"),
    [
        (None, None, {}, Layout()),
        (1, 1, {}, Layout()),
        (None, None, {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}, Layout()),
        (4, None, {}, Layout(4, 1, 0)),
        (4, None, {"LOCAL_RANK": "3"}, Layout(4, 1, 3)),
        (2, 3, MANUAL, Layout(2, 3, 0)),
        (None, None, TORCHRUN, Layout(2, 3, 1, started=True)),
        (2, 3, TORCHRUN, Layout(2, 3, 1, started=True)),
        (None, None, {**TORCHRUN, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}, Layout()),
    ],
)
def test_the_layout(
    devices: int | None, nodes: int | None, environment: Mapping[str, str], expected: Layout
) -> None:
    assert read_layout(devices, nodes, environment) == expected


@pytest.mark.parametrize(
    ("devices", "nodes", "environment", "message"),
    [
        (
            None,
            2,
            {},
            "needs torchrun, or MASTER_ADDR, MASTER_PORT, NODE_RANK set on every machine",
        ),
        (2, 2, {"MASTER_ADDR": "host"}, "--nodes 2 needs torchrun"),
        (4, None, TORCHRUN, "--devices 4 contradicts torchrun, which has 2: leave it out"),
        (None, 2, TORCHRUN, "--nodes 2 contradicts torchrun, which has 3: leave it out"),
    ],
)
def test_what_contradicts_is_told(
    devices: int | None, nodes: int | None, environment: Mapping[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_layout(devices, nodes, environment)


def test_several_processes_need_fabric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    assert read_layout(1, None, {}).alone
    with pytest.raises(UserError, match=r"needs Lightning Fabric: pip install 'sparse-suite\[distributed\]'"):
        read_layout(2, None, {})


@pytest.mark.parametrize(
    ("device", "gpus", "kind"), [("cpu", 8, "cpu"), ("auto", 0, "cpu"), ("auto", 2, "cuda")]
)
def test_the_kind_of_device(device: str, gpus: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, gpus)
    assert accelerator(device, 2) == kind


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda:1", 4, "give cpu or cuda, not cuda:1"),
        ("cuda", 0, "torch sees no GPU"),
        ("cuda", 2, "3 processes need 3 GPUs, and this machine has 2"),
        ("auto", 1, "3 processes need 3 GPUs, and this machine has 1: fewer --devices, or --device cpu"),
    ],
)
def test_too_few_devices_are_told(
    device: str, gpus: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _gpus(monkeypatch, gpus)
    with pytest.raises(UserError, match=message):
        accelerator(device, 3)


def test_a_single_process_starts_none_and_keeps_its_errors() -> None:
    with processes(None, None) as start:
        assert start("cuda:7") is ALONE
        assert start.speaks
    with pytest.raises(UserError, match="mine"), processes(1, None) as start:
        start("cpu")
        raise UserError("mine")


@pytest.mark.parametrize(
    ("error", "code"), [(UserError("a"), 2), (ValueError("a"), 1), (KeyboardInterrupt(), 130)]
)
@pytest.mark.parametrize("store", [Store(failed=1), Store(gone=True)])
def test_only_the_first_that_fails_says_why(error: BaseException, code: int, store: Any) -> None:
    with pytest.raises(SystemExit) as left, processes(2, None) as start:
        _join(start, 1, store)
        raise error
    assert left.value.code == code
    with pytest.raises(type(error)), processes(2, None) as start:
        _join(start, 1, Store())
        raise error


def test_errors_before_all_have_joined_are_said_once_on_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="2"), processes(5, None):
        pass
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(UserError, match="contradicts torchrun"), processes(5, None):
        pass


def test_a_process_that_another_one_started_says_why_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(UserError, match="alone"), processes(2, None) as start:
        assert not start.speaks
        raise UserError("alone")


def test_the_first_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = Store(), list[int]()

    def others(seconds: float) -> None:
        asked.append(store.counts["done"])
        store.add("done", 1)

    monkeypatch.setattr(launch, "time", SimpleNamespace(sleep=others, monotonic=lambda: 0.0))
    with processes(3, None) as start:
        _join(start, 0, store)
    assert asked == [0, 1]
    with processes(3, None) as start:
        _join(start, 2, store)
    assert store.counts["done"] == 3
    with processes(3, None) as start:
        _join(start, 2, Store(gone=True))


def _join(start: Any, rank: int, store: Store) -> None:
    start.world = SimpleNamespace(store=store, is_first=rank == 0)


def _gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

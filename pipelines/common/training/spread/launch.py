"""Starting the processes of a training, and ending them together."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device

if TYPE_CHECKING:
    from pipelines.common.training.spread.world import World

INSTALL: Final = "pip install 'sparse-suite[distributed]'"
ANSWERS_WITHIN: Final = timedelta(minutes=20)  # between two steps; longer work is waited for by `World.first`
ENDS_WITHIN: Final = 5.0  # seconds, when another process has failed
LEAVES_WITHIN: Final = 60.0  # seconds, when all is done
POLL: Final = 0.05  # seconds
TORCHRUN: Final = "TORCHELASTIC_RUN_ID"  # torchrun sets it for what it starts
FAILED, DONE = "failed", "done"
OURS: Final = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
USAGE, BUG, INTERRUPTED = 2, 1, 130  # exit codes


@dataclass(frozen=True, slots=True)
class Layout:
    """What is to run. devices: processes on this machine. nodes: machines. local: which process of this
    machine this one is. started: whether torchrun has started all of them."""

    devices: int = 1
    nodes: int = 1
    local: int = 0
    started: bool = False

    @property
    def alone(self) -> bool:
        return self.devices * self.nodes == 1


def read_layout(devices: int | None, nodes: int | None, environment: Mapping[str, str]) -> Layout:
    """The layout from the options, and from what torchrun or the first process left in the environment.

    Raises UserError if they contradict each other, or Lightning Fabric is missing.
    """
    local = int(environment.get("LOCAL_RANK", 0))
    if TORCHRUN in environment:
        here, everywhere = int(environment["LOCAL_WORLD_SIZE"]), int(environment["WORLD_SIZE"])
        found = Layout(here, everywhere // here, local, started=True)
        for option, asked, there in (("devices", devices, found.devices), ("nodes", nodes, found.nodes)):
            if asked not in (None, there):
                raise UserError(f"--{option} {asked} contradicts torchrun, which has {there}: leave it out")
    else:
        found = Layout(devices or 1, nodes or 1, local)
        if found.nodes > 1 and not all(name in environment for name in OURS):
            raise UserError(f"--nodes {nodes} needs torchrun, or {', '.join(OURS)} set on every machine")
    if found.alone:
        return Layout()
    if find_spec("lightning_fabric") is None:
        raise UserError(f"a training on several processes needs Lightning Fabric: {INSTALL}")
    return found


class Start:
    """Starts the processes of a command, once it has checked what it was told. Made by `processes`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.world: World | None = None
        self.children: list[subprocess.Popen[bytes]] = []
        self.watched: list[subprocess.Popen[bytes]] = []  # if one of them fails, Fabric kills this process

    def __call__(self, device: str) -> World:
        """All processes, which wait here for each other. device: as in a config, `auto`, `cpu` or `cuda`.

        Raises UserError if the machine has too few devices, or the processes cannot reach each other.
        """
        from pipelines.common.training.spread.world import ALONE

        self.world = ALONE if self.layout.alone else self._join(accelerator(device, self.layout.devices))
        return self.world

    @property
    def speaks(self) -> bool:
        """Whether this process is the one of its machine, or of all once they are joined, that prints."""
        return self.layout.local == 0 if self.world is None else self.world.is_first

    def _join(self, kind: str) -> World:
        import torch
        import torch.distributed as dist
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        from pipelines.common.training.spread.world import World

        fabric = _fabric(self.layout, kind)
        self.watched = getattr(fabric.strategy.launcher, "procs", [])
        try:
            fabric.launch()
            self.children = list(self.watched)
            rank, device = int(fabric.global_rank), torch.device(fabric.device)
            # The group has a store too, but it is nobody else's to write to.
            host = os.environ["MASTER_ADDR"]
            store = TCPStore(host, 0, is_master=True, timeout=ANSWERS_WITHIN) if rank == 0 else None
            port = torch.tensor([store.port if store else 0], device=device)
            dist.broadcast(port, 0)
            store = store or TCPStore(host, int(port), is_master=False, timeout=ANSWERS_WITHIN)
        except RuntimeError as error:
            raise UserError(
                f"the processes of the training cannot reach each other: {str(error).splitlines()[0]}"
            ) from error
        if device.type == "cpu":
            self.watched.clear()  # gloo notices by itself, and there is time to say it
        return World(rank, int(fabric.world_size), device, store)

    def fails_first(self) -> bool:
        """Whether no other process failed before this one; it is then the one to say why."""
        if self.world is None:
            # Those that torchrun started may all fail alike; who starts others has not failed before.
            return self.layout.local == 0 or not self.layout.started
        if self.world.store is None:
            return True
        try:
            return int(self.world.store.add(FAILED, 1)) == 1
        except RuntimeError:
            return False  # the first process has gone, and has said why

    def leave(self) -> None:
        """End well: the first process waits until the others have what it told them, for it holds it."""
        store = None if self.world is None else self.world.store
        if store is None:
            return
        if not self.speaks:
            with suppress(RuntimeError):  # it waited too long, and has gone
                store.add(DONE, 1)
            return
        limit = time.monotonic() + LEAVES_WITHIN
        while store.add(DONE, 0) < self.layout.devices * self.layout.nodes - 1 and time.monotonic() < limit:
            time.sleep(POLL)
        for child in self.children:
            child.wait()

    def end(self, within: float) -> None:
        """End the processes that this one started, those at once that have not ended in so many seconds."""
        started = self.children or list(self.watched)
        self.watched.clear()
        for child in started:
            try:
                child.wait(within)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def processes(devices: int | None, nodes: int | None) -> Iterator[Start]:
    """What starts the processes of a command; if one of them fails, all end.

    Only the first to fail raises its error; the others leave quietly, with the exit code of theirs. Raises
    UserError for options that do not go together.
    """
    local, started = int(os.environ.get("LOCAL_RANK", 0)), TORCHRUN in os.environ
    start = Start(Layout(local=local, started=started))
    try:
        start.layout = read_layout(devices, nodes, os.environ)
        if not start.layout.alone:
            # What torch says when a process has gone is many lines, and not for a user.
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        yield start
    except BaseException as error:
        first = start.fails_first()
        start.end(0.0 if first else ENDS_WITHIN)  # who failed first may still be saying why
        if not first:
            raise SystemExit(_code(error)) from None
        raise
    start.leave()


def joined() -> bool:
    """Whether this process has joined others for a training."""
    distributed = sys.modules.get("torch.distributed")  # importing it takes seconds
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def accelerator(device: str, count: int) -> str:
    """`cpu` or `cuda`, for so many processes on this machine. Raises UserError if it has too few devices."""
    import torch

    if ":" in device:
        raise UserError(f"several processes have a device each: give cpu or cuda, not {device}")
    kind = resolve_device(device).type
    there = torch.cuda.device_count()
    if kind == "cuda" and there < count:
        raise UserError(
            f"{count} processes need {count} GPUs, and this machine has {there}: fewer --devices, or"
            " --device cpu"
        )
    return kind


def _fabric(layout: Layout, kind: str) -> Any:
    """Fabric, which knows each process's place and starts the others where torchrun has not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
        environment = TorchElasticEnvironment() if layout.started else LightningEnvironment()
        strategy = DDPStrategy(cluster_environment=environment, timeout=ANSWERS_WITHIN)
        return Fabric(accelerator=kind, devices=layout.devices, num_nodes=layout.nodes, strategy=strategy)


def _code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return USAGE if isinstance(error, UserError) else BUG

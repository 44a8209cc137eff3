"""Runs a function in two gloo processes, each of which is one rank of a world."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

from pipelines.common.training.spread.world import World
from tests.conftest import ROOT

LIMIT = 120.0  # seconds


def in_two(function: Callable[..., Any], folder: Path, *given: Any) -> list[Any]:
    """What `function(world, *given)` returns in each of two processes.

    It, and what it is given, is such as JSON holds. folder: an empty one, for what the processes tell each
    other.
    """
    place = f"{function.__module__}:{function.__name__}"
    command = [sys.executable, "-m", __name__, place, str(folder), json.dumps(given)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen([*command, str(rank)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    said = [one.communicate(timeout=LIMIT)[1].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0], "\n".join(said)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def main(place: str, where: str, given: str, number: str) -> None:
    folder, rank = Path(where), int(number)
    limit = timedelta(seconds=LIMIT)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'group'}", rank=rank, world_size=2, timeout=limit
    )
    store = dist.TCPStore("localhost", 0, is_master=True, timeout=limit) if rank == 0 else None
    port = folder / "port"
    if store is not None:
        port.write_text(str(store.port))
    dist.barrier()
    if store is None:
        store = dist.TCPStore("localhost", int(port.read_text()), is_master=False, timeout=limit)
    module, _, name = place.partition(":")
    world = World(rank, 2, None, store)
    found = getattr(importlib.import_module(module), name)(world, *json.loads(given))
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()


if __name__ == "__main__":
    main(*sys.argv[1:])

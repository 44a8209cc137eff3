"""Peak memory of one operation of one engine, in a process that has done nothing else.

`python -m benchmarks.engines.memory ENGINE NAME OPERATION ...` makes the inputs, does the operation once, and
prints as JSON the bytes by which resident memory rose above what it was before.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from benchmarks.cache import ROOT
from benchmarks.engines.cases import NETWORK, USUAL_CHANNELS, Operation

ERROR_CHARACTERS = 2000
KERNEL = 3
PROCESS = Path("/proc/self")


def measure(engine: str, name: str, operation: Operation, data: Path, *, quick: bool, threads: int) -> int:
    """Bytes at the peak of an operation, in a process of its own.

    name: of a workload, with the operation `forward_backward`, or of a network, with one of `NETWORK`.
    Raises RuntimeError with the end of what the process wrote to stderr if it fails.
    """
    command = [sys.executable, "-m", "benchmarks.engines.memory", engine, name, operation, str(data)]
    command += ["--threads", str(threads), *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"cannot measure {' '.join(command)}: {done.stderr[-ERROR_CHARACTERS:]}")
    return int(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def rise(call: Callable[[], object]) -> int:
    """Bytes by which resident memory rises at most while the call runs. Linux only."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        # What was freed before and is kept by the allocator would hide what the call takes.
        trim(0)
    # Sets the peak back to what is resident now.
    (PROCESS / "clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def _status(field: str) -> int:
    """A field of the kernel's record of this process, in bytes."""
    for line in (PROCESS / "status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"{PROCESS / 'status'} has no {field}")


def _call(engine: str, name: str, operation: str, data: Path, quick: bool) -> Callable[[], object]:
    from benchmarks.engines import convolution, networks, workloads

    module = convolution.load(engine)
    if operation in NETWORK:
        run = networks.NETWORKS[name].build(module, data, quick)
        return run.inference if operation == "inference" else run.training_step
    coordinates = workloads.WORKLOADS[name].coordinates(data, quick=quick)
    return convolution.NewMap(module, KERNEL, USUAL_CHANNELS, coordinates).forward_backward


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.memory", description=__doc__)
    parser.add_argument("engine")
    parser.add_argument("name")
    parser.add_argument("operation", choices=get_args(Operation))
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()

    import torch

    torch.set_num_threads(given.threads)
    call = _call(given.engine, given.name, given.operation, given.data, given.quick)
    print(json.dumps({"peak_bytes": rise(call)}))


if __name__ == "__main__":
    main()

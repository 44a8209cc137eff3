"""Peak memory of a step of one contestant, in a process that has done nothing else.

`python -m benchmarks.medical_pretrain.memory CONTESTANT WORKLOAD RATIO DATA --threads N` makes network and
crops, does two steps, and prints as JSON the bytes by which resident memory rose above what it was before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.cache import ROOT

ERROR_CHARACTERS = 2000
STEPS = 2  # the second has the optimiser's state


def measure(contestant: str, workload: str, ratio: float, data: Path, *, quick: bool, threads: int) -> int:
    """Bytes at the peak, in a process of its own.

    Raises RuntimeError with the end of what the process wrote to stderr if it fails.
    """
    command = [sys.executable, "-m", "benchmarks.medical_pretrain.memory", contestant, workload, str(ratio)]
    command += [str(data), "--threads", str(threads), *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"cannot measure {' '.join(command)}: {done.stderr[-ERROR_CHARACTERS:]}")
    return int(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.medical_pretrain.memory", description=__doc__)
    parser.add_argument("contestant")
    parser.add_argument("workload")
    parser.add_argument("ratio", type=float)
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()

    import torch

    from benchmarks.engines.memory import rise
    from benchmarks.medical_pretrain.workloads import Step

    torch.set_num_threads(given.threads)
    step = Step(given.contestant, given.workload, given.ratio, given.data, quick=given.quick)
    print(json.dumps({"peak_bytes": rise(lambda: step.losses(STEPS))}))


if __name__ == "__main__":
    main()

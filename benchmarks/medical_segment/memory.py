"""Peak memory of one contestant, in a process that has done nothing else.

`python -m benchmarks.medical_segment.memory CONTESTANT DATA` prepares the first patient, makes an untrained
network, segments, and prints as JSON the bytes by which resident memory rose above what it was before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.cache import ROOT

ERROR_CHARACTERS = 2000


def measure(contestant: str, data: Path, *, quick: bool, threads: int) -> int:
    """Bytes at the peak, beside network and prepared volume, in a process of its own.

    Raises RuntimeError with the end of what the process wrote to stderr if it fails.
    """
    command = [sys.executable, "-m", "benchmarks.medical_segment.memory", contestant, str(data)]
    command += ["--threads", str(threads), *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"cannot measure {' '.join(command)}: {done.stderr[-ERROR_CHARACTERS:]}")
    return int(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.medical_segment.memory", description=__doc__)
    parser.add_argument("contestant")
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()

    import torch

    from benchmarks.engines.memory import rise
    from benchmarks.medical_segment.contestants import CONTESTANTS
    from benchmarks.medical_segment.data import prepared_volume, read_cases
    from benchmarks.medical_segment.recipe import make_plan, recipe_of
    from pipelines.common.engines import load_engine
    from pipelines.medical.model.trained import network_of

    torch.set_num_threads(given.threads)
    one, recipe = CONTESTANTS[given.contestant], recipe_of(quick=given.quick)
    plan = make_plan(one.network, recipe)
    prepared = prepared_volume(read_cases(given.data)[0], plan, quick=given.quick)
    segment = one.segment(network_of(plan, load_engine("native")).eval(), plan)
    print(json.dumps({"peak_bytes": rise(lambda: segment(prepared))}))


if __name__ == "__main__":
    main()

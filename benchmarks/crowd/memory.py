"""Peak memory of counting in one photograph of 640 x 480 px, in a process that does nothing else.

`python -m benchmarks.crowd.memory MODEL IMAGE` counts once and prints as JSON the bytes by which resident
memory rose above what it was with the network loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.cache import ROOT

ERROR_CHARACTERS = 2000


def measure(model: Path, image: Path, threads: int) -> int:
    """Bytes at the peak, beside the network, in a process of its own.

    Raises RuntimeError with the end of what the process wrote to stderr if it fails.
    """
    command = [sys.executable, "-m", "benchmarks.crowd.memory", str(model), str(image)]
    command += ["--threads", str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"cannot measure {' '.join(command)}: {done.stderr[-ERROR_CHARACTERS:]}")
    return int(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd.memory", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()

    import torch

    from benchmarks.crowd.speed import counting, frame
    from benchmarks.engines.memory import rise
    from pipelines.crowd.data import read_image
    from pipelines.crowd.model.trained import load_trained

    torch.set_num_threads(given.threads)
    call = counting(load_trained(given.model), [frame(read_image(given.image).pixels)], "float32")
    print(json.dumps({"peak_bytes": rise(call)}))


if __name__ == "__main__":
    main()

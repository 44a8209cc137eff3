"""Reads folders of wafer maps, each in a process of its own with limits, and prints what it cost.

    python -m tests.pipelines.wafer.data.measure SECONDS BYTES FOLDER...

One line of JSON for each folder: `maps` (name to count), `failed` and `skipped` (name to reasons), `seconds`
of the processor, `bytes` held at most, and `ended`, how the process ended.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pipelines.wafer.data import FailedMap, WaferMap, iter_maps

KIBIBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


def read_folder(folder: Path, seconds: float) -> dict[str, Any]:
    """What comes out of a folder."""
    result: dict[str, Any] = {"maps": {}, "failed": {}, "skipped": {}}
    # Processor time, so that a busy machine fails no test; the clock ends what waits without working.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 30 * seconds)
    started = time.process_time()
    for item in iter_maps([folder]):
        name = item.source.name
        if isinstance(item, WaferMap):
            result["maps"][name] = result["maps"].get(name, 0) + 1
        elif isinstance(item, FailedMap):
            result["failed"].setdefault(name, []).append(item.error)
        else:
            result["skipped"].setdefault(name, []).append(item.reason)
    result["seconds"] = time.process_time() - started
    return result


def measure(folder: Path, seconds: float, memory: int) -> dict[str, Any]:
    """`read_folder` in a child process that ends when it takes more time or more address space."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        with os.fdopen(writer, "w") as stream:
            json.dump(read_folder(folder, seconds), stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    result = json.loads(text) if code == 0 else {}
    ended = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return {"folder": folder.name, **result, "bytes": usage.ru_maxrss * KIBIBYTE, "ended": ended}


def main(arguments: list[str]) -> None:
    seconds, memory, *folders = arguments
    for folder in folders:
        print(json.dumps(measure(Path(folder), float(seconds), int(memory))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

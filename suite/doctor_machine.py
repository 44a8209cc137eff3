"""What `suite doctor` says of the machine: memory, disk, folders, display, port."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from suite.ports import FIRST_PORT, HOST, is_free

LOW_MEMORY, LOW_DISK = 2 * 2**30, 2 * 2**30  # bytes: what a run of the bundled models is easy with


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    state: `ok`; `missing` or `wrong`, of what every command needs; `absent`, of what some do; `low`, `taken`
        and `read-only` of the machine.
    """

    what: str
    state: str
    detail: str
    mend: str = ""


def of_the_machine(folder: Path) -> list[Finding]:
    """What may stop a command that is run in `folder`."""
    return [memory(), disk(folder), writable(folder), temporary(), display(), port()]


def memory() -> Finding:
    """What is free of it, within the limit of a container."""
    free, total = free_memory()
    if total == 0:
        return Finding("memory", "ok", "this system does not say how much there is")
    detail = f"{_gib(free)} free of {_gib(total)}"
    if free >= LOW_MEMORY:
        return Finding("memory", "ok", detail)
    return Finding(
        "memory",
        "low",
        detail,
        "close other programs; --dry-run of medical segment says what volumes will take;"
        " suite crowd count --set memory_mib=512 takes less",
    )


def disk(folder: Path) -> Finding:
    """What is free where runs are written by default."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return Finding("disk", "low", f"{folder}: {error.strerror}", "go to a folder that is there")
    detail = f"{_gib(usage.free)} free of {_gib(usage.total)} at {folder}"
    if usage.free >= LOW_DISK:
        return Finding("disk", "ok", detail)
    return Finding("disk", "low", detail, "make space, or write runs elsewhere with --out")


def writable(folder: Path) -> Finding:
    """Whether runs can be written to this folder, as they are without --out."""
    problem = _problem_of_writing(folder)
    if problem:
        mend = "go to a folder of your own, or write runs elsewhere with --out"
        return Finding("this folder", "read-only", f"nothing can be written to {folder}: {problem}", mend)
    return Finding("this folder", "ok", f"runs go to {folder / 'runs'} without --out")


def temporary() -> Finding:
    """Whether there is a folder for temporary files."""
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        mend = "set TMPDIR to a folder that you may write to"
        return Finding("temporary files", "missing", str(error.strerror or error), mend)
    return Finding("temporary files", "ok", str(folder))


def display() -> Finding:
    """Whether a browser can open here by itself."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return Finding("display", "ok", "suite review opens a browser")
    return Finding(
        "display",
        "absent",
        "suite review prints an address and opens no browser",
        f"from another computer: ssh -L {FIRST_PORT}:{HOST}:{FIRST_PORT} THIS_MACHINE, then open the address",
    )


def port() -> Finding:
    """Whether the port of the review is free."""
    if is_free(FIRST_PORT):
        return Finding("port", "ok", f"{FIRST_PORT} is free for suite review")
    detail = f"{FIRST_PORT} is taken, maybe by another review; the next free one is used"
    return Finding("port", "taken", detail, "suite review RUN --port ANOTHER, to choose")


def free_memory() -> tuple[int, int]:
    """Bytes that are free, and bytes that there are, within the limit of a container; zeros if unknown."""
    fields: dict[str, int] = {}
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            fields[name] = int(value.split()[0]) * 1024
        free, total = fields["MemAvailable"], fields["MemTotal"]
    except (OSError, ValueError, LookupError):
        return 0, 0
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    if limit is not None and used is not None and limit < total:
        return min(free, max(limit - used, 0)), limit
    return free, total


def _number(path: str) -> int | None:
    """The number in a file of the system; None if there is none, such as `max`."""
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _problem_of_writing(folder: Path) -> str:
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".suite-doctor-"):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"

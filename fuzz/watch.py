"""One input, read under watch: time, memory, files outside its folder, and any error that is not foreseen."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .reader import Reader

SECONDS: Final = 2.0  # of the processor, for one input
_ROOT: Final = str(Path(__file__).resolve().parents[1])
_WRITES: Final = frozenset(
    ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
     "shutil.rmtree", "subprocess.Popen", "os.system", "socket.connect", "os.exec", "os.fork")
)  # fmt: skip
_INSTALLED: Final = (sys.prefix, sys.base_prefix, _ROOT, "/proc", "/usr/")  # what late imports open
_VARYING: Final = re.compile(r"'[^']*'|\"[^\"]*\"|<[^>]*>|[-+\d.,_]*\d\S*|/\S+|\S*\\x\S*")


class _TooLong(BaseException):
    """Not an Exception, so that no reader takes it for damage."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """kind: `read`, `refused`, or what is wrong: `error`, `slow`, `memory`, `outside`.

    text: one of a few texts for inputs that fare alike, without what varies; place: where it went wrong.
    """

    kind: str
    text: str
    place: str = ""

    @property
    def bad(self) -> bool:
        return self.kind not in ("read", "refused")


class Watch:
    """Reads inputs in one process; there is one of it, as it sets the process's alarm and audit hook."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self._reader, self._folder = reader, str(folder)
        self._watching, self._outside = False, ""
        self._peak = _peak() + reader.memory
        sys.addaudithook(self._hear)
        signal.signal(signal.SIGPROF, _stop)
        warnings.simplefilter("error")

    def read(self, data: bytes) -> Outcome:
        """What becomes of an input."""
        self._outside, self._watching = "", True
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            found = _read(self._reader, data, Path(self._folder))
        except _TooLong as error:
            found = Outcome("slow", f"more than {SECONDS:g} s", _place(error))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._watching = False
        if self._outside:
            found = Outcome("outside", self._outside, found.place)
        peak = _peak()
        if peak > self._peak:
            grown = f"the process grew by more than {self._reader.memory:,} bytes"
            self._peak = peak + self._reader.memory
            found = Outcome("memory", grown, found.place)
        return found

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event in ("os.remove", "os.rmdir") and arguments[1] != -1:
            return  # within a folder that is open already, as shutil empties one
        if event in _WRITES or event == "open":
            if not isinstance(arguments[0], str | bytes):
                return  # a file that is open already
            path = os.fsdecode(arguments[0])
            if event == "open" and path.startswith(_INSTALLED):
                return
            if not os.path.abspath(path).startswith(self._folder):  # noqa: PTH100 - resolves nothing, and fast
                self._outside = f"{event} {path[:200]!r}"


def _read(reader: Reader, data: bytes, folder: Path) -> Outcome:
    try:
        said = reader.read(data, folder)
        return Outcome("refused" if said else "read", _summary(said))
    except reader.errors as error:
        return Outcome("refused", _summary([str(error)]))
    except Exception as error:
        return Outcome("error", f"{type(error).__name__}: {str(error)[:200]}", _place(error))


def _summary(said: Sequence[str]) -> str:
    return " | ".join(sorted({_VARYING.sub("*", one)[:120] for one in said[:20]}))


def _place(error: BaseException) -> str:
    """The last line of ours, and the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if one.filename.startswith(_ROOT) and "/fuzz/" not in one.filename
            and "/.venv/" not in one.filename]  # fmt: skip
    chosen = [*ours[-1:], *frames[-1:]]
    return " > ".join(
        dict.fromkeys(f"{one.filename.removeprefix(_ROOT + '/')}:{one.lineno}" for one in chosen)
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _stop(number: int, frame: object) -> None:
    raise _TooLong

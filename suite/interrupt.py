"""Ctrl-C that is not lost: some libraries keep it to themselves while they are loaded."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_pressed = False


def listen() -> None:
    """From here on remember that Ctrl-C was pressed, unless it is ignored or somebody else's.

    A shell starts what it runs in the background with Ctrl-C ignored.
    """
    global _pressed
    _pressed = False
    if _is_ours():
        signal.signal(signal.SIGINT, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed since `listen`, even if a library caught it."""
    if _pressed:
        raise KeyboardInterrupt


def ignore() -> None:
    """From here on Ctrl-C changes nothing, unless it is somebody else's."""
    if _is_ours():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_ours() -> bool:
    """Only the main thread may say what a signal does."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    raise KeyboardInterrupt

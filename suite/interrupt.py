"""Ctrl-C that is not lost: some libraries keep it to themselves while they are loaded."""

from __future__ import annotations

import signal
from types import FrameType

_pressed = False


def listen() -> None:
    """From here on remember that Ctrl-C was pressed, unless it is ignored or somebody else's.

    A shell starts what it runs in the background with Ctrl-C ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed, which nobody heard who should have ended the command."""
    if _pressed:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    raise KeyboardInterrupt

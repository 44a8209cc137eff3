"""What a process that reads ahead does. It imports no more than it is told to read with."""

from __future__ import annotations

import os
import queue
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.runner.threads import one_thread

READY, PART, END, ERROR = range(4)
MOST_BYTES: Final = 64 * 2**20  # of what was read and has not been taken


def serve(connection: Connection) -> None:
    """Read the items that come over the connection, and send their parts back, until the other side is gone.

    The first message is the function that reads. Answers are pairs: (READY, None) once, then for each item
    its parts (PART, part) and (END, None). (ERROR, exception) is the last there is.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    one_thread()
    out = _Outbox(connection)
    try:
        read = connection.recv()
        out.put((READY, None))
        out.flush()  # an item that ends this process must not take this message with it
        given: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Always ready to receive: two sides that both wait to send would wait for ever.
        threading.Thread(target=_receive, args=(connection, given), daemon=True).start()
        while True:
            item = given.get()
            for part in read(item):
                out.put((PART, part))
            out.put((END, None))
    except EOFError:
        return
    except (UserError, OSError) as error:
        out.put((ERROR, error))
        out.flush()
    except Exception:  # a bug; not every exception survives the way as it is, but its text does
        out.put((ERROR, RuntimeError(f"in a process that reads:\n{traceback.format_exc()}")))
        out.flush()


def _receive(connection: Connection, given: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            given.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)  # nobody is left to read for


class _Outbox:
    """Sends messages in a thread of its own, and lets no more than MOST_BYTES wait."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._bytes = 0
        threading.Thread(target=self._send, daemon=True).start()

    def put(self, message: tuple[int, Any]) -> None:
        """Add a message; waits while too much is waiting."""
        content = bytes(ForkingPickler.dumps(message))
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes or self._bytes + len(content) <= MOST_BYTES)
            self._waiting.append(content)
            self._bytes += len(content)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all is sent."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes)

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                batch, self._waiting = self._waiting, []
            for content in batch:
                try:
                    self._connection.send_bytes(content)
                except OSError:
                    os._exit(0)
                with self._changed:
                    self._bytes -= len(content)
                    self._changed.notify_all()

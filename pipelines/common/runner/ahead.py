"""Reading ahead of the model, in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from multiprocessing import resource_tracker
from typing import Any, Final, Generic

from pipelines.common.errors import UserError
from pipelines.common.runner.reading import END, ERROR, READY, serve
from pipelines.common.runner.work import Done, Item, Part, Work

# Items that a process has been given and that are not yet used: enough for it to read on while the model is
# busy with a batch, of 256 wafer maps for example. What they take is limited by `reading.MOST_BYTES`.
WINDOW: Final = 512
PATIENCE: Final = 5.0  # seconds for a process to end
DIED: Final = "the process that read it was ended from outside, as happens when memory runs out"


def read_here(work: Work[Item, Part, Done], items: Iterable[Item]) -> Generator[Part, None, None]:
    """The parts of all items, read in this process when they are asked for."""
    for item in items:
        yield from work.read(item)


def read_ahead(
    work: Work[Item, Part, Done], items: Iterable[Item], workers: int
) -> Generator[Part, None, None]:
    """The parts of all items in their order, read ahead in `workers` processes.

    Items are taken up only as far as the processes may go ahead, and what waits in each process takes no more
    than `reading.MOST_BYTES` beside one part. An item that kills its process is `work.lost`; the others that
    the process had are read again. Raises what `work.read` raises.
    """
    readers = [_Reader(work) for _ in range(workers)]
    turns = cycle(readers)
    items = iter(items)
    given: deque[_Reader[Item, Part, Done]] = deque()
    try:
        while True:
            for item in items:
                reader = next(turns)
                reader.give(item)
                given.append(reader)
                if len(given) >= WINDOW * workers:
                    break
            if not given:
                return
            yield from given.popleft().parts()
    finally:
        for reader in readers:
            reader.stop()


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Let Ctrl-C wait: a process that is started here is deaf to it until it ignores it by itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Reader(Generic[Item, Part, Done]):
    """One process, and the items that it was given and whose parts were not all taken.

    After the process has died, these are given to a new one alone, one after the other, so that it shows
    which of them it was.
    """

    def __init__(self, work: Work[Item, Part, Done]) -> None:
        self._work = work
        self._items: deque[Item] = deque()
        self._alone = 0  # how many of the items are to be read alone
        self._start()

    def give(self, item: Item) -> None:
        """One more item to read."""
        self._items.append(item)
        if not self._alone:
            self._send(item)

    def parts(self) -> Iterator[Part]:
        """The parts of the oldest item."""
        item, taken, again = self._items[0], 0, 0
        while True:
            try:
                kind, content = self._receive()
            except (EOFError, ConnectionError):
                self.stop()
                self._start()
                if self._alone:
                    yield self._work.lost(item, taken, DIED)
                    break
                self._alone, again = len(self._items), taken
                self._send(item)
                continue
            if kind == END:
                break
            if kind == ERROR:
                raise content
            if again:
                again -= 1
                continue
            taken += 1
            yield content
        self._items.popleft()
        self._go_on()

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.terminate()
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True, name="reader")
        with _no_interrupt():
            self._process.start()
        theirs.close()
        self._ready = False
        self._send(self._work.read)

    def _go_on(self) -> None:
        if not self._alone:
            return
        self._alone -= 1
        for item in [self._items[0]] if self._alone else self._items:
            self._send(item)

    def _send(self, content: Any) -> None:
        try:
            self._connection.send(content)
        except ConnectionError:  # it has died, which shows when it is asked for what it read
            return

    def _receive(self) -> tuple[int, Any]:
        if not self._ready:
            try:
                kind, content = self._connection.recv()
            except (EOFError, ConnectionError):
                raise UserError(
                    "a process that reads could not be started; with --workers 0 this one reads"
                ) from None
            if kind != READY:
                raise content
            self._ready = True
        kind, content = self._connection.recv()
        return kind, content

"""Many inputs for one reader, in a process of its own, so that its death is one more finding."""

from __future__ import annotations

import mmap
import multiprocessing
import resource
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Final

from .containers import changed_within
from .mutate import mutated
from .reader import MAX_BYTES, Reader
from .watch import Outcome, Watch

CORPUS: Final = 2_000  # inputs that fared unlike any before, to be changed further
WITHIN: Final = 0.8  # of the inputs that are containers are changed within
STUCK_SECONDS: Final = 60.0  # without a further input, before the process is ended
SAME_PLACE: Final = 3  # findings that are kept of one kind and place
ADDRESS_SPACE: Final = 4 * 2**30  # beyond what the process has when it begins
_HEAD: Final = struct.Struct("<QQ")  # number of inputs, length of the present one


@dataclass(slots=True)
class Counts:
    """What became of the inputs; `findings` holds how often each kind and place was met."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    ways: int = 0  # different ways in which inputs fared
    findings: dict[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


Report = Callable[[Outcome, bytes], None]
Progress = Callable[[Counts], None]


def fuzz(
    reader: Reader, *, inputs: int, seconds: float, seed: int, found: Report, progress: Progress | None = None
) -> Counts:
    """Give `inputs` changed files to a reader, or as many as fit into `seconds`.

    found: is told of each new finding, with its input; of one kind and place, of the first SAME_PLACE.
    """
    counts, start = Counts(), time.monotonic()

    def note(outcome: Outcome, data: bytes) -> None:
        place = outcome.place or outcome.text
        name = f"{outcome.kind} {outcome.text.partition(':')[0]} at {place}" if outcome.place else place
        counts.findings[name] = counts.findings.get(name, 0) + 1
        if counts.findings[name] <= SAME_PLACE:
            found(outcome, data)

    with tempfile.TemporaryDirectory(dir=_memory_disk()) as folder:
        while counts.inputs < inputs and (left := seconds - (time.monotonic() - start)) > 0:
            shared = mmap.mmap(-1, _HEAD.size + MAX_BYTES)
            ours, theirs = multiprocessing.Pipe(duplex=False)
            job = (
                reader,
                inputs - counts.inputs,
                left,
                f"{seed} {counts.inputs}",
                folder,
                shared,
                theirs,
                ours,
            )
            process = multiprocessing.get_context("fork").Process(target=_work, args=job)
            process.start()
            theirs.close()
            earlier = counts.inputs
            why = _listen(ours, process, shared, counts, note, progress or (lambda _: None))
            if why:
                done, length = _HEAD.unpack_from(shared)
                counts.inputs = earlier + done + 1
                note(Outcome("died", why), bytes(shared[_HEAD.size : _HEAD.size + length]))
            shared.close()
    counts.seconds = time.monotonic() - start
    return counts


def _listen(
    ours: Connection, process: Any, shared: mmap.mmap, counts: Counts, note: Report, progress: Progress
) -> str:
    """Take what the process sends until it ends; why it ended too soon, or nothing."""
    before = counts.plain()
    last, since = -1, time.monotonic()
    while True:
        if ours.poll(1.0):
            try:
                message = ours.recv()
            except EOFError:
                process.join()
                return f"the process ended with {process.exitcode}" if process.exitcode else ""
            if isinstance(message, tuple):
                note(*message)
                continue
            for name in ("inputs", "read", "refused"):
                setattr(counts, name, before[name] + message[name])
            counts.ways = max(counts.ways, message["ways"])
            progress(counts)
        done = _HEAD.unpack_from(shared)[0]
        if done != last:
            last, since = done, time.monotonic()
        elif time.monotonic() - since > STUCK_SECONDS:
            process.kill()
            process.join()
            return f"no answer within {STUCK_SECONDS:g} s"


def _work(
    reader: Reader,
    inputs: int,
    seconds: float,
    seed: str,
    folder: str,
    shared: mmap.mmap,
    pipe: Connection,
    theirs: Connection,
) -> None:
    theirs.close()  # so that what is sent fails, and this process ends, once nobody listens any more
    rng, until = Random(seed), time.monotonic() + seconds
    seeds = list(reader.seeds())
    corpus, ways = list(seeds), set[str]()
    watch = Watch(reader, Path(folder))
    _limit_address_space()
    counts, told = Counts(), time.monotonic()

    def given(number: int, data: bytes) -> Outcome:
        _HEAD.pack_into(shared, 0, number, len(data))
        shared[_HEAD.size : _HEAD.size + len(data)] = data
        outcome = watch.read(data)
        if outcome.bad:
            pipe.send((outcome, data))
        return outcome

    for data in seeds:
        ways.add(given(0, data).text)
    for number in range(inputs):
        data = next_input(rng, reader, seeds, corpus)
        outcome = given(number, data)
        counts.inputs += 1
        counts.read += outcome.kind == "read"
        counts.refused += outcome.kind == "refused"
        if not outcome.bad and outcome.text not in ways:
            ways.add(outcome.text)
            if len(corpus) < CORPUS:
                corpus.append(data)
        if not number % 64 and (now := time.monotonic()) - told > 2:
            counts.ways, told = len(ways), now
            pipe.send(counts.plain())
            if now > until:
                break
    counts.ways = len(ways)
    pipe.send(counts.plain())
    pipe.close()


def next_input(rng: Random, reader: Reader, seeds: list[bytes], corpus: list[bytes]) -> bytes:
    """One input: a seed or what came of one, changed as a whole or within its container."""
    data = rng.choice(seeds if rng.random() < 0.4 else corpus)

    def change(part: bytes) -> bytes:
        return mutated(rng, part, reader.words, corpus, MAX_BYTES)

    inside = reader.folder or rng.random() < WITHIN
    within = changed_within(rng, data, change) if inside else None
    return (change(data) if within is None else within)[:MAX_BYTES]


def name_of(outcome: Outcome, data: bytes) -> str:
    """The name of a file for the input of a finding."""
    return f"{outcome.kind}-{blake2b(data, digest_size=6).hexdigest()}.bin"


def _limit_address_space() -> None:
    with Path("/proc/self/statm").open() as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESS_SPACE,) * 2)


def _memory_disk() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None

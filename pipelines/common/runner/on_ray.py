"""The items of a run on a Ray cluster: Ray Data over a pool of actors, each of which loads the model once."""

from __future__ import annotations

import logging
import os
import socket
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Generic

from pipelines.common.errors import UserError
from pipelines.common.hardware import usable_cores
from pipelines.common.runner.work import Done, Item, Job, Part, Work

INSTALL: Final = "pip install 'sparse-suite[ray]'"
MOST_RESTARTS: Final = 10  # of an actor; then something is wrong beyond single items
CONNECTS_WITHIN: Final = 10.0  # seconds
STORE_BYTES: Final = 256 * 2**20  # only names and rows travel
LOST: Final = "the process that did it was ended from outside, as happens when memory runs out"
AUTH_MODE: Final = "RAY_AUTH_MODE"
TOKEN: Final = (
    "if it asks for a token, as Ray does by default, copy ~/.ray/auth_token from its head node, or set"
    " RAY_AUTH_TOKEN_PATH"
)
NO_TOKEN: Final = f"if it was started without tokens, set {AUTH_MODE}=disabled"
SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what concerns the user is in the rows
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # nor on stdout, where Ray tells of actors that died, amid our JSON
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming behaviour, without the warning of it
}


def check_ray(address: str = "") -> None:
    """Raise UserError if Ray is not installed, with what to run, or if nobody listens at HOST:PORT, where Ray
    itself would go on trying for minutes."""
    if find_spec("ray") is None:
        raise UserError(f"--runner ray needs Ray: {INSTALL}")
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # none, or such as auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECTS_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"there is no Ray cluster at {address}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Block(Generic[Item]):
    """Items that an actor gets together. start: the place of the first among all."""

    start: int
    items: list[Item]


@dataclass(frozen=True, slots=True)
class _Answer(Generic[Done]):
    """What came of a block. error: what ends the run."""

    start: int
    done: list[Done]
    error: Exception | None = None

    def open(self) -> list[Done]:
        """What was done. Raises the error."""
        if self.error is not None:
            raise self.error
        return self.done


def run_on_ray(
    work: Work[Item, Part, Done],
    items: Iterable[Item],
    job: Job[Part, Done],
    *,
    workers: int | None = None,
    address: str = "",
) -> Iterator[Done]:
    """What the actors make of the items, in their order.

    Items travel, not what is read of them; so paths must be the same on all machines. Those that went down
    with an actor come last: each is given to an actor alone, and if that dies too, `job` answers for it in
    this process, with `work.lost`.

    workers: actors; None takes one for each core, or for each GPU. address: of a cluster that is there; empty
    starts one on this machine, which ends with the run. Raises what reading and computing raise, and
    UserError if there is no Ray, no such cluster, or if it is lost.
    """
    waiting = list(items)
    with cluster(address):
        from ray.exceptions import RayError

        try:
            yield from _all(work, waiting, job, workers)
        except RayError as error:
            hint = f"; {NO_TOKEN}" if address and _has_token() else ""
            raise UserError(
                f"the Ray cluster failed ({type(error).__name__}); what is done is kept: repeat the command"
                f" with --resume{hint}"
            ) from error


def _all(
    work: Work[Item, Part, Done], items: list[Item], job: Job[Part, Done], workers: int | None
) -> Iterator[Done]:
    starts = range(0, len(items), work.block)
    blocks = [_Block(start, items[start : start + work.block]) for start in starts]
    if not blocks:
        return
    finished: set[int] = set()
    for answer in _pool(work, blocks, workers):
        finished.add(answer.start)
        yield from answer.open()
    yield from _alone(
        work, [one for block in blocks if block.start not in finished for one in block.items], job
    )


def _pool(
    work: Work[Item, Part, Done], blocks: list[_Block[Item]], workers: int | None
) -> Iterator[_Answer[Done]]:
    """The answers of a pool of actors; a block whose actor died has none."""
    import ray
    import ray.data

    for name in ("ray", "ray.data"):  # only now, as Ray Data sets up its own when it is loaded
        logging.getLogger(name).setLevel(logging.CRITICAL)
    gpus = _gpus(work)
    size = workers or gpus or max(1, _there("CPU"))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.max_errored_blocks = -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray has no other way yet to say what becomes of an actor that dies
        answers = ray.data.from_items(
            [{"block": block} for block in blocks], override_num_blocks=len(blocks)
        ).map_batches(
            _Actor,
            fn_constructor_args=(work, str(Path.cwd())),
            compute=ray.data.ActorPoolStrategy(size=min(size, len(blocks))),
            batch_size=1,  # of blocks; where GPUs are asked for, Ray wants it said
            num_cpus=1,
            num_gpus=min(gpus, 1),
            max_restarts=MOST_RESTARTS,
            max_task_retries=0,  # left to Ray it would be for ever
        )
    for row in answers.iter_rows():
        yield row["answer"]


def _there(kind: str) -> int:
    """How many of a kind the machines of the cluster have."""
    import ray

    return int(ray.cluster_resources().get(kind, 0))  # type: ignore[no-untyped-call]


def _gpus(work: Work[Item, Part, Done]) -> int:
    """How many GPUs the work may use."""
    return _there("GPU") if work.device != "cpu" else 0


def _alone(work: Work[Item, Part, Done], items: list[Item], job: Job[Part, Done]) -> Iterator[Done]:
    """What comes of items whose actor died, in an actor of their own one by one, which shows the cause."""
    import ray
    from ray.exceptions import RayActorError

    # It asks for no core of its own: those of the pool may not be free again yet.
    kind: Any = ray.remote(num_cpus=0, num_gpus=min(_gpus(work), 1), max_restarts=0)(_Actor)
    actor: Any = None
    for item in items:
        actor = actor or kind.remote(work, str(Path.cwd()))
        try:
            answer: _Answer[Done] = ray.get(actor.answer.remote(_Block(0, [item])))
        except RayActorError:
            actor = None
            yield from job.do([work.lost(item, 0, LOST)])
        else:
            yield from answer.open()


class _Actor(Generic[Item, Part, Done]):
    """A process of the cluster with the model. Errors travel as answers: Ray would not tell one of the
    model from the death of the process."""

    def __init__(self, work: Work[Item, Part, Done], folder: str) -> None:
        self._work = work
        self._error: Exception | None = None
        try:
            os.chdir(folder)  # what relative paths are relative to
            self._job = work.load()
        except Exception as error:
            self._error = _portable(error)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[_Answer[Done]]]:
        return {"answer": [self.answer(block) for block in batch["block"]]}

    def answer(self, block: _Block[Item]) -> _Answer[Done]:
        """What comes of some items, or the error that ends the run."""
        if self._error is not None:
            return _Answer(block.start, [], self._error)
        try:
            parts = (part for item in block.items for part in self._work.read(item))
            return _Answer(block.start, list(self._job.do(parts)))
        except Exception as error:
            return _Answer(block.start, [], _portable(error))


def _portable(error: Exception) -> Exception:
    """The error itself if the user can mend it, else one with its text, as not every error can travel."""
    if isinstance(error, (UserError, OSError)):
        return error
    return RuntimeError(f"on the Ray cluster:\n{traceback.format_exc()}")


@contextmanager
def cluster(address: str = "", cores: int | None = None) -> Iterator[None]:
    """A connection to the cluster at the address, or to one on this machine that ends with the block.

    Does nothing where this process is connected already. cores: of one on this machine; None takes all that
    this process may use. Raises UserError if there is no such cluster.
    """
    check_ray(address)
    os.environ.update(SETTINGS)
    if address and AUTH_MODE not in os.environ and _has_token():
        os.environ[AUTH_MODE] = "token"  # Ray itself would look for the cluster before it looks for its token
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        _connect(address, cores)
    except Exception as error:  # Ray has no type of its own for it
        where = f"the Ray cluster {address} cannot be reached" if address else "Ray cannot be started"
        hint = f"; {TOKEN}" if address and not _has_token() else ""
        raise UserError(f"{where}: {error}{hint}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _has_token() -> bool:
    """Whether Ray finds a token with which clusters know those who may use them."""
    named = (name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return any(named) or (Path.home() / ".ray" / "auth_token").is_file()


def _connect(address: str, cores: int | None) -> None:
    import ray

    if address:
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
        return
    for last in (False, True):  # on a busy machine Ray itself gives up after half a minute
        try:
            ray.init(
                "local",
                num_cpus=cores or usable_cores(),
                object_store_memory=STORE_BYTES,
                include_dashboard=False,
                dashboard_host="127.0.0.1",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        except Exception:
            ray.shutdown()
            if last:
                raise
        else:
            return

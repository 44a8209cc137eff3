"""Which runner there is, and what it gives."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, Literal

from pipelines.common.hardware import usable_cores
from pipelines.common.runner.ahead import read_ahead, read_here
from pipelines.common.runner.work import Done, Item, Job, Part, Work

FEW: Final = 32  # items for which no process is worth its start


@dataclass(frozen=True, slots=True)
class Runner:
    """How a run is computed.

    name: `local`, the model in this process; `ray`, in the actors of a cluster.
    workers: processes that read ahead, 0 for none; or actors. None: as many as the machine suggests.
    address: of a Ray cluster that is there already; empty starts one on this machine.
    """

    name: Literal["local", "ray"] = "local"
    workers: int | None = None
    address: str = ""


IN_PROCESS: Final = Runner(workers=0)


def run(
    work: Work[Item, Part, Done], items: Iterable[Item], job: Job[Part, Done], runner: Runner
) -> Generator[Done, None, None]:
    """What `job` makes of the items, in their order. Close the iterator to end the processes it started.

    job: the model in this process; on a cluster it answers for items whose process died. Raises what reading
    and computing raise, and UserError if the processes cannot be started.
    """
    if runner.name == "ray":
        from pipelines.common.runner.on_ray import run_on_ray

        yield from run_on_ray(work, items, job, workers=runner.workers, address=runner.address)
        return
    items = iter(items)
    workers = runner.workers
    if workers is None:
        first = list(islice(items, FEW + 1))
        items = chain(first, items)
        workers = usual_workers() if len(first) > FEW else 0
    parts = read_ahead(work, items, workers) if workers else read_here(work, items)
    try:
        yield from job.do(parts)
    finally:
        parts.close()


def usual_workers() -> int:
    """Processes that read ahead: one for each four cores, since reading is the lesser part of the work.

    None where there are fewer: the model's own threads keep them busy.
    """
    return usable_cores() // 4

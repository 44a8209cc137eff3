"""The processes of one training, as each of them sees the others."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from pipelines.common.errors import UserError
from pipelines.common.training.spread.norms import synchronised
from pipelines.common.training.spread.share import shares

Value = TypeVar("Value")
POLL: Final = 0.05  # seconds between two looks at what the first process is doing


class ProcessLost(UserError):
    """Another process of the training ended, or does not answer."""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Which of the processes of a training this one is. All must call its methods in the same order.

    rank: this process, from 0. size: how many there are. device: what this one computes on, None for what the
    config says. store: what they tell each other beside tensors; None for a single one, for which every
    method gives back its own and costs nothing.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None
    store: TCPStore | None = None
    told: Iterator[int] = field(default_factory=count)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def share(self, weights: Sequence[float]) -> list[int]:
        """The items of a global batch that this process takes; see `shares`. Raises UserError for fewer items
        than processes."""
        if self.size == 1:
            return list(range(len(weights)))
        if len(weights) < self.size:
            raise UserError(
                f"a batch of {len(weights)} cannot be divided between {self.size} processes: set a larger"
                " batch, or use fewer"
            )
        return shares(weights, self.size)[self.rank]

    def seed(self, seed: int) -> int:
        """A seed for what each process draws by itself, such as dropout: the first one has that of a single
        process."""
        return seed + self.rank * 1_000_000_007

    def synchronised(self, network: nn.Module) -> AbstractContextManager[None]:
        """Within it, the batch norms of the network are over all processes."""
        if self.size == 1:
            return nullcontext()
        return synchronised(network, self.rank, self.size, self.total_)

    def total_(self, values: Tensor) -> None:
        """Put the sum over all processes into `values`. Raises ProcessLost."""
        if self.size == 1:
            return
        try:
            dist.all_reduce(values)
        except RuntimeError as error:
            raise ProcessLost(_lost(error)) from error

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, for a loss that every process computes whole from such sums.

        Its gradient is that of the own part: `reduce_gradients` adds up the parts of all.
        """
        if self.size == 1:
            return values
        found: Tensor = _Total.apply(values, self)  # type: ignore[no-untyped-call]
        return found

    def sum(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.size == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64, device=self.device)
        self.total_(found)
        return float(found)

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the sum of their gradients over all processes into each; in one message.

        A parameter without a gradient here counts as 0 if it has one in another process.
        """
        if self.size == 1:
            return
        chosen = [one for one in parameters if one.requires_grad]
        if not chosen:
            return
        there = [one.grad is not None for one in chosen]
        parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in chosen]
        flags = torch.tensor(there, dtype=parts[0].dtype, device=parts[0].device)
        flat = torch.cat([*(one.detach().reshape(-1) for one in parts), flags])
        self.total_(flat)
        *sums, flags = torch.split(flat, [*(one.numel() for one in parts), len(chosen)])
        for one, part, found, flag in zip(chosen, parts, sums, flags.tolist(), strict=True):
            if flag:
                part.copy_(found.view_as(part))
                one.grad = part

    def first(self, compute: Callable[[], Value]) -> Value:
        """What the first process computes, told to all, who wait for as long as it takes.

        The value must be such as JSON holds: numbers, texts, None, lists and dicts. Raises ProcessLost.
        """
        if self.store is None:
            return compute()
        key = f"first/{next(self.told)}"
        if self.is_first:
            value = compute()
            self.store.set(key, json.dumps(value))
            return value
        try:
            while not self.store.check([key]):
                time.sleep(POLL)
            found: Value = json.loads(self.store.get(key))
        except RuntimeError as error:
            raise ProcessLost(_lost(error)) from error
        return found

    def after_first(self, prepare: Callable[[], Value]) -> Value:
        """What `prepare` gives, which the first process does first: the others find what it wrote."""
        found: list[Value] = []
        self.first(lambda: found.append(prepare()))
        return found[0] if found else prepare()

    def check_same(self, text: str, what: str) -> None:
        """Raise UserError unless this text is that of the first process. what: what the text stands for."""
        if self.first(lambda: text) != text:
            raise UserError(
                f"process {self.rank} of this training has another {what} than the first one: all machines"
                " need the same command, and data and --out at the same paths on a disk that they share"
            )


ALONE: Final = World()


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, values: Tensor, world: World) -> Tensor:
        found = values.detach().clone()
        world.total_(found)
        return found

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _lost(error: RuntimeError) -> str:
    reason = re.sub(r"^\[\S+:\d+\] ", "", (str(error).splitlines() or [""])[0]).split(". ")[0]
    return f"another process of this training ended or does not answer: {reason}"

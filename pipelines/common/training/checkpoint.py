"""What a training needs to go on: tensors and text in one file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.common.errors import UserError


class Stateful(Protocol):
    """An optimiser, or several as one: its state by the number of the parameter."""

    def state_dict(self) -> dict[str, Any]:
        """At least `state`: number to name to value."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take what `state_dict` gave."""
        ...


@dataclass(slots=True)
class Progress:
    """Where a training stands. best: the score of the best validation, higher is better;
    since: validations after it."""

    epoch: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    since: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint at `path`, of the training that `fingerprint` names."""

    path: Path
    fingerprint: str

    def save(
        self,
        network: nn.Module,
        optimizer: Stateful,
        average: Mapping[str, Tensor],
        best: Mapping[str, Tensor],
        state: Progress,
    ) -> None:
        """Write under a temporary name, then rename."""
        tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in average.items()}
        tensors |= {f"best.{name}": value for name, value in best.items()}
        for number, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
        metadata = {
            "fingerprint": self.fingerprint,
            "state": json.dumps([state.epoch, state.seconds, state.best, state.since, state.log]),
        }
        new = self.path.with_suffix(".new")
        whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        save_file(whole, new, metadata)
        new.replace(self.path)

    def restore(
        self,
        network: nn.Module,
        optimizer: Stateful,
        average: dict[str, Tensor],
        best: dict[str, Tensor],
    ) -> Progress:
        """Load what was saved, if anything was. Raises UserError if it is of another training."""
        if not self.path.is_file():
            return Progress()
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"the checkpoint {self.path} cannot be read ({error}): begin anew without --resume"
            ) from error
        if metadata.get("fingerprint") != self.fingerprint:
            raise UserError(
                f"{self.path} is a checkpoint of another training, with other data, plan or settings:"
                " repeat the command as it was, or begin anew without --resume"
            )

        def of(part: str) -> dict[str, Tensor]:
            return {n.removeprefix(part): t for n, t in tensors.items() if n.startswith(part)}

        network.load_state_dict(of("network."))
        for name, value in of("average.").items():
            average[name].copy_(value)
        best.update(of("best."))
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in of("optimizer.").items():
            number, part = name.split(".")
            states.setdefault(int(number), {})[part] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
        epoch, seconds, score, since, log = json.loads(metadata["state"])
        return Progress(epoch, seconds, score, since, log)

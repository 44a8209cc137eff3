"""What a network is measured against, also where the network is not on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipelines.wafer import reference
from pipelines.wafer.data import WaferMap
from pipelines.wafer.model.kinds import Dies
from pipelines.wafer.novelty import Seen
from pipelines.wafer.reference import OF_EACH_CLASS, mixture_rows, refer
from pipelines.wafer.train_config import TrainConfig
from tests.pipelines.wafer import tiny

CPU = torch.device("cpu")
CLASSES = np.arange(60) % 2


class Elsewhere(Tensor):
    """Stands in for a tensor on a GPU: it does not go together with one on the CPU until it is moved."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "cpu" or (name == "to" and CPU in args):
            return args[0].as_subclass(Tensor)
        given = [each for one in args for each in (one if isinstance(one, list | tuple) else [one])]
        if any(type(each) is Tensor for each in given):
            raise RuntimeError(f"Expected all tensors to be on the same device in {name}")
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def seen(seed: int) -> Seen:
    rng = np.random.default_rng(seed)
    logits = np.eye(2)[CLASSES] * 4 + rng.normal(0, 1, (60, 2))
    numbers = rng.normal(0, 1, (60, 4)), rng.normal(0, 1, (60, 3))
    return Seen(*(torch.from_numpy(each).float() for each in (logits, *numbers)))


def referred(monkeypatch: pytest.MonkeyPatch, answers: list[Seen]) -> reference.Reference:
    monkeypatch.setattr(reference, "look", lambda *_, **__: answers.pop(0))
    maps: list[WaferMap] = [tiny.defect_map([[0.0, 0.0]])] * 60
    config = TrainConfig(components=(1,), covariances=("full",), novelty_dimension=2)
    both = (maps, CLASSES), (maps, CLASSES)
    return refer(
        nn.Identity(), Dies(), *both, config, shift=torch.zeros(2), device=CPU, progress=lambda text: None
    )


def test_a_network_on_a_gpu_has_the_same_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    here = referred(monkeypatch, [seen(0), seen(1)])
    away = [
        Seen(*(part.as_subclass(Elsewhere) for part in (one.logits, one.latent, one.shape)))
        for one in (seen(0), seen(1))
    ]
    with pytest.raises(RuntimeError, match="same device"):
        away[0].logits + torch.zeros(2)
    there = referred(monkeypatch, away)
    assert there.temperature == here.temperature
    np.testing.assert_array_equal(there.novelty.known, here.novelty.known)
    np.testing.assert_array_equal(there.novelty.place(there.seen), here.novelty.place(here.seen))
    assert all(type(value) is Tensor for value in there.novelty.tensors().values())


def test_rare_classes_are_among_the_rows_whatever_is_drawn() -> None:
    classes = np.repeat([0, 1, 2], [5_000, OF_EACH_CLASS + 50, 3])
    rows = mixture_rows(classes, 100, 0)
    counts = np.bincount(classes[rows])
    assert counts[1] >= OF_EACH_CLASS and counts[2] == 3
    assert len(rows) == len(np.unique(rows)) <= 100 + 2 * OF_EACH_CLASS + 3

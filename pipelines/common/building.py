"""Networks that are built from the config of a model folder, which may ask for anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from pipelines.common.models import ModelError, ModelFolder

if TYPE_CHECKING:
    from torch.nn import Module, Parameter

# Layers without weights are counted too, and layers that are held by several are counted several times.
LAYERS_PER_TENSOR, NUMBERS_PER_NUMBER = 20, 10
SLACK_LAYERS, SLACK_NUMBERS = 1_000, 1_000_000


@contextmanager
def sized_as(stored: ModelFolder) -> Iterator[None]:
    """Raises ModelError as soon as a network that is built in the block outgrows the folder's weights.

    A few bytes of a config may ask for billions of layers or numbers. Numbers are counted before they get
    values, so no memory is taken for them.
    """
    owner = threading.get_ident()
    layers = SLACK_LAYERS + LAYERS_PER_TENSOR * len(stored.tensors)
    numbers = SLACK_NUMBERS + NUMBERS_PER_NUMBER * sum(one.numel() for one in stored.tensors.values())

    def count(more_numbers: int) -> None:
        nonlocal layers, numbers
        if threading.get_ident() != owner:
            return
        layers, numbers = layers - 1, numbers - more_numbers
        if layers < 0 or numbers < 0:
            raise ModelError(
                f"the model {stored.path} is damaged: its config asks for a network that is far larger than"
                " its weights"
            )

    def parameter(_module: Module, _name: str, given: Parameter | None) -> None:
        count(given.numel() if given is not None else 0)

    def module(_module: Module, _name: str, _given: Module | None) -> None:
        count(0)

    hooks = (
        register_module_parameter_registration_hook(parameter),
        register_module_module_registration_hook(module),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

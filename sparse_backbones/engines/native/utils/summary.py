"""A table of a network's layers."""

from __future__ import annotations

from typing import Any

from torch import nn

from sparse_backbones.engines.native.base import FeaturesOnCoordinates


def summary(model: nn.Module, summary_input: FeaturesOnCoordinates) -> tuple[int, int]:
    """Runs the network once and prints each layer's output shape, (sites, channels), and its parameters.

    Returns the number of all parameters, and of those that are trained.
    """
    lines: list[tuple[str, str, str]] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = output if isinstance(output, (list, tuple)) else [output]
        shapes = ", ".join(str(list(item.shape)) for item in outputs if hasattr(item, "shape"))
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        lines.append((f"{type(module).__name__}-{len(lines) + 1}", shapes, f"{own:,}"))

    hooks = [
        module.register_forward_hook(note)
        for module in model.modules()
        if not isinstance(module, (nn.Sequential, nn.ModuleList))
    ]
    try:
        model(summary_input)
    finally:
        for hook in hooks:
            hook.remove()
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    total = sum(size for size, _ in sizes)
    trained = sum(size for size, trainable in sizes if trainable)
    lines.insert(0, ("layer", "output shape", "parameters"))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for name, shapes, own in lines:
        print(f"{name:<{widths[0]}}  {shapes:<{widths[1]}}  {own:>{widths[2]}}")
    print(f"{total:,} parameters, {trained:,} of them trained")
    return total, trained

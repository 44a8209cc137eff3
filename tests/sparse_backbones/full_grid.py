"""Sparse networks on grids with a site at every cell, against the dense networks made from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sparse_backbones.convert import load_dense, to_dense
from sparse_backbones.convert.leaves import RULES, STACKS

Make = Callable[[Any], nn.Module]
BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-10}


def random_grid(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def as_sparse(engine: Any, grid: Tensor, mask: Tensor | None = None) -> Any:
    """The sites of a grid (B, C, *spatial), all or those where `mask` (B, *spatial) is true."""
    keep = torch.ones_like(grid[:, 0], dtype=torch.bool) if mask is None else mask
    return engine.SparseTensor(grid.movedim(1, -1)[keep], keep.nonzero().int().contiguous())


def as_grid(sparse: Any) -> Tensor:
    """The grid (B, C, *spatial) of a sparse tensor, which must have a site at each of its cells."""
    steps = torch.tensor([1, *sparse.tensor_stride]).clamp(min=1)
    cells = sparse.C.long() // steps
    shape = (cells.amax(0) + 1).tolist()
    assert int(cells.min()) == 0
    assert len(cells) == math.prod(shape)
    grid = sparse.F.new_zeros(*shape, sparse.F.shape[1])
    result: Tensor = grid.index_put(tuple(cells.unbind(1)), sparse.F).movedim(-1, 1)
    return result


def assert_near(actual: Tensor, expected: Tensor, name: str) -> None:
    bound = BOUNDS[expected.dtype]
    scale = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(
        actual, expected, rtol=0.0, atol=bound * scale, msg=lambda text: f"{name}: {text}"
    )


def assert_equal_on_a_full_grid(
    engine: Any,
    make: Make,
    grid: Tensor,
    *,
    training: bool = True,
    call: Callable[[nn.Module, Any], Any] = lambda network, x: network(x),
) -> None:
    """Outputs, gradients of the input and of all weights, and buffers; then the way back, bit by bit."""
    sparse = make(engine).to(grid.dtype).train(training)
    randomise(sparse)
    dense = to_dense(sparse)
    assert not {type(module).__name__ for module in dense.modules()} & {*RULES, *STACKS}
    assert all(module.training is training for module in dense.modules())
    again = load_dense(make(engine).to(grid.dtype), dense.state_dict())
    assert same_bits(again.state_dict(), sparse.state_dict())

    inputs = [grid.clone().requires_grad_() for _ in range(2)]
    result = call(sparse, as_sparse(engine, inputs[0]))
    outputs = [result if isinstance(result, Tensor) else as_grid(result), call(dense, inputs[1])]
    assert_near(outputs[1], outputs[0], "output")
    for output in outputs:
        weights = torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape)
        (output * weights).sum().backward()
    assert inputs[0].grad is not None and inputs[1].grad is not None
    assert_near(inputs[1].grad, inputs[0].grad, "gradient of the input")
    # Gradients are laid out as the weights are, so they go the same way back.
    gradients = dense.state_dict()
    for name, parameter in dense.named_parameters():
        assert parameter.grad is not None
        gradients[name] = parameter.grad
    back = load_dense(make(engine).to(grid.dtype), gradients)
    for (name, gradient), parameter in zip(back.named_parameters(), sparse.parameters(), strict=True):
        assert parameter.grad is not None
        assert_near(gradient.detach(), parameter.grad, f"gradient of {name}")
    for (name, buffer), expected in zip(back.named_buffers(), sparse.buffers(), strict=True):
        if buffer.is_floating_point():
            assert_near(buffer, expected, name)
        else:
            assert torch.equal(buffer, expected)


def randomise(network: nn.Module) -> None:
    """Weights and statistics that are no zeros and ones."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif tensor.is_floating_point() and "kernel" not in name:
                tensor.uniform_(-1.0, 1.0)


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)

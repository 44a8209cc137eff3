"""What sparse layers must compute, by other means: dense layers on the full grid, and pairs found one by one.

Sites are int32 (N, 1 + D), batch index first. All functions are differentiable in the features and weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Ints = Sequence[int]

_CONVOLUTIONS = {2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
_MAX_POOLS = {2: functional.max_pool2d, 3: functional.max_pool3d}


class Kernel(NamedTuple):
    """size, stride and dilation, one int per axis. An odd size is centred, an even one covers [0, size)."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def of(cls, dimension: int, size: int | Ints, stride: int | Ints = 1, dilation: int | Ints = 1) -> Kernel:
        spread = [
            tuple(value) if isinstance(value, Sequence) else (value,) * dimension
            for value in (size, stride, dilation)
        ]
        return cls(*spread)

    @property
    def dimension(self) -> int:
        return len(self.size)

    @property
    def volume(self) -> int:
        return math.prod(self.size)

    @property
    def first(self) -> Tensor:
        """The lowest offset (D,)."""
        return torch.tensor(
            [-(s // 2) * d if s % 2 else 0 for s, d in zip(self.size, self.dilation, strict=True)]
        )

    def arguments(self) -> dict[str, Any]:
        """For an engine's layer."""
        return {
            "kernel_size": self.size,
            "stride": self.stride,
            "dilation": self.dilation,
            "dimension": self.dimension,
        }


def random_sites(count: int, dimension: int, low: int, high: int, batch: Ints = (0, 2)) -> Tensor:
    """Up to `count` distinct sites of the given batch items in [low, high), in random order."""
    items = torch.tensor(batch)[torch.randint(len(batch), (count, 1))]
    sites = distinct(torch.cat([items, torch.randint(low, high, (count, dimension))], dim=1))
    return sites[torch.randperm(len(sites))].int()


def distinct(sites: Tensor) -> Tensor:
    """The distinct rows, sorted."""
    rows: Tensor = torch.unique(sites, dim=0)
    return rows


def in_order(sites: Tensor) -> Tensor:
    """Row numbers that sort the sites, so that results can be compared whatever the order of their rows."""
    return torch.tensor(sorted(range(len(sites)), key=sites.tolist().__getitem__), dtype=torch.int64)


def coarser(sites: Tensor, stride: Ints) -> Tensor:
    """The distinct sites rounded down to multiples of `stride`, sorted, int64."""
    scale = torch.tensor([1, *stride])
    return distinct(torch.div(sites.long(), scale, rounding_mode="floor") * scale)


def dense_weight(kernel: Tensor, size: Ints) -> Tensor:
    """An engine's kernel (K, Cin, Cout), first axis fastest, as (Cout, Cin, *size)."""
    axes = kernel.reshape(*reversed(size), *kernel.shape[-2:])
    return axes.permute(*reversed(range(len(size) + 2)))


def convolution(
    sites: Tensor, features: Tensor, weight: Tensor, kernel: Kernel, tensor_stride: int = 1
) -> tuple[Tensor, Tensor]:
    """Sites and features of a convolution, by dense convolution. weight: (K, Cin, Cout)."""
    grid, targets, cells = _windows(sites, features, kernel, 0.0, tensor_stride)
    dense = _CONVOLUTIONS[kernel.dimension](
        grid, dense_weight(weight, kernel.size), stride=kernel.stride, dilation=kernel.dilation
    )
    return targets, _read(dense, cells)


def transposed_convolution(
    sites: Tensor, features: Tensor, weight: Tensor, kernel: Kernel, fine: Tensor
) -> Tensor:
    """Features at the sites `fine` (M, 1 + D), by dense transposed convolution from `sites` (N, 1 + D).

    The fine sites have the tensor stride 1, so the others have the kernel's stride.
    """
    cells = torch.div(sites.long(), torch.tensor([1, *kernel.stride]), rounding_mode="floor")
    low = cells[:, 1:].amin(0)
    grid = _grid(cells, features, low, (cells[:, 1:].amax(0) - low + 1).tolist(), 0.0)
    dense = _TRANSPOSED[kernel.dimension](
        grid,
        dense_weight(weight, kernel.size).transpose(0, 1),
        stride=kernel.stride,
        dilation=kernel.dilation,
    )
    places = (
        fine.long() - torch.cat([torch.zeros(1), low * torch.tensor(kernel.stride) + kernel.first]).long()
    )
    # The transposed convolution reaches no further than this; a fine site beyond it gets nothing.
    inside = ((places[:, 1:] >= 0) & (places[:, 1:] < torch.tensor(dense.shape[2:]))).all(1)
    read = _read(dense, torch.where(inside[:, None], places, 0))
    return torch.where(inside[:, None], read, 0.0)


def pooling(
    sites: Tensor, features: Tensor, kernel: Kernel, mode: str, tensor_stride: int = 1
) -> tuple[Tensor, Tensor]:
    """Sites and features of `max`, `sum` or `avg` pooling over the active sites under the kernel."""
    if mode == "max":
        grid, targets, cells = _windows(sites, features, kernel, -torch.inf, tensor_stride)
        pool = _MAX_POOLS[kernel.dimension]
        return targets, _read(pool(grid, kernel.size, kernel.stride, 0, kernel.dilation), cells)
    ones = torch.eye(features.shape[1], dtype=features.dtype).expand(kernel.volume, -1, -1)
    targets, total = convolution(sites, features, ones, kernel, tensor_stride)
    if mode == "sum":
        return targets, total
    _, count = convolution(sites, torch.ones_like(features), ones, kernel, tensor_stride)
    return targets, total / count


def joined_pairs(inputs: Tensor, outputs: Tensor, kernel: Kernel) -> set[tuple[int, int, int]]:
    """(kernel offset, input row, output row) for every pair that the kernel joins, by trying each one.

    Coordinates are in units of the input's stride: `outputs` times 1.
    """
    rows = {tuple(site): row for row, site in enumerate(inputs.tolist())}
    axes = [
        [int(first) + step * dilation for step in range(size)]
        for first, size, dilation in zip(kernel.first, kernel.size, kernel.dilation, strict=True)
    ]
    offsets = [tuple(reversed(offset)) for offset in itertools.product(*reversed(axes))]
    found = set()
    for out_row, (item, *place) in enumerate(outputs.tolist()):
        for number, offset in enumerate(offsets):
            seen = (item, *(p + o for p, o in zip(place, offset, strict=True)))
            if seen in rows:
                found.add((number, rows[seen], out_row))
    return found


def convolution_by_pairs(
    sites: Tensor, features: Tensor, weight: Tensor, kernel: Kernel
) -> tuple[Tensor, Tensor]:
    """The same as `convolution` for sites too far apart for a dense grid."""
    targets = coarser(sites, kernel.stride)
    result = features.new_zeros(len(targets), weight.shape[2])
    for number, in_row, out_row in sorted(joined_pairs(sites, targets, kernel)):
        result = result.index_add(0, torch.tensor([out_row]), features[in_row : in_row + 1] @ weight[number])
    return targets, result


class Outcome(NamedTuple):
    """What a layer gave: rows sorted by site, with the gradients of the input and of each parameter.

    sites: int64 (M, 1 + D). features: (M, C). gradients: by name, `input` in the order of the rows given.
    """

    sites: Tensor
    features: Tensor
    gradients: dict[str, Tensor]


Layer = Callable[..., Any]


def outcome(sites: Tensor, features: Tensor, leaves: dict[str, Tensor]) -> Outcome:
    """Sorts the rows and differentiates a fixed weighted sum of them by every leaf."""
    rows = in_order(sites)
    result = features[rows]
    weights = torch.sin(torch.arange(result.numel(), dtype=result.dtype)).reshape(result.shape)
    if leaves:
        grads = torch.autograd.grad((result * weights).sum(), list(leaves.values()), materialize_grads=True)
    else:
        grads = ()
    return Outcome(sites[rows].long(), result.detach(), dict(zip(leaves, grads, strict=False)))


def run(engine: Any, layer: Any, sites: Tensor, features: Tensor) -> Outcome:
    """What an engine's layer or network of sparse layers gives for these sites."""
    leaf = features.clone().requires_grad_()
    result = layer(engine.SparseTensor(leaf, sites))
    return outcome(result.C, result.F, {"input": leaf, **dict(layer.named_parameters())})


def assert_same(actual: Outcome, expected: Outcome) -> None:
    """Equal sites; numbers and gradients within 1e-4 in float32 and 1e-8 in float64."""
    assert torch.equal(actual.sites, expected.sites)
    assert_close(actual.features, expected.features, "features")
    assert actual.gradients.keys() == expected.gradients.keys()
    for name, gradient in actual.gradients.items():
        assert_close(gradient, expected.gradients[name], f"gradient of {name}")


def assert_close(actual: Tensor, expected: Tensor, name: str = "numbers") -> None:
    """Within 1e-4 if the actual numbers are float32, and 1e-8 if they are float64."""
    bound = {torch.float32: 1e-4, torch.float64: 1e-8}[actual.dtype]
    torch.testing.assert_close(
        actual.detach().double(),
        expected.detach().double(),
        rtol=bound,
        atol=bound,
        msg=lambda text: f"{name}: {text}",
    )


def _windows(
    sites: Tensor, features: Tensor, kernel: Kernel, fill: float, tensor_stride: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The dense grid whose unpadded windows are those of the coarser sites; these sites; their cells."""
    steps = torch.div(
        sites.long(), torch.tensor([1] + [tensor_stride] * kernel.dimension), rounding_mode="floor"
    )
    targets = coarser(steps, kernel.stride)
    cells = targets // torch.tensor([1, *kernel.stride])
    low = cells[:, 1:].amin(0)
    cells = cells - torch.cat([torch.zeros(1).long(), low])
    reach = (torch.tensor(kernel.size) - 1) * torch.tensor(kernel.dilation) + 1
    extent = cells[:, 1:].amax(0) * torch.tensor(kernel.stride) + reach
    start = low * torch.tensor(kernel.stride) + kernel.first
    grid = _grid(steps, features, start, extent.tolist(), fill)
    return grid, targets * torch.tensor([1] + [tensor_stride] * kernel.dimension), cells


def _grid(steps: Tensor, features: Tensor, start: Tensor, extent: Ints, fill: float) -> Tensor:
    """A dense tensor (B, C, *extent) that begins at `start` (D,). Sites outside it are left out."""
    places = steps[:, 1:] - start
    inside = ((places >= 0) & (places < torch.tensor(extent))).all(1)
    batch = steps[:, 0]
    grid = features.new_full((int(batch.max()) + 1, *extent, features.shape[1]), fill)
    grid = grid.index_put((batch[inside], *places[inside].unbind(1)), features[inside])
    return grid.movedim(-1, 1)


def _read(dense: Tensor, cells: Tensor) -> Tensor:
    """Rows (M, C) of a dense tensor (B, C, *spatial) at cells (M, 1 + D)."""
    return dense.movedim(1, -1)[tuple(cells.unbind(1))]

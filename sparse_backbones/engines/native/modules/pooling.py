"""Local pooling over active sites, and back."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.enums import PoolingMode
from sparse_backbones.engines.native.kernels import max_rows, sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.maps import KernelMap
from sparse_backbones.engines.native.modules.target import Target, check_input, target_key
from sparse_backbones.engines.native.precision import widened
from sparse_backbones.engines.native.regions import IntOrInts, KernelGenerator
from sparse_backbones.engines.native.tensor import SparseTensor

Reduction = Callable[[Tensor, KernelMap], Tensor]


def average_rows(features: Tensor, pairs: KernelMap) -> Tensor:
    """Mean over the pairs of each output row, 0 for a row without pairs. (n_in, C) -> (n_out, C)."""
    counts = pairs.by_output[1].diff().clamp_(min=1)
    return (sum_rows(widened(features), pairs) / counts[:, None]).to(features.dtype)


LOCAL: dict[PoolingMode, Reduction] = {
    PoolingMode.LOCAL_SUM_POOLING: sum_rows,
    PoolingMode.LOCAL_AVG_POOLING: average_rows,
    PoolingMode.LOCAL_MAX_POOLING: max_rows,
}


def pool_onto(
    features: Tensor,
    mode: PoolingMode,
    generator: KernelGenerator,
    transposed: bool,
    key: CoordinateMapKey,
    out_key: CoordinateMapKey | None,
    manager: CoordinateManager,
) -> tuple[CoordinateMapKey, Tensor]:
    """The key of the output, and its features (M, C)."""
    if mode not in LOCAL:
        raise ValueError(f"mode must be one of {', '.join(m.name for m in LOCAL)}, not {mode!r}")
    made, pairs = manager.pooling_map(key, generator, transposed, out_key)
    return made, LOCAL[mode](features, pairs)


class MinkowskiLocalPoolingFunction:
    """`apply` pools plain features (N, C) on the map `in_coordinate_map_key` of a manager."""

    transposed = False

    @classmethod
    def apply(
        cls,
        input_features: Tensor,
        pooling_mode: PoolingMode,
        kernel_generator: KernelGenerator,
        in_coordinate_map_key: CoordinateMapKey,
        out_coordinate_map_key: CoordinateMapKey | None,
        coordinate_manager: CoordinateManager,
    ) -> Tensor:
        """Features (M, C). An `out_coordinate_map_key` that is not set is set to the output's key."""
        return pool_onto(
            input_features,
            pooling_mode,
            kernel_generator,
            cls.transposed,
            in_coordinate_map_key,
            out_coordinate_map_key,
            coordinate_manager,
        )[1]


class MinkowskiLocalPoolingTransposeFunction(MinkowskiLocalPoolingFunction):
    """The same for the transposed pooling."""

    transposed = True


class MinkowskiDirectMaxPoolingFunction:
    """`apply` takes maxima over pairs of rows that the caller names."""

    @staticmethod
    def apply(
        in_map: Tensor, out_map: Tensor, in_feat: Tensor, out_nrows: int, is_sorted: bool = False
    ) -> Tensor:
        """Row r of the result (out_nrows, C): the maximum of in_feat[in_map] where `out_map` is r, else 0."""
        rows = in_map.long(), out_map.long()
        return max_rows(in_feat, KernelMap(*rows, [len(in_map)], len(in_feat), out_nrows))


class MinkowskiPoolingBase(MinkowskiModuleBase):
    """Pooling over the active sites under a kernel."""

    pooling_mode = PoolingMode.LOCAL_AVG_POOLING
    is_transpose = False

    def __init__(
        self,
        kernel_size: IntOrInts = -1,
        stride: IntOrInts = 1,
        dilation: IntOrInts = 1,
        kernel_generator: KernelGenerator | None = None,
        dimension: int = -1,
    ) -> None:
        super().__init__()
        self.kernel_generator = kernel_generator or KernelGenerator(
            kernel_size, stride, dilation, dimension=dimension
        )
        self.dimension = dimension

    def forward(self, input: SparseTensor, coordinates: Target = None) -> SparseTensor:
        """coordinates: where the output shall lie, if not where the layer would put it."""
        check_input(input, self.dimension)
        manager = input.coordinate_manager
        key, features = pool_onto(
            input.F,
            self.pooling_mode,
            self.kernel_generator,
            self.is_transpose,
            input.coordinate_map_key,
            target_key(input, coordinates),
            manager,
        )
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=manager)

    def extra_repr(self) -> str:
        generator = self.kernel_generator
        return (
            f"kernel_size={generator.kernel_size}, stride={generator.kernel_stride}, "
            f"dilation={generator.kernel_dilation}"
        )


class MinkowskiSumPooling(MinkowskiPoolingBase):
    """Sum over the active sites under the kernel."""

    pooling_mode = PoolingMode.LOCAL_SUM_POOLING


class MinkowskiAvgPooling(MinkowskiPoolingBase):
    """Mean over the active sites under the kernel."""


class MinkowskiMaxPooling(MinkowskiPoolingBase):
    """Maximum over the active sites under the kernel."""

    pooling_mode = PoolingMode.LOCAL_MAX_POOLING


class MinkowskiPoolingTranspose(MinkowskiPoolingBase):
    """Back onto the finer map: each of its sites gets the sum of the coarser sites that reach it.

    (MinkowskiEngine speaks of a mean, and its CPU version sums.)

    With expand_coordinates, or where there is no finer map, onto all sites that the kernel reaches.
    """

    pooling_mode = PoolingMode.LOCAL_SUM_POOLING
    is_transpose = True

    def __init__(
        self,
        kernel_size: IntOrInts,
        stride: IntOrInts,
        dilation: IntOrInts = 1,
        kernel_generator: KernelGenerator | None = None,
        expand_coordinates: bool = False,
        dimension: int = -1,
    ) -> None:
        if kernel_generator is None:
            kernel_generator = KernelGenerator(
                kernel_size, stride, dilation, expand_coordinates=expand_coordinates, dimension=dimension
            )
        super().__init__(kernel_generator=kernel_generator, dimension=dimension)

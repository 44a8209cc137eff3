"""Products of a sparse matrix with a dense one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def spmm(
    rows: Tensor,
    cols: Tensor,
    vals: Tensor,
    size: Sequence[int],
    mat: Tensor,
    is_sorted: bool = False,
    cuda_spmm_alg: int = 1,
) -> Tensor:
    """The sparse matrix of shape `size` with `vals` (P,) at (rows, cols), times `mat` (size[1], C).

    Values at one place add up. Differentiable in `vals` and `mat`. The last two arguments change nothing.
    """
    if not len(rows) == len(cols) == len(vals):
        raise ValueError(f"{len(rows)} rows, {len(cols)} columns and {len(vals)} values")
    if len(mat) != size[1]:
        raise ValueError(f"a matrix of shape {tuple(size)} cannot be multiplied with {tuple(mat.shape)}")
    terms = mat.index_select(0, cols.long()) * vals[:, None]
    return terms.new_zeros(size[0], mat.shape[1]).index_add(0, rows.long(), terms)


class MinkowskiSPMMFunction:
    """`apply` multiplies a sparse matrix with a dense one."""

    @staticmethod
    def apply(
        rows: Tensor, cols: Tensor, vals: Tensor, size: Sequence[int], mat: Tensor, cuda_spmm_alg: int = 1
    ) -> Tensor:
        """(size[0], C). See `spmm`."""
        return spmm(rows, cols, vals, size, mat)


class MinkowskiSPMMAverageFunction:
    """`apply` averages rows of a dense matrix."""

    @staticmethod
    def apply(rows: Tensor, cols: Tensor, size: Sequence[int], mat: Tensor, cuda_spmm_alg: int = 1) -> Tensor:
        """Row r of the result is the mean of mat[cols] over the places where `rows` is r, else 0."""
        rows = rows.long()
        counts = torch.bincount(rows, minlength=size[0])
        return spmm(rows, cols, counts[rows].to(mat.dtype).reciprocal(), size, mat)

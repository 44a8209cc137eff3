"""Gradients of the `Minkowski...Function` classes against finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def gradcheck(
    func: Any,
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    check_sparse_nnz: bool = False,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
) -> bool:
    """Whether the gradients of `func.apply(*inputs)` are right, as torch.autograd.gradcheck finds it.

    inputs: what `apply` takes; of the tensors, those that require a gradient are checked. They should be
        float64: the tolerances are meant for it.
    check_sparse_nnz: accept torch's own sparse tensors.

    Raises RuntimeError where a gradient is wrong, unless `raise_exception` is false, and ValueError if no
    tensor requires a gradient.
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    places = [i for i, item in enumerate(arguments) if isinstance(item, Tensor) and item.requires_grad]

    def function(*tensors: Tensor) -> Any:
        given = list(arguments)
        for place, tensor in zip(places, tensors, strict=True):
            given[place] = tensor
        return func.apply(*given)

    return torch.autograd.gradcheck(
        function,
        tuple(arguments[place] for place in places),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        masked=check_sparse_nnz,
    )

"""torch.nn.functional on the features of a sparse tensor.

`relu(x)` is a sparse tensor on the sites of `x`; a loss such as `cross_entropy(x, target)` is what torch
gives for the features (N, C). Further arguments are those of torch's function of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor
from torch.nn import functional

from sparse_backbones.engines.native.base import FeaturesOnCoordinates

Sparse = TypeVar("Sparse", bound=FeaturesOnCoordinates)


def _mapped(function: Callable[..., Tensor]) -> Callable[..., Any]:
    def apply(input: Sparse, *args: Any, **kwargs: Any) -> Sparse:
        return input.replace(function(input.F, *args, **kwargs))

    return _named(apply, function, "Returns a sparse tensor on the same sites.")


def _loss(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def apply(input: FeaturesOnCoordinates, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input.F, target, *args, **kwargs)

    return _named(apply, function, "target: one row per site. Returns a plain tensor.")


def _named(apply: Callable[..., Any], function: Callable[..., Tensor], returns: str) -> Callable[..., Any]:
    # Some of torch's own functions are aliases that carry another name.
    apply.__name__ = apply.__qualname__ = function.__name__
    apply.__doc__ = f"torch.nn.functional.{function.__name__} of the features. {returns}"
    return apply


threshold = _mapped(functional.threshold)
relu = _mapped(functional.relu)
hardtanh = _mapped(functional.hardtanh)
hardswish = _mapped(functional.hardswish)
relu6 = _mapped(functional.relu6)
elu = _mapped(functional.elu)
selu = _mapped(functional.selu)
celu = _mapped(functional.celu)
leaky_relu = _mapped(functional.leaky_relu)
prelu = _mapped(functional.prelu)
rrelu = _mapped(functional.rrelu)
glu = _mapped(functional.glu)
gelu = _mapped(functional.gelu)
logsigmoid = _mapped(functional.logsigmoid)
hardshrink = _mapped(functional.hardshrink)
tanhshrink = _mapped(functional.tanhshrink)
softsign = _mapped(functional.softsign)
softplus = _mapped(functional.softplus)
softmin = _mapped(functional.softmin)
softmax = _mapped(functional.softmax)
softshrink = _mapped(functional.softshrink)
gumbel_softmax = _mapped(functional.gumbel_softmax)
log_softmax = _mapped(functional.log_softmax)
tanh = _mapped(functional.tanh)
sigmoid = _mapped(functional.sigmoid)
hardsigmoid = _mapped(functional.hardsigmoid)
silu = _mapped(functional.silu)
batch_norm = _mapped(functional.batch_norm)
normalize = _mapped(functional.normalize)
linear = _mapped(functional.linear)
dropout = _mapped(functional.dropout)
alpha_dropout = _mapped(functional.alpha_dropout)

binary_cross_entropy = _loss(functional.binary_cross_entropy)
binary_cross_entropy_with_logits = _loss(functional.binary_cross_entropy_with_logits)
poisson_nll_loss = _loss(functional.poisson_nll_loss)
cross_entropy = _loss(functional.cross_entropy)
hinge_embedding_loss = _loss(functional.hinge_embedding_loss)
kl_div = _loss(functional.kl_div)
l1_loss = _loss(functional.l1_loss)
mse_loss = _loss(functional.mse_loss)
multilabel_margin_loss = _loss(functional.multilabel_margin_loss)
multilabel_soft_margin_loss = _loss(functional.multilabel_soft_margin_loss)
multi_margin_loss = _loss(functional.multi_margin_loss)
nll_loss = _loss(functional.nll_loss)
smooth_l1_loss = _loss(functional.smooth_l1_loss)
soft_margin_loss = _loss(functional.soft_margin_loss)

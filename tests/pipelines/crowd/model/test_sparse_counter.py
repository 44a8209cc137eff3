"""Our counter: sparse as dense, what the gate does, and both engines."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor

from pipelines.crowd.model import zero_inflated
from pipelines.crowd.model.sparse_counter import FINE, Maps, SparseCounter, expectation, spread
from sparse_backbones import engines

NATIVE = engines.load("native")


def counter(*, dense: bool = False, engine: ModuleType = NATIVE, halo: int = 1) -> SparseCounter:
    """A small one in evaluation mode whose weights, norms among them, are none of those it begins with."""
    network = SparseCounter(
        engine,
        widths=(4, 8, 8, 16, 16),
        blocks=(1, 1, 1, 1),
        decoder=(8, 12, 16),
        decoder_blocks=(1, 1, 1),
        halo=halo,
        dense=dense,
    )
    generator = torch.Generator().manual_seed(3)
    if not dense:
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                low, high = (0.5, 1.5) if "running_var" in name or value.ndim == 1 else (-0.3, 0.3)
                value.copy_(torch.rand(value.shape, generator=generator) * (high - low) + low)
    return network.eval()


def images(height: int = 64, width: int = 96) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_with_every_block_active_sparse_and_dense_are_equal() -> None:
    sparse, dense = counter(), counter(dense=True)
    dense.load_shared(sparse.shared_weights())
    every = torch.ones(2, 4, 6, dtype=torch.bool)
    with torch.inference_mode():
        ours, whole = sparse(images(), every), dense(images())
        features, _ = sparse.look(images())
        context = sparse.from_context(features.context)
        change = sparse._sparse_change(features, context, ours.refined)
    assert change.std() > 0.1  # else the decoder would have no say in the comparison
    torch.testing.assert_close(ours.coarse, whole.coarse)
    torch.testing.assert_close(ours.fine, whole.fine, atol=1e-4, rtol=1e-4)
    assert ours.refined.all() and whole.refined.all()


def test_gradients_of_sparse_and_dense_are_equal() -> None:
    sparse, dense = counter().train(), counter(dense=True).train()
    dense.load_shared(sparse.shared_weights())
    every = torch.ones(2, 4, 6, dtype=torch.bool)
    expectation(sparse(images(), every)).sum().backward()  # type: ignore[no-untyped-call]
    expectation(dense(images())).sum().backward()  # type: ignore[no-untyped-call]
    others = dict(dense.named_parameters())
    for name, parameter in sparse.named_parameters():
        if not name.startswith("decoder."):
            grad, other = parameter.grad, others[name].grad
            if grad is None or other is None:
                assert name.startswith("coarse.") and grad is other, name
                continue
            torch.testing.assert_close(grad, other, atol=2e-3, rtol=2e-3, msg=name)


def test_weights_go_to_the_dense_network_and_back_to_the_bit() -> None:
    sparse, dense, again = counter(), counter(dense=True), counter()
    dense.load_shared(sparse.shared_weights())
    again.load_shared(dense.shared_weights())
    for name, value in sparse.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_blocks_that_are_not_refined_count_as_the_coarse_level_says() -> None:
    network = counter()
    gate = torch.zeros(2, 4, 6, dtype=torch.bool)
    gate[0, 1, 2] = True
    with torch.inference_mode():
        maps = network(images(), gate)
        counts, variance = expectation(maps), spread(maps)
    assert maps.refined.sum() == 4 and maps.refined[0, 2:4, 4:6].all()
    coarse = zero_inflated.mean(*maps.coarse.unbind(1))
    of_blocks = counts.reshape(2, 4, 2, 6, 2).sum((2, 4))
    torch.testing.assert_close(of_blocks[~gate], coarse[~gate])
    torch.testing.assert_close(
        variance.reshape(2, 4, 2, 6, 2).sum((2, 4))[~gate],
        zero_inflated.variance(*maps.coarse.unbind(1))[~gate],
    )
    fine = zero_inflated.mean(*maps.fine.unbind(1))
    torch.testing.assert_close(counts[maps.refined], fine[maps.refined])


def test_an_image_without_an_active_block_counts_coarsely() -> None:
    network = counter()
    network.threshold = 1.0
    with torch.inference_mode():
        found = network.count(images())
        coarse = zero_inflated.mean(*network.look(images())[1].unbind(1))
    assert found.gate is not None and not found.gate.any()
    torch.testing.assert_close(found.counts.sum((1, 2)), coarse.sum((1, 2)))


def test_the_gate_opens_where_the_probability_of_nobody_leaves_enough() -> None:
    network = counter()
    logits = torch.tensor([[-3.0, 0.0, 2.0, 4.0]]).expand(1, 1, 4)
    coarse = torch.stack([logits, torch.zeros(1, 1, 4)], 1)
    network.threshold = 0.1  # 1 - pi is 0.95, 0.5, 0.12 and 0.018
    assert network.gate(coarse).tolist() == [[[True, True, True, False]]]


def test_what_lies_beyond_the_halo_has_no_say_in_an_active_block() -> None:
    """Features far from the block are changed after the stem, which sees far; near ones as a control."""
    network = counter()
    gate = torch.zeros(2, 4, 6, dtype=torch.bool)
    gate[0, 1, 1] = True
    with torch.inference_mode():
        features, coarse = network.look(images())
        before = network.refine(features, coarse, gate).fine[:, :, 2:4, 2:4]
        for column, changes in ((5, False), (4, True)):
            eighth = features.eighth.clone()
            eighth[:, :, :, column:] += 1
            after = network.refine(features._replace(eighth=eighth), coarse, gate).fine[:, :, 2:4, 2:4]
            assert torch.equal(before[0], after[0]) is not changes


def test_cost_follows_the_blocks() -> None:
    """The decoder gets the active blocks and their halo, and nothing else."""
    network, seen = counter(halo=1), list[int]()
    network.decoder.register_forward_pre_hook(lambda module, args: seen.append(len(args[0].F)))
    gate = torch.zeros(2, 4, 6, dtype=torch.bool)
    gate[0, 1, 1], gate[1, 0, 0] = True, True
    with torch.inference_mode():
        network(images(), gate)
    assert seen == [4 * 4 + 3 * 3]  # the second lies in a corner


def test_expectations_by_hand() -> None:
    """pi 1/2 everywhere; lambda 8 in the coarse block, 2 in its four fine ones."""
    coarse = torch.tensor([0.0, 8.0]).reshape(1, 2, 1, 1)
    coarse[:, 1].log_()
    fine = torch.tensor([0.0, 2.0]).reshape(1, 2, 1, 1).repeat(1, 1, 2, 2)
    fine[:, 1].log_()
    for refined, mean, variance in ((False, 1.0, 5.0), (True, 1.0, 2.0)):
        maps = Maps(coarse, fine, torch.full((1, 2, 2), refined))
        torch.testing.assert_close(expectation(maps), torch.full((1, 2, 2), mean))
        torch.testing.assert_close(spread(maps), torch.full((1, 2, 2), variance))


def test_the_loss_is_made_of_its_parts() -> None:
    network = counter().train()
    target = torch.zeros(2, 64 // FINE, 96 // FINE)
    target[0, 3, 4] = 2
    torch.manual_seed(0)
    found = network.losses(images(), target)
    parts = found["coarse"] + found["fine"] + 0.1 * found["gate"] + 0.1 * found["count"]
    torch.testing.assert_close(found["loss"], parts)
    assert all(part > 0 for part in found.values())


def test_both_engines_give_the_same() -> None:
    minkowski = pytest.importorskip(
        "sparse_backbones.engines.minkowski", reason="MinkowskiEngine is not installed", exc_type=ImportError
    )
    ours, other = counter(), counter(engine=minkowski)
    other.load_shared(ours.shared_weights())
    gate = torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(1)) < 0.4
    with torch.no_grad():
        torch.testing.assert_close(
            other(images(), gate).fine, ours(images(), gate).fine, atol=1e-4, rtol=1e-4
        )

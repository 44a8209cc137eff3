"""Both networks behind one interface, and what the study changes in a training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.wafer_openset import networks
from benchmarks.wafer_openset.networks import LATENT, Recipes, as_map, key
from benchmarks.wafer_openset.splits import make_split
from benchmarks.wafer_openset.variants import (
    Variant,
    loss_of,
    outlier_source,
    supervised_contrastive,
    train,
)
from pipelines.wafer.model.kinds import Dies
from tests.benchmarks.wafer_openset.double import die_maps

TRAIN, TEST = die_maps(96, 0), die_maps(40, 1)
SPLIT = make_split(TRAIN.labels, TEST.labels, ("Donut",), seed=0)
GRIDS = [TRAIN.grids[i] for i in SPLIT.train]
CLASSES = SPLIT.classes(TRAIN.labels[SPLIT.train])
RECIPES = Recipes(suite_epochs=1, maps_per_epoch=128, dense_epochs=1)


@pytest.mark.parametrize("name", ["suite", "dense"])
def test_layers_head_and_inputs_agree_and_a_training_is_kept(name: str, tmp_path: Path) -> None:
    said: list[str] = []
    make = getattr(networks, name)
    network = make(GRIDS, CLASSES, SPLIT, RECIPES, tmp_path, say=said.append)
    assert any("epoch 1/1" in line for line in said)
    # A map without a failing die, and more than one batch.
    grids = [*TEST.grids, np.ones((5, 5), dtype=np.uint8), *TEST.grids]
    layers = network.layers(grids)
    assert list(layers)[-1] == LATENT
    assert all(len(values) == 81 and np.isfinite(values).all() for values in layers.values())
    inputs, logits_of = network.inputs(grids[:40])
    with torch.no_grad():
        found = logits_of(inputs).numpy()
    np.testing.assert_allclose(found, layers[LATENT][:40] @ network.weight.T + network.bias, atol=1e-4)
    leaf = inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(logits_of(leaf).sum(), leaf)
    assert gradient.abs().sum() > 0

    said.clear()
    again = make(GRIDS, CLASSES, SPLIT, RECIPES, tmp_path, say=said.append)
    assert not any("epoch 1/1" in line for line in said)
    np.testing.assert_array_equal(again.weight, network.weight)


def test_layers_of_a_batch_without_any_site() -> None:
    network = networks.of_die_network(_untrained(), np.zeros(3))
    layers = network.layers([np.ones((4, 4), dtype=np.uint8)] * 3)
    assert {len(values) for values in layers.values()} == {3}
    assert not layers["native"].any()


def test_layers_are_those_of_each_map_alone() -> None:
    network = networks.of_die_network(_untrained(), np.zeros(3))
    together, alone = network.layers(TEST.grids[:5]), network.layers(TEST.grids[3:4])
    assert list(together) == ["native", "stage0", "stage1", "stage2", LATENT]
    for name, values in together.items():
        np.testing.assert_allclose(values[3:4], alone[name], atol=1e-5)


def test_a_training_is_named_by_all_that_decides_it() -> None:
    names = {
        key({"epochs": 1}, SPLIT, GRIDS),
        key({"epochs": 2}, SPLIT, GRIDS),
        key({"epochs": 1}, SPLIT, GRIDS[:-1]),
        key({"epochs": 1}, make_split(TRAIN.labels, TEST.labels, ("Donut",), seed=1), GRIDS),
        key({"epochs": 1}, make_split(TRAIN.labels, TEST.labels, ("Scratch",), seed=0), GRIDS),
    }
    assert len(names) == 5
    assert key({"epochs": 1}, SPLIT, GRIDS) in names


def test_a_map_is_encoded_as_it_is() -> None:
    batch = Dies().encode([as_map(TEST.grids[0])])
    assert len(batch.dies) == (TEST.grids[0] == 2).sum()


@pytest.mark.parametrize(
    "variant",
    [
        Variant("all", label_smoothing=0.1, contrast=0.5, centre=0.01, exposure="both", outliers=4),
        Variant("own", exposure="merged", background=True, outliers=4),
    ],
)
def test_a_variant_trains(variant: Variant) -> None:
    said: list[str] = []
    network = train(GRIDS[:64], CLASSES[:64], SPLIT, variant, epochs=1, say=said.append)
    assert network.weight.shape == (3 + variant.background, 128)
    assert math.isfinite(float(said[-1].split()[-1]))
    assert np.isfinite(network.layers(TEST.grids[:4])[LATENT]).all()


def test_the_contrastive_loss_is_the_papers() -> None:
    latent = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 0, 1, 1, 1, 2, 0])
    unit = latent / latent.norm(dim=1, keepdim=True)
    terms = []
    for i in range(7):
        same = [j for j in range(7) if j != i and targets[j] == targets[i]]
        others = sum(math.exp(float(unit[i] @ unit[a]) / 0.1) for a in range(7) if a != i)
        if same:
            terms.append(-np.mean([float(unit[i] @ unit[p]) / 0.1 - math.log(others) for p in same]))
    assert supervised_contrastive(latent, targets).item() == pytest.approx(np.mean(terms))
    assert supervised_contrastive(latent[:2], torch.tensor([0, 1])).item() == 0


def test_the_loss_is_the_sum_of_its_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, latent = torch.randn(6, 4, generator=generator), torch.randn(6, 5, generator=generator)
    targets, centres = torch.tensor([0, 1, 2, 0]), torch.zeros(3, 5)
    plain = loss_of(logits[:4], latent[:4], targets, Variant("x"), None)
    shares = logits.log_softmax(1)
    assert plain.item() == pytest.approx(-shares[torch.arange(4), targets].mean().item())
    centred = loss_of(logits[:4], latent[:4], targets, Variant("x", centre=0.2), centres)
    expected = 0.1 * latent[:4].square().sum(1).mean().item()
    assert centred.item() - plain.item() == pytest.approx(expected, rel=1e-4)
    uniform = loss_of(logits, latent, targets, Variant("x", exposure="both", exposure_weight=2), None)
    assert uniform.item() - plain.item() == pytest.approx(-2 * shares[4:].mean().item(), rel=1e-4)
    own = loss_of(logits, latent, targets, Variant("x", exposure="both", background=True), None)
    assert own.item() - plain.item() == pytest.approx(-0.5 * shares[4:, -1].mean().item(), rel=1e-4)


@pytest.mark.parametrize("exposure", ["synthetic", "merged", "both"])
def test_outliers_come_from_known_wafers(exposure: str) -> None:
    draw = outlier_source(GRIDS, CLASSES, SPLIT, exposure)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    drawn = [draw(rng) for _ in range(20)]
    assert all(grid.dtype == np.uint8 and grid.max() == 2 for grid in drawn)
    assert len({grid.tobytes() for grid in drawn}) > 15


def _untrained() -> torch.nn.Module:
    from sparse_backbones import engines

    torch.manual_seed(0)
    return Dies().build(engines.load("native"), 3, networks.ARCHITECTURE)

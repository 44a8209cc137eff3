"""The same network gives the same mask, whichever way it goes through the volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.medical_segment import contestants
from benchmarks.medical_segment.contestants import (
    CONTESTANTS,
    GROUPS,
    MARGIN,
    SPARSE,
    Contestant,
    brain_box,
    sites_of,
)
from benchmarks.medical_segment.data import prepared_volume, read_cases
from benchmarks.medical_segment.recipe import Recipe, make_plan
from pipelines.common.engines import load_engine
from pipelines.medical.config import NetworkName
from pipelines.medical.model.networks import Network
from pipelines.medical.model.trained import network_of
from pipelines.medical.prepare import Prepared
from tests.benchmarks.medical_segment.patients import SHAPE, write_patients

RECIPE = Recipe((16, 16, 16), (4, 8), 1)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("segment")
    case = read_cases(write_patients(folder / "data"), folder)[0]
    return prepared_volume(case, make_plan("dense-unet", RECIPE))


def network(name: NetworkName, prepared: Prepared, recipe: Recipe = RECIPE) -> Network:
    """Never trained; ours finds either class in half of the brain."""
    torch.manual_seed(1)
    found = network_of(make_plan(name, recipe), load_engine("native")).eval()
    if name == "dynunet":
        return found
    assert prepared.active is not None
    with torch.no_grad():
        logits = found(prepared.images[None], prepared.active[None])[0][0][:, prepared.active]
        weights = found.shared_weights()
        weights["decoder.heads.0.bias"] -= torch.tensor([0.0, float((logits[1] - logits[0]).median())])
        found.load_shared(weights)
    return found


def labels(one: Contestant, prepared: Prepared, recipe: Recipe = RECIPE) -> NDArray[np.uint8]:
    plan = make_plan(one.network, recipe)
    return one.segment(network(one.network, prepared, recipe), plan)(prepared)


def test_every_contestant_answers_on_the_stored_grid(prepared: Prepared) -> None:
    recipe = Recipe((16, 16, 16), (4, 8, 16), 1)  # the least that DynUNet takes
    for name, one in CONTESTANTS.items():
        found = labels(one, prepared, recipe)
        assert found.shape == SHAPE and found.dtype == np.uint8 and found.flags.f_contiguous, name
        assert set(np.unique(found)) <= {0, 1}, name


def test_blocks_give_what_one_pass_over_all_sites_gives(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = labels(Contestant("sparse-unet", "network"), prepared)
    active = prepared.from_canonical(prepared.active.numpy())  # type: ignore[union-attr]
    assert 0.4 < once[active].mean() < 0.6
    for memory in (8192, 64):
        monkeypatch.setattr(contestants, "MEMORY_MIB", memory)
        assert (labels(Contestant("sparse-unet", "suite"), prepared) == once).all()
    assert not once[~active].any()


def test_one_tile_by_either_window_is_the_network_itself(prepared: Prepared) -> None:
    recipe = Recipe((40, 36, 32), (4, 8), 1)
    with torch.inference_mode():
        grid = network("dense-unet", prepared, recipe)(prepared.images[None])[0][0].argmax(0)
    oracle = prepared.from_canonical(grid.numpy())
    assert 0.1 < oracle.mean() < 0.9
    for by in ("suite", "monai"):
        found = labels(Contestant("dense-unet", by), prepared, recipe)
        assert (found != oracle).mean() < 1e-4, by


def test_a_crop_leaves_only_background_out(prepared: Prepared) -> None:
    assert prepared.active is not None
    box = brain_box(prepared)
    outside = prepared.active.clone()
    outside[box] = False
    assert not outside.any()
    places = prepared.active.nonzero()
    for axis, part in enumerate(box):
        assert part.start == max(0, int(places[:, axis].min()) - MARGIN)
        assert part.stop == min(prepared.active.shape[axis], int(places[:, axis].max()) + 1 + MARGIN)


def test_without_active_voxels_the_box_is_the_volume(prepared: Prepared) -> None:
    for active in (None, torch.zeros(prepared.images.shape[1:], dtype=torch.bool)):
        empty = Prepared(prepared.images, active, prepared.turn, prepared.canonical_shape)
        assert prepared.images[0][brain_box(empty)].shape == prepared.images[0].shape


def test_sites_are_the_active_voxels_with_their_numbers(prepared: Prepared) -> None:
    rows, coordinates = sites_of(prepared)
    assert prepared.active is not None and len(rows) == int(prepared.active.sum())
    assert (coordinates[:, 0] == 0).all() and coordinates.dtype == torch.int32
    for row, (_, x, y, z) in zip(rows[::997], coordinates[::997].tolist(), strict=True):
        assert torch.equal(row, prepared.images[:, x, y, z])


def test_sparse_is_compared_in_every_group_in_both_formats() -> None:
    assert all(name in CONTESTANTS for group in GROUPS.values() for name in group)
    assert CONTESTANTS[SPARSE].network == "sparse-unet"
    for group in ("suite", "cropped", "MONAI"):
        formats = [one.precision for one in GROUPS[group].values()]
        assert formats.count("float32") == formats.count("bfloat16") > 0

"""The training maps that a model carries: which they are, their file, and what becomes of them in a refit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pipelines.common.models import ModelError
from pipelines.wafer.data import read_labelled
from pipelines.wafer.data.record import DieGrid
from pipelines.wafer.drawing import pack
from pipelines.wafer.examples import (
    EXAMPLES,
    MAX_DIES,
    MAX_POINTS,
    Examples,
    choose,
    encode,
    extended,
    gather,
    read_examples,
)
from pipelines.wafer.model.trained import load_trained
from pipelines.wafer.refit.examples import refitted_examples
from pipelines.wafer.train import train
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.conftest import Trained


@pytest.fixture(params=["tiny_dies", "tiny_coordinates"])
def made(request: pytest.FixtureRequest) -> Trained:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def points(count: int, centre: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, 1, (count, 3)).astype(np.float32)


def test_a_training_leaves_examples_of_every_class_from_its_own_maps(made: Trained) -> None:
    examples = read_examples(made.folder)
    assert examples is not None
    assert sorted(np.bincount(examples.classes)) == [12, 12, 18]  # all that were not held out
    assert made.metrics["examples"] == 42
    model = load_trained(made.folder)
    maps = [wafer for wafer, _ in read_labelled(made.data)]
    latents = model.measure(maps).latent
    for point, drawing in zip(examples.latent, examples.drawings, strict=True):
        place = np.linalg.norm(latents - point, axis=1).argmin()
        assert np.allclose(latents[place], point, atol=1e-4)
        assert json.loads(drawing)["n"] == len(maps[place].defects)
    assert "holds pictures of 42 of these maps" in (made.folder / "README.md").read_text()


def test_none_are_kept_if_none_are_wanted(tmp_path: Path) -> None:
    data = tiny.write_dies(tmp_path / "dies.npz", {"None": 8, "Edge": 8})
    train(data, tmp_path / "m", tiny.settings(tiny.DIES, epochs=1, maps_per_epoch=8, examples=0))
    assert read_examples(tmp_path / "m") is None
    assert load_trained(tmp_path / "m").labels == ("Edge", "None")
    assert "pictures" not in (tmp_path / "m" / "README.md").read_text()


def test_those_chosen_stand_for_all_of_their_class() -> None:
    latent = np.concatenate([points(30, at, seed=at) for at in (0, 50, 100)] + [points(3, 500)])
    classes = np.repeat([0, 2], [90, 3])
    rows = choose(latent, classes, 3)
    assert np.sort(rows[:3] // 30).tolist() == [0, 1, 2]  # one of each clump
    assert rows[3:].tolist() == [90, 91, 92]
    same = choose(np.zeros((9, 2), np.float32), np.zeros(9, np.int64), 4)
    assert len(same) == 1  # nine equal maps need one
    assert not len(choose(latent, classes, 0))


def test_the_file_stays_small_however_large_the_maps_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = tiny.die_map(rng.integers(1, 3, (300, 300)).astype(np.uint8))
    many = tiny.defect_map(
        rng.uniform(-100, 100, (20_000, 2)), dies=DieGrid.centred(np.ones((9, 9), np.uint8), 300)
    )
    small = tiny.die_map(rng.integers(1, 3, (60, 100)).astype(np.uint8))
    found = gather([wide, many, small], np.array([0, 1, 2]), points(3), points(3), 5)
    wide_, many_, small_ = (json.loads(drawing) for drawing in found.drawings)
    assert len(wide_["p"]) == len(many_["p"]) == MAX_POINTS * 16 // 3
    assert "g" not in wide_ and "g" not in many_ and many_["n"] == 20_000
    assert small_["g"][:2] == [60, 100] and MAX_DIES == 6_000
    maps, classes = [many] * 1_000, np.repeat(np.arange(10), 100)
    latent = np.random.default_rng(1).normal(0, 1, (1_000, 32)).astype(np.float32)
    network = np.repeat(latent, 4, axis=1)
    assert len(encode(gather(maps, classes, latent, network, 100))) < 1_000_000


def test_nearest() -> None:
    examples = Examples(np.array([[0.0, 3], [0, 1], [4, 0]], np.float32), np.array([0, 0, 1]), ("", "", ""))
    assert examples.nearest(np.zeros(2, np.float32), 2) == [(1, 1.0), (0, 3.0)]
    assert examples.nearest(np.zeros(5, np.float32), 2) == []  # of another model


def test_more_examples_are_added_and_thinned() -> None:
    old = Examples(points(6), np.repeat([0, 1], 3), tuple("abcdef"), points(6) + 1)
    new = Examples(points(2, 90), np.array([1, 2]), ("x", "y"), points(2, 90) + 1)
    both = extended(old, new, 2)
    assert np.bincount(both.classes).tolist() == [2, 2, 1]
    assert {"x", "y"} <= set(both.drawings)
    np.testing.assert_array_equal(both.network, both.latent + 1)
    assert not len(extended(replace(old, network=np.empty((0, 0), np.float32)), new, 2).network)


def test_examples_move_with_the_mixture(tiny_coordinates: Trained) -> None:
    model = load_trained(tiny_coordinates.folder)
    maps = [wafer for wafer, _ in read_labelled(tiny_coordinates.data)][:6]
    seen = model.look(maps)
    wide = replace(seen, latent=seen.latent * 5, shape=seen.shape * 5)
    grown = replace(model, novelty=model.novelty.with_classes(wide, np.arange(6) % 2))
    settings = tiny.settings(tiny.COORDINATES)
    found = refitted_examples(tiny_coordinates.folder, model, grown, maps, np.zeros(6, np.int64), settings)
    before = read_examples(tiny_coordinates.folder)
    assert found is not None and before is not None
    at = next(place for place, drawing in enumerate(found.drawings) if drawing == before.drawings[-1])
    (there,) = [
        wafer for wafer, _ in read_labelled(tiny_coordinates.data) if pack(wafer) == found.drawings[at]
    ]
    assert np.allclose(found.latent[at], grown.measure([there]).latent[0], rtol=1e-3, atol=1e-3)
    assert not np.allclose(found.latent[at], before.latent[-1], rtol=0.1)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"label": np.array([0, 1, 9])}, "a label that cannot be"),
        ({"label": np.array([0])}, "do not go together"),
        ({"latent": np.zeros(3, np.float32)}, "do not go together"),
        ({"latent": np.full((3, 2), np.nan, np.float32)}, "cannot be"),
        ({"ends": np.array([2, 1, 3])}, "cut short"),
        ({"ends": np.array([1, 2, 9])}, "cut short"),
        ({"drawings": np.array([200, 201, 202], np.uint8)}, "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused(
    changed: dict[str, np.ndarray] | None, says: str, tiny_dies: Trained, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes((tiny_dies.folder / "config.json").read_bytes())
    path = tmp_path / EXAMPLES
    path.write_bytes(encode(Examples(np.zeros((3, 2), np.float32), np.arange(3), ("a", "b", "c"))))
    found = read_examples(tmp_path)
    assert found is not None and found.drawings == ("a", "b", "c")
    if changed is None:
        path.write_bytes(b"\x80\x04N.")
    else:
        save_file({**load_file(path), **changed}, path)
    with pytest.raises(ModelError, match=says):
        read_examples(tmp_path)

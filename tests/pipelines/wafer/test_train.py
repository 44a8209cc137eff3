"""From labelled maps to a model folder, and what is wrong with maps or settings in words."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.model_selection import train_test_split
from typer.testing import CliRunner

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError
from pipelines.wafer.data import read_labelled
from pipelines.wafer.evaluate import scores
from pipelines.wafer.model.trained import load_trained
from pipelines.wafer.novelty import QUANTILES
from pipelines.wafer.train import _fingerprint, train
from suite.cli import app
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.conftest import Trained


@pytest.fixture(params=["tiny_dies", "tiny_coordinates"])
def made(request: pytest.FixtureRequest) -> Trained:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_a_training_leaves_one_whole_folder(made: Trained) -> None:
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "README.md",
        "config.json",
        "examples.safetensors",
        "metrics.json",
        "model.safetensors",
    ]
    assert sorted(path.name for path in made.folder.parent.iterdir()) == sorted(
        [made.folder.name, made.data.name]
    )
    modes = {path.stat().st_mode & 0o777 for path in made.folder.iterdir()}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {0o666 & ~umask}


def test_the_card_names_data_terms_seed_and_command(made: Trained) -> None:
    card = (made.folder / "README.md").read_text()
    assert f"`{made.data.name}`" in card
    assert "Terms: made up." in card
    assert "seed 3" in card
    assert f"    suite wafer train {made.data.name} --out {made.folder.name}\n" in card


def test_the_metrics_are_written_and_returned(made: Trained) -> None:
    written = json.loads((made.folder / "metrics.json").read_text())
    assert written == json.loads(json.dumps(made.metrics))
    assert written.keys() == {
        "held_out",
        "held_out_ece_before_temperature",
        "mixtures",
        "novelty",
        "threshold",
        "maps",
        "examples",
        "maps_per_class",
        "parameters",
        "seconds",
        "environment",
        "command",
    }
    assert written["held_out"].keys() == {"accuracy", "macro_f1", "ece", "per_class", "confusion"}
    assert written["maps"] == {"train": 42, "held_out": 14}
    assert sum(written["maps_per_class"].values()) == 56
    assert {one["covariance"] for one in written["mixtures"]} == {"full", "tied"}
    assert written["environment"]["torch"]
    weights = load_file(made.folder / "model.safetensors")
    model = load_trained(made.folder)
    assert written["parameters"] == sum(one.numel() for one in model.network.parameters())
    assert {name.split(".")[0] for name in weights} == {"network", "mixture", "novelty", "prior_shift"}


def test_held_out_maps_are_shared_out_by_class(made: Trained) -> None:
    support = {name: of["support"] for name, of in made.metrics["held_out"]["per_class"].items()}
    assert sorted(support.values()) == [4, 4, 6]


def test_the_stored_model_is_as_right_as_its_metrics_say(made: Trained) -> None:
    maps, names = zip(*read_labelled(made.data), strict=True)
    _, held = train_test_split(range(56), test_size=14, stratify=names, random_state=3)
    model, truth = load_trained(made.folder), [names[row] for row in sorted(held)]
    probabilities, _ = model.run([maps[row] for row in sorted(held)])
    predicted = [model.labels[place] for place in probabilities.argmax(1)]
    found = scores(truth, predicted, probabilities.max(1))
    assert found["confusion"] == made.metrics["held_out"]["confusion"]
    assert found["ece"] == pytest.approx(made.metrics["held_out"]["ece"], abs=1e-5)
    # No other temperature makes these maps more likely.
    place = [model.labels.index(name) for name in truth]

    def loss(temperature: float) -> float:
        chances, _ = replace(model, temperature=temperature).run([maps[row] for row in sorted(held)])
        return -float(np.log(chances[range(14), place]).mean())

    assert loss(model.temperature) <= min(
        loss(model.temperature * factor) for factor in (0.8, 0.95, 1.05, 1.25)
    )


def test_what_is_held_out_sets_the_threshold(tiny_dies: Trained) -> None:
    """The quantiles stored with the model are those of 14 of its maps."""
    model = load_trained(tiny_dies.folder)
    _, scores = model.run([wafer for wafer, _ in read_labelled(tiny_dies.data)])
    known = model.novelty.known
    for edge in (known[0], known[-1]):
        assert np.abs(scores - edge).min() < 1e-3
    assert len(known) == QUANTILES
    assert model.novelty.parts.shape == (2, 14)


def test_it_says_how_far_it_is(made: Trained) -> None:
    assert made.said[0] == f"reading {made.data}"
    assert [line.split(":")[0] for line in made.said[1:4]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert made.said[4:] == ["calibrating on held-out maps", "fitting the Gaussian mixtures"]


def test_the_kind_follows_the_data(tmp_path: Path) -> None:
    quick = {"epochs": 1, "maps_per_epoch": 8}
    dies = tiny.write_dies(tmp_path / "dies.npz", {"None": 8, "Edge": 8})
    train(dies, tmp_path / "a", tiny.settings({**tiny.DIES, "kind": "auto"}, **quick))
    assert load_trained(tmp_path / "a").kind.name == "dies"
    points = tiny.write_defects(tmp_path / "points.npz", {"normal": 8, "ring": 8})
    train(points, tmp_path / "b", tiny.settings({**tiny.COORDINATES, "kind": "auto"}, **quick))
    assert load_trained(tmp_path / "b").kind.name == "coordinates"
    with pytest.raises(UserError, match="kind=dies needs die results, which 16 of 16 maps do not have"):
        train(points, tmp_path / "c", tiny.settings(tiny.DIES, **quick))


def test_a_label_of_ones_own_may_mean_normal(tmp_path: Path) -> None:
    data = tiny.write_defects(tmp_path / "a.npz", {"ring": 8, "center": 8})
    quick = {"epochs": 1, "maps_per_epoch": 8}
    train(data, tmp_path / "a", tiny.settings(tiny.COORDINATES, **quick))
    assert load_trained(tmp_path / "a").normal is None
    train(data, tmp_path / "b", tiny.settings(tiny.COORDINATES, **quick, normal_label="ring"))
    assert load_trained(tmp_path / "b").normal == "ring"
    with pytest.raises(UserError, match="normal_label 'rings' is no class of the data: center, ring"):
        train(data, tmp_path / "c", tiny.settings(tiny.COORDINATES, **quick, normal_label="rings"))


class Stopped(Exception):
    pass


def stop(text: str) -> None:
    if text == "calibrating on held-out maps" or text.startswith("epoch 2"):
        raise Stopped


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_stopped_training_goes_on_to_the_same_model(epochs: int, tmp_path: Path) -> None:
    data = tiny.write_dies(tmp_path / "dies.npz", {"None": 12, "Edge": 12})
    config = tiny.settings(tiny.DIES, epochs=epochs, maps_per_epoch=16)
    train(data, tmp_path / "whole", config)
    with pytest.raises(Stopped):
        train(data, tmp_path / "model", config, progress=stop)
    assert not (tmp_path / "model").exists()
    assert (tmp_path / ".model.training" / "checkpoint.safetensors").is_file()
    with pytest.raises(UserError, match="another training"):
        train(data, tmp_path / "model", config.model_copy(update={"learning_rate": 0.5}), resume=True)
    said: list[str] = []
    train(data, tmp_path / "model", config, resume=True, progress=said.append)
    assert "going on after epoch 1" in said
    assert not (tmp_path / ".model.training").exists()
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "model"))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_checkpoint_belongs_to_its_data_and_settings(tmp_path: Path) -> None:
    data = tiny.write_defects(tmp_path / "a.npz", tiny.DEFECT_SIZES)
    config = tiny.settings(tiny.COORDINATES)
    before = _fingerprint(data, config)
    harmless = {"threads": 2, "max_bytes": 1, "notes": "more"}
    assert _fingerprint(data, config.model_copy(update=harmless)) == before
    assert _fingerprint(data, config.model_copy(update={"learning_rate": 0.5})) != before
    tiny.write_defects(data, {"ring": 30, "center": 30})
    assert _fingerprint(data, config) != before


def test_without_resume_it_starts_anew(tmp_path: Path) -> None:
    data = tiny.write_dies(tmp_path / "dies.npz", {"None": 8, "Edge": 8})
    config = tiny.settings(tiny.DIES, epochs=2, maps_per_epoch=8)
    with pytest.raises(Stopped):
        train(data, tmp_path / "model", config, progress=stop)
    said: list[str] = []
    train(data, tmp_path / "model", config, progress=said.append)
    assert any(line.startswith("epoch 1/2") for line in said)


def test_a_model_is_not_replaced_unless_asked(tmp_path: Path, tiny_dies: Trained) -> None:
    with pytest.raises(ModelError, match="--overwrite"):
        train(tiny_dies.data, tiny_dies.folder, tiny.settings(tiny.DIES))
    data = tiny.write_dies(tmp_path / "dies.npz", {"None": 8, "Edge": 8})
    for seed in (1, 2):
        train(data, tmp_path / "m", tiny.settings(tiny.DIES, epochs=1, seed=seed), overwrite=seed == 2)
    assert json.loads((tmp_path / "m" / "config.json").read_text())["training"]["seed"] == 2


@pytest.mark.parametrize(
    ("sizes", "changed", "says"),
    [
        ({"ring": 12}, {}, "at least two classes; all maps are labelled 'ring'"),
        ({"ring": 12, "center": 3}, {}, "class 'center' has 3 maps; each class needs at least 4"),
        ({"ring": 4, "center": 4}, {"held_out": 0.9}, "held_out=0.9 leaves too few of the 8 maps"),
        ({"ring": 50, "center": 4}, {"held_out": 0.9}, "held_out=0.9 leaves no map of class 'center'"),
        (tiny.DEFECT_SIZES, {"architecture": {"depth": 3}}, "takes stem_channels, channels, blocks, latent"),
        (tiny.DEFECT_SIZES, {"architecture": {"channels": [4, 4]}}, "4 numbers of blocks for 2 stages"),
        (tiny.DEFECT_SIZES, {"architecture": {"channels": "wide"}}, "no network can be built"),
        (tiny.DEFECT_SIZES, {"architecture": {"latent": -4}}, "no network can be built"),
        (tiny.DEFECT_SIZES, {"architecture": {"stem_channels": []}}, "no network can be built"),
        (tiny.DEFECT_SIZES, {"architecture": {"resolution": 64}}, "no network can be built"),
    ],
)
def test_what_cannot_be_trained_is_said(
    sizes: dict[str, int], changed: dict[str, Any], says: str, tmp_path: Path
) -> None:
    data = tiny.write_defects(tmp_path / "a.npz", sizes)
    with pytest.raises(UserError, match=says):
        train(data, tmp_path / "model", tiny.settings(tiny.COORDINATES, **changed))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_data_that_is_none_is_said(tmp_path: Path) -> None:
    config = tiny.settings(tiny.COORDINATES)
    unlabelled = tiny.write_defects(tmp_path / "a.npz", tiny.DEFECT_SIZES, labelled=False)
    with pytest.raises(UserError, match="the data set has no labels"):
        train(unlabelled, tmp_path / "model", config)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is no data set"):
        train(tmp_path / "folder", tmp_path / "model", config)
    tiny.write_defects(tmp_path / "none.npz", {"ring": 1})
    arrays = dict(np.load(tmp_path / "none.npz"))
    empty = {name: value[:0] for name, value in arrays.items()}
    np.savez(tmp_path / "none.npz", **empty)
    with pytest.raises(UserError, match="holds no labelled map"):
        train(tmp_path / "none.npz", tmp_path / "model", config)


@pytest.mark.parametrize("count", [4, 6])
def test_few_maps_are_enough(count: int, tmp_path: Path) -> None:
    """The defaults ask for up to 32 components; a small data set gets what it can bear."""
    data = tiny.write_defects(tmp_path / "a.npz", {"ring": count, "center": count})
    config = tiny.settings(
        tiny.COORDINATES, epochs=1, components=(8, 16, 24, 32), novelty_dimension=32, held_out=0.1
    )
    metrics = train(data, tmp_path / "model", config)
    assert metrics["maps"] == {"train": 2 * count - 2, "held_out": 2}
    assert load_trained(tmp_path / "model").labels == ("center", "ring")


def test_maps_without_a_defect_can_be_learnt_from(tmp_path: Path) -> None:
    data = tiny.write_defects(tmp_path / "a.npz", {"normal": 12, "ring": 12})
    arrays = dict(np.load(data))
    arrays["counts"][arrays["label"] == "normal"] = 0
    np.savez(data, **arrays)
    train(data, tmp_path / "model", tiny.settings(tiny.COORDINATES, epochs=1))
    assert load_trained(tmp_path / "model").normal == "normal"


def test_the_command_records_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny.write_dies(tmp_path / "my dies.npz", {"None": 8, "Edge": 8})
    (tmp_path / "recipe.json").write_text(
        tiny.settings(tiny.DIES, epochs=1, maps_per_epoch=8).model_dump_json()
    )
    arguments = ["wafer", "train", str(data), "--out", str(tmp_path / "m"), "--seed", "9"]
    arguments += ["--config", str(tmp_path / "recipe.json"), "--json", "--quiet", "--resume"]
    monkeypatch.setattr("sys.argv", ["suite", *arguments])
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["metrics"]["maps"]["train"] == 12
    card = (tmp_path / "m" / "README.md").read_text()
    assert f"    suite wafer train '{data}' --out {tmp_path / 'm'} --seed 9 --config" in card
    assert "--resume" not in card
    assert "seed 9" in card


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("architecture.depth=3", "takes native_channels, native_blocks, channels"),
        ("components=[]", "components"),
        ("components=[0]", "components"),
        ("covariances=[]", "covariances"),
        ("epochs=0", "epochs"),
    ],
)
def test_wrong_settings_end_the_command_with_2(wrong: str, says: str, tmp_path: Path) -> None:
    data = tiny.write_dies(tmp_path / "dies.npz", {"None": 8, "Edge": 8})
    arguments = ["wafer", "train", str(data), "--out", str(tmp_path / "m"), "--set", wrong, "--quiet"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert not (tmp_path / "m").exists()

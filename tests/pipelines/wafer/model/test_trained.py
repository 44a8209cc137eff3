"""Model folders: what is stored is what runs, and what is no model is refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.models import ModelError, bundled_models
from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.data.record import FAIL, PASS
from pipelines.wafer.model.trained import load_trained
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.conftest import Trained

minkowski_warns = pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:<class 'sparse_matrix_functions.Minkowski:DeprecationWarning",
)
MODELS = ["tiny_dies", "tiny_coordinates"]


@pytest.fixture(params=MODELS)
def made(request: pytest.FixtureRequest) -> Trained:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def maps_of(made: Trained) -> list[WaferMap]:
    return [wafer for wafer, _ in read_labelled(made.data)]


def test_a_model_is_what_was_trained(made: Trained) -> None:
    model = load_trained(made.folder)
    config = json.loads((made.folder / "config.json").read_text())
    assert model.name == made.folder.name
    assert model.labels == tuple(config["labels"])
    assert model.normal in ("None", "normal")
    assert model.kind.name == config["kind"]
    assert model.kind.settings() == config["preprocessing"]
    assert model.temperature == config["temperature"]
    assert model.false_alarm_rate == 0.01
    assert model.novelty.threshold(0.01) == pytest.approx(made.metrics["threshold"])
    assert not model.network.training
    assert len(model.sha256) == 64


def test_probabilities_and_scores(made: Trained) -> None:
    model, maps = load_trained(made.folder), maps_of(made)[:20]
    probabilities, scores = model.run(maps)
    assert (probabilities.shape, scores.shape) == ((20, 3), (20,))
    assert probabilities.sum(1) == pytest.approx(1)
    seen = model.look(maps)
    np.testing.assert_allclose(probabilities, seen.probabilities(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scores, model.novelty.score(seen), rtol=1e-4, atol=1e-4)


def test_the_shift_and_the_temperature_take_effect(made: Trained) -> None:
    model, maps = load_trained(made.folder), maps_of(made)[:6]
    plain, _ = model.run(maps)
    towards, _ = replace(model, prior_shift=model.prior_shift + torch.tensor([0.0, 50.0, 0.0])).run(maps)
    assert (towards.argmax(1) == 1).all()
    hot, _ = replace(model, temperature=1e9).run(maps)
    assert hot == pytest.approx(np.full_like(hot, 1 / 3), abs=1e-6)
    assert (plain.max(1) >= hot.max(1)).all()


@minkowski_warns
def test_both_engines_agree(made: Trained, minkowski: ModuleType) -> None:
    maps = maps_of(made)[:12]
    ours, theirs = (load_trained(made.folder, engine=name).run(maps) for name in ("native", "minkowski"))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@minkowski_warns
@pytest.mark.parametrize("engine", ["native", "minkowski"])
def test_a_map_whose_dies_all_pass_gets_finite_numbers(
    engine: str, tiny_dies: Trained, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(engine)
    passing = tiny.die_map(np.full((9, 9), PASS, np.uint8))
    one_fails = tiny.die_map(np.pad(np.full((1, 1), FAIL, np.uint8), 4, constant_values=PASS))
    model = load_trained(tiny_dies.folder, engine=engine)
    alone, together = model.run([passing]), model.run([one_fails, passing])
    for one, both in zip(alone, together, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one[0], both[1], rtol=1e-4, atol=1e-4)


Config = dict[str, Any]
Tensors = dict[str, Tensor]
HOSTILE: dict[str, Callable[[Config, Tensors], object]] = {
    "a weight is missing": lambda config, tensors: tensors.pop("network.body.classifier.weight"),
    "a mixture without centres": lambda config, tensors: tensors.pop("mixture.centres"),
    "no prior shift": lambda config, tensors: tensors.pop("prior_shift"),
    "a weight too many": lambda config, tensors: tensors.update({"network.more": torch.zeros(1)}),
    "a weight of another shape": lambda config, tensors: tensors.update(
        {"network.body.classifier.weight": torch.zeros(2, 2)}
    ),
    "a shift of one number": lambda config, tensors: tensors.update({"prior_shift": torch.zeros(1)}),
    "a mixture of another latent": lambda config, tensors: tensors.update(
        {"mixture.mean": torch.zeros(5), "mixture.axes": torch.zeros(5, 4)}
    ),
    "a mixture that does not fit itself": lambda config, tensors: tensors.update(
        {"mixture.log_weights": torch.zeros(9)}
    ),
    "no novelty": lambda config, tensors: tensors.pop("novelty.mixture.owner"),
    "a novelty of other classes": lambda config, tensors: tensors["novelty.mixture.owner"].fill_(0),
    "a novelty of another latent": lambda config, tensors: tensors.update(
        {
            "novelty.mixture.mean": torch.zeros(5),
            "novelty.mixture.spread": torch.ones(5),
            "novelty.mixture.axes": torch.zeros(5, tensors["novelty.mixture.axes"].shape[1]),
        }
    ),
    "a novelty that does not fit itself": lambda config, tensors: tensors.update(
        {"novelty.mixture.log_weights": torch.zeros(9)}
    ),
    "parts that fall": lambda config, tensors: tensors.update(
        {"novelty.parts": tensors["novelty.parts"].flip(1)}
    ),
    "scores that fall": lambda config, tensors: tensors.update(
        {"novelty.known": tensors["novelty.known"].flip(0)}
    ),
    "a weight that is no number": lambda config, tensors: tensors["network.body.classifier.bias"].fill_(
        float("nan")
    ),
    "another task": lambda config, tensors: config.update(task="crowd"),
    "a schema to come": lambda config, tensors: config.update(schema_version=99),
    "no labels": lambda config, tensors: config.pop("labels"),
    "too few labels": lambda config, tensors: config.update(labels=config["labels"][:2]),
    "a label twice": lambda config, tensors: config.update(labels=["None", "None", "Edge"]),
    "labels that are one text": lambda config, tensors: config.update(labels="abc"),
    "labels that are numbers": lambda config, tensors: config.update(labels=[1, 2, 3]),
    "a normal label that is none": lambda config, tensors: config.update(normal_label="fine"),
    "no temperature": lambda config, tensors: config.pop("temperature"),
    "a temperature that is no number": lambda config, tensors: config.update(temperature=float("nan")),
    "a temperature of zero": lambda config, tensors: config.update(temperature=0),
    "an endless temperature": lambda config, tensors: config.update(temperature=float("inf")),
    "a temperature beyond all floats": lambda config, tensors: config.update(temperature=10**400),
    "a temperature in words": lambda config, tensors: config.update(temperature="warm"),
    "a false-alarm rate above one": lambda config, tensors: config.update(false_alarm_rate=2),
    "a false-alarm rate that is no number": lambda config, tensors: config.update(
        false_alarm_rate=float("nan")
    ),
    "an unknown kind": lambda config, tensors: config.update(kind="pictures"),
    "a kind that is a list": lambda config, tensors: config.update(kind=["dies"]),
    "no preprocessing": lambda config, tensors: config.pop("preprocessing"),
    "preprocessing of another kind": lambda config, tensors: config.update(preprocessing={"pixels": 3}),
    "an unknown size": lambda config, tensors: config["architecture"].update(depth=3),
    "sizes that are no numbers": lambda config, tensors: config["architecture"].update(channels="ab"),
    "a negative size": lambda config, tensors: config["architecture"].update(latent=-1),
    "stages without blocks": lambda config, tensors: config["architecture"].update(blocks=[1]),
    "no architecture": lambda config, tensors: config.update(architecture=None),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("name", MODELS)
def test_what_is_no_model_is_refused(
    what: str, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made: Trained = request.getfixturevalue(name)
    folder = tmp_path / "model"
    shutil.copytree(made.folder, folder)
    config, tensors = (
        json.loads((folder / "config.json").read_text()),
        load_file(folder / "model.safetensors"),
    )
    HOSTILE[what](config, tensors)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError) as error:
        load_trained(folder)
    assert "model" in str(error.value)


def test_a_model_of_an_earlier_version_says_what_to_do(tiny_dies: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_dies.folder, folder)
    tensors = load_file(folder / "model.safetensors")
    old = {name: value for name, value in tensors.items() if not name.startswith(("mixture.", "novelty."))}
    save_file(old | {"novelty.mean": torch.zeros(8)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"earlier version.*train anew.*renew .*model DATA"):
        load_trained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"\x00\xff" * 50, b"[1, 2]"])
def test_a_damaged_folder_is_refused(
    name: str, content: bytes | None, tmp_path: Path, tiny_dies: Trained
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_dies.folder, folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_trained(folder)


def test_an_engine_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tiny_dies: Trained) -> None:
    def absent(name: str) -> ModuleType:
        raise ImportError("MinkowskiEngine is not installed: run scripts/install")

    monkeypatch.setattr("sparse_backbones.engines.load", absent)
    with pytest.raises(UserError, match="run scripts/install"):
        load_engine("minkowski")
    with pytest.raises(UserError, match="run scripts/install"):
        load_trained(tiny_dies.folder, engine="minkowski")


def test_both_models_are_bundled() -> None:
    assert {"wm811k", "wdm-fullres"} <= {folder.name for folder in bundled_models("wafer")}


@minkowski_warns
def test_bundled_models_load_and_say_what_they_learnt_from(
    engine: ModuleType, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["engine"]
    rng = np.random.default_rng(0)
    maps = {
        "dies": [tiny.die_map(tiny.toy_grid(rng, "Edge")) for _ in range(2)],
        "coordinates": [tiny.defect_map(tiny.toy_defects(rng, "ring")) for _ in range(2)],
    }
    for folder in bundled_models("wafer"):
        model = load_trained(folder, engine=name)
        probabilities, scores = model.run(maps[model.kind.name])
        assert probabilities.sum(1) == pytest.approx(1)
        assert np.isfinite(scores).all()
        assert model.normal in model.labels
        card = (folder / "README.md").read_text()
        training = json.loads((folder / "config.json").read_text())["training"]
        metrics = json.loads((folder / "metrics.json").read_text())
        assert training["data_terms"] in card
        assert "not stated" not in training["data_terms"]
        assert f"seed {training['seed']}" in card
        assert "Trained on `" in card
        assert metrics["command"].startswith("suite wafer train ")
        assert metrics["command"] in card
        assert "SYNTHETIC" in card or "WM-811K" in card

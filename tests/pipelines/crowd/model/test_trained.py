"""Model folders of networks that count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.common.models import CONFIG, ModelError
from pipelines.crowd.config import NetworkPlan
from pipelines.crowd.model.networks import build_network
from pipelines.crowd.model.trained import load_trained, save_trained
from sparse_backbones import engines

SMALL: dict[str, Any] = {"widths": (4, 4, 8, 8, 8), "blocks": (0, 0, 0, 0), "decoder": (8, 8, 8)}


def saved(folder: Path, name: str) -> Path:
    torch.manual_seed(0)
    plan = NetworkPlan.model_validate({"name": name, **SMALL, "threshold": 0.4})
    network = build_network(plan, engines.load("native"))
    save_trained(
        folder,
        plan=plan,
        weights=network.shared_weights(),
        training={"epochs": 1},
        metrics={"mae": 1.0},
        card="# A card",
        calibration={"interval.quantile": torch.tensor([1.1, 2.3], dtype=torch.float64)},
    )
    return folder


def edited(folder: Path, **changes: Any) -> Path:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | changes))
    return folder


@pytest.mark.parametrize("name", ["sparse-counter", "dense-counter", "mcnn"])
def test_a_model_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    model = load_trained(saved(tmp_path / "model", name))
    torch.manual_seed(0)
    network = build_network(model.plan, engines.load("native"))
    network.load_shared(
        {
            key: value.half().float() if value.is_floating_point() else value
            for key, value in network.shared_weights().items()
        }
    )
    images = torch.randn(1, 3, 40, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            model.network.count(images).counts, network.eval().count(images).counts, atol=1e-6, rtol=1e-5
        )
    assert model.plan.name == name and model.plan.threshold == 0.4
    assert model.calibration["interval.quantile"].tolist() == [1.1, 2.3]
    assert not model.network.training and len(model.sha256) == 64


@pytest.mark.parametrize("name", ["sparse-counter", "dense-counter"])
def test_our_counter_runs_sparse_or_dense_whatever_it_was_saved_as(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "model", name)
    sparse, dense = load_trained(folder, dense=False), load_trained(folder, dense=True)
    assert (sparse.plan.name, dense.plan.name) == ("sparse-counter", "dense-counter")
    images, every = torch.randn(1, 3, 64, 64), torch.ones(1, 4, 4, dtype=torch.bool)
    with torch.inference_mode():
        torch.testing.assert_close(
            sparse.network(images, every).fine, dense.network(images).fine, atol=1e-5, rtol=1e-4
        )


def test_other_networks_have_no_sparse_decoder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a mcnn, which has no sparse decoder"):
        load_trained(saved(tmp_path / "model", "mcnn"), dense=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"name": "resnet"}}, "names no valid network"),
        ({"network": {"name": "mcnn", "depth": 3}}, "names no valid network"),
        ({"network": None}, "names no valid network"),
        ({"network": {"name": "m-segnet"}}, "is damaged"),
        ({"task": "wafer"}, "is for the task 'wafer'"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = edited(saved(tmp_path / "model", "mcnn"), **changes)
    with pytest.raises(ModelError, match=message):
        load_trained(folder)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    plan = NetworkPlan(name="mcnn")
    weights = build_network(plan, engines.load("native")).shared_weights()
    weights["join.bias"] = torch.full_like(weights["join.bias"], torch.nan)
    save_trained(tmp_path / "m", plan=plan, weights=weights, training={}, metrics={}, card="")
    with pytest.raises(ModelError, match=r"network\.join\.bias holds a value that is not a finite number"):
        load_trained(tmp_path / "m")


def test_calibration_has_names_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must not be named like weights"):
        save_trained(
            tmp_path / "m",
            plan=NetworkPlan(),
            weights={},
            training={},
            metrics={},
            card="",
            calibration={"network.x": torch.zeros(1)},
        )

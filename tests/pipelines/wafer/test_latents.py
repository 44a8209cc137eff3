from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.wafer.classify import classify
from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.latents import LATENTS, LatentFile, read_latents
from pipelines.wafer.model.trained import load_trained
from pipelines.wafer.predict import Prediction, Predictor
from tests.pipelines.wafer.conftest import Trained
from tests.pipelines.wafer.double import Double
from tests.pipelines.wafer.test_classify import write_maps


class WithLatents(Double):
    """Gives each map its number of defects as latent, twice."""

    def predict(self, maps: Sequence[WaferMap]) -> list[Prediction]:
        return [
            replace(one, latent=np.full(2, len(wafer.defects), np.float32))
            for one, wafer in zip(super().predict(maps), maps, strict=True)
        ]


def read(run: Path) -> dict[int, list[float]]:
    return {place: vector.tolist() for (_, place), (_, vector) in read_latents(run).items()}


def test_a_run_leaves_a_latent_per_map(tmp_path: Path) -> None:
    maps = write_maps(tmp_path / "a.npz", [3, 17, 25])
    classify([maps], predictor=WithLatents(), out=tmp_path / "run")
    assert read(tmp_path / "run") == {0: [3, 3], 1: [17, 17], 2: [25, 25]}
    rows = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    found = read_latents(tmp_path / "run")
    assert [found[row["source"], row["map"]][0] for row in rows] == [row["item"] for row in rows]


def test_a_run_that_was_killed_goes_on_with_its_latents(tmp_path: Path) -> None:
    maps, run = write_maps(tmp_path / "a.npz", [3, 17, 25]), tmp_path / "run"
    classify([maps], predictor=WithLatents(), out=run)
    # As a kill leaves it: latents of two maps and half of a third, and the row of one.
    rows = (run / "results.jsonl").read_bytes().splitlines(keepends=True)
    (run / "results.jsonl").write_bytes(rows[0])
    lines = (run / LATENTS).read_bytes().splitlines(keepends=True)
    (run / LATENTS).write_bytes(lines[0] + lines[1] + lines[2][:40])
    model = WithLatents()
    classify([maps], predictor=model, out=run, resume=True)
    assert model.asked == 2
    assert read(run) == {0: [3, 3], 1: [17, 17], 2: [25, 25]}
    assert [len(line) for line in (run / LATENTS).read_text().splitlines()][2] > 40  # nothing torn is left


def test_a_run_that_is_replaced_or_came_to_nothing_leaves_no_old_latents(tmp_path: Path) -> None:
    maps, run = write_maps(tmp_path / "a.npz", [3, 17]), tmp_path / "run"
    classify([maps], predictor=WithLatents(), out=run)
    classify([maps], predictor=Double(), out=run, overwrite=True)
    assert not (run / LATENTS).exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError):
        classify([tmp_path / "none"], predictor=WithLatents(), out=run, overwrite=True)
    assert not (run / LATENTS).exists()


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"source":"a","map":1,"item":"x","latent":"%%"}',
        '{"source":"a","map":1,"item":"x","latent":""}',
        '{"source":"a","map":1,"item":"x","latent":"AADAfw=="}',
        '{"source":"a","item":"x","latent":"AACAPw=="}',
    ],
)
def test_a_damaged_line_counts_as_missing(line: str, tmp_path: Path) -> None:
    good = '{"source":"a","map":0,"item":"x","latent":"AACAPw=="}\n'
    (tmp_path / LATENTS).write_text(good + line + "\n")
    assert {key: vector.tolist() for key, (_, vector) in read_latents(tmp_path).items()} == {("a", 0): [1.0]}


def test_no_file_is_no_latents(tmp_path: Path) -> None:
    assert read_latents(tmp_path) == {}
    with LatentFile(tmp_path, resume=True) as file:
        file.append([({"source": "a", "map": 0, "item": "x"}, None)])
    assert not (tmp_path / LATENTS).exists()


def test_standardised_latents_have_unit_spread_within_components(tiny_coordinates: Trained) -> None:
    """Draws from the mixture's own components, standardised: their covariance within a component is 1 on
    average.
    """
    mixture = load_trained(tiny_coordinates.folder).novelty.mixture
    rng = np.random.default_rng(0)
    within = np.zeros((mixture.axes.shape[1],) * 2)
    weights = mixture.log_weights.exp().numpy() / mixture.log_weights.exp().sum().item()
    for weight, centre, factor in zip(
        weights, mixture.centres.numpy(), mixture.precisions.numpy(), strict=True
    ):
        points = centre + rng.standard_normal((40_000, len(centre))) @ np.linalg.inv(factor)
        scaled = points @ mixture.axes.numpy().T
        numbers = mixture.mean.numpy() + np.clip(scaled, -10, 10) * mixture.spread.numpy()
        white = mixture.standardise(torch.from_numpy(numbers)).numpy()
        within += weight * np.cov(white.T)
    assert np.abs(within - np.eye(len(within))).max() < 0.05


def test_the_predictor_gives_latents(tiny_coordinates: Trained) -> None:
    maps = [wafer for wafer, _ in read_labelled(tiny_coordinates.data)][:3]
    predictor = Predictor.load(str(tiny_coordinates.folder), device="cpu")
    model = load_trained(tiny_coordinates.folder)
    for wafer, found in zip(maps, predictor.predict(maps), strict=True):
        assert found.latent is not None and found.latent.dtype == np.float32
        assert found.latent == pytest.approx(model.measure([wafer]).latent[0], abs=1e-3)

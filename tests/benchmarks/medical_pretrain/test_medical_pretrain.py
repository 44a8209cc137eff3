"""The benchmark of a pretraining step: its simulation is the same network, and it says when it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.medical_pretrain import run as benchmark
from benchmarks.medical_pretrain.__main__ import main
from benchmarks.medical_pretrain.run import Disagreement, Settings, agreed
from benchmarks.medical_pretrain.simulation import GatheredNorm, MaskedConvolution, Simulation
from benchmarks.medical_pretrain.workloads import SIMULATION, SPARSE, Step
from sparse_backbones import engines
from sparse_backbones.masked import MaskedAutoencoder, draw_mask
from sparse_backbones.unet import SparseEncoder, Stride


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("strides", [(2, 2), ((2, 2, 1), (2, 1, 2))])
def test_losses_and_gradients_are_those_of_the_sparse_network(
    strides: tuple[Stride, Stride], holes: bool
) -> None:
    torch.manual_seed(0)
    engine = engines.load("native")
    encoder = SparseEncoder(engine, 1, channels=(4, 6, 8), blocks=(1, 1, 1), strides=strides)
    model = MaskedAutoencoder(engine, encoder).double()
    simulation = Simulation(model)
    images = torch.randn(2, 1, 16, 12, 8, dtype=torch.float64)
    valid = torch.rand(2, 16, 12, 8) < 0.4 if holes else None
    mask = draw_mask(model.valid_cells(images, valid), 0.6, torch.Generator().manual_seed(0))
    losses = [one.loss(images, mask, valid) for one in (model, simulation)]
    torch.testing.assert_close(losses[0], losses[1])
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    stem: Any = simulation.encoder.stem
    found = stem.conv.convolution.weight.grad.permute(4, 3, 2, 1, 0).reshape(27, 1, 4)
    torch.testing.assert_close(found, model.encoder.stem.conv.kernel.grad)
    for own, densify in zip(simulation.tokens, model.densify, strict=True):
        torch.testing.assert_close(own.grad, densify.token.grad)
    # A masked voxel moves nothing here either.
    from sparse_backbones.masked.masks import spread

    hidden = spread(mask, model.cell)[:, None]
    rebuilt: list[torch.Tensor] = []
    simulation.decoder.register_forward_hook(lambda module, inputs, output: rebuilt.append(output))
    for given in (images, torch.where(hidden, 1e6, images)):
        simulation.eval().loss(given, mask, valid)
    assert torch.equal(*rebuilt)


def test_every_convolution_and_norm_of_the_encoder_is_replaced() -> None:
    engine = engines.load("native")
    model = MaskedAutoencoder(engine, SparseEncoder(engine, 1, channels=(4, 8), blocks=(1, 1), strides=(2,)))
    encoder = Simulation(model).encoder
    inner = {name for name, module in encoder.named_modules() if type(module) is torch.nn.Conv3d}
    assert inner and all(name.endswith(".convolution") for name in inner)
    kinds = [type(module) for module in encoder.modules()]
    assert torch.nn.BatchNorm3d not in kinds
    assert kinds.count(MaskedConvolution) == kinds.count(GatheredNorm) == 6


def test_losses_that_differ_stop_the_run() -> None:
    assert agreed({SPARSE: [1.0, 0.5], SIMULATION: [1.0, 0.50001]}) == pytest.approx((2e-5, 1.0), rel=1e-3)
    for wrong in (0.5002, float("nan")):
        with pytest.raises(Disagreement, match="the losses differ"):
            agreed({SPARSE: [1.0, wrong], SIMULATION: [1.0, 0.5]})


def test_a_disagreement_ends_the_command_with_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def differs(settings: Settings) -> None:
        raise Disagreement("the losses differ")

    monkeypatch.setattr(benchmark, "run", differs)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # set back after: the command writes them
    with pytest.raises(SystemExit) as stopped:
        main(["--json", str(tmp_path / "found.json")])
    assert stopped.value.code == 2 and "the losses differ" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--json", str(tmp_path / "found.json"), "--only", "liver"])
    assert "there is no liver" in capsys.readouterr().err


def test_without_data_the_command_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit):
        main(["--quick", "--threads", "1", "--json", str(tmp_path / "x.json"), "--data", str(tmp_path)])
    assert "must hold 4 files like hippocampus/" in capsys.readouterr().err


def test_a_step_of_either_contestant_starts_alike(shared_data: Path) -> None:
    losses = [Step(one, "hippocampus", 0.75, shared_data, quick=True)() for one in (SPARSE, SIMULATION)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
def test_a_quick_run_writes_rows_and_ratios(shared_data: Path, tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    settings = Settings(
        shared_data, target, quick=True, threads=1, rounds=1, only=("hippocampus", "brain_foreground")
    )
    benchmark.run(settings)
    report = json.loads(target.read_text())
    assert {row["contestant"] for row in report["rows"]} == {SPARSE, SIMULATION}
    assert all(row["seconds"] > 0 and row["loss_apart"] < 1e-4 for row in report["rows"])
    summary = report["summary"]
    assert summary["brain_foreground_75_memory_share"] > 0 and summary["hippocampus_60_times_faster"] > 0
    assert all(0 < row["image_share"] <= 1 for row in report["rows"])

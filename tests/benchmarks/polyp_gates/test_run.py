"""The digits, the means, and the whole benchmark on next to nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.polyp_gates.__main__ import main
from benchmarks.polyp_gates.digits import SIDE, VIEWS, cluttered_digits
from benchmarks.polyp_gates.run import OPEN, OPEN_WAYS, WAYS, Settings, run, summary, trained


def test_digits_are_the_same_for_a_seed_and_in_one_part_only() -> None:
    train, test = cluttered_digits(100, 3)
    again, _ = cluttered_digits(100, 3)
    assert torch.equal(train.images, again.images)
    assert train.images.shape == (100 * VIEWS, 3, SIDE, SIDE)
    assert torch.equal(train.labels[:100], train.labels[100:200])
    assert not torch.equal(train.images[:100], train.images[100:200])
    assert len(test.labels) == 1797 - 100
    assert train.images.std() == pytest.approx(0.8, abs=0.4)
    other, _ = cluttered_digits(100, 4)
    assert not torch.equal(train.labels, other.labels)


def test_gains_are_those_of_the_same_seed() -> None:
    scores = {"none": [0.5, 0.7], "gates": [0.6, 0.7], "gates, routed": [0.7, 0.9]}
    rows = [
        {"network": "resnet18", "way": way, "seed": seed, "accuracy": one}
        for way, some in scores.items()
        for seed, one in enumerate(some)
    ]
    found = summary(rows)
    assert found["accuracy_resnet18_none"] == pytest.approx(0.6)
    assert found["gain_resnet18_gates"] == pytest.approx(0.05)
    assert found["gain_resnet18_gates_routed"] == pytest.approx(0.2)
    assert found["gain_deviation_resnet18_gates_routed"] == pytest.approx(0)


def test_gates_move_only_where_there_are_some() -> None:
    train, _ = cluttered_digits(40, 0)
    start = trained("vit-tiny", "gates, routed", train, seed=0, steps=0)
    after = trained("vit-tiny", "gates, routed", train, seed=0, steps=2)
    assert not torch.equal(start.backbone.gate.score, after.backbone.gate.score)
    assert not torch.equal(start.last.weight, after.last.weight)
    opened = trained("vit-tiny", "open gates", train, seed=0, steps=0)
    assert opened.backbone.gate.open().mean().item() == pytest.approx(OPEN, abs=0.01)
    assert not hasattr(trained("vit-tiny", "none", train, seed=0, steps=0).gate, "score")


@pytest.mark.slow
def test_one_run_measures_every_way(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        settings = Settings(tmp_path / "f.json", ("vit-tiny",), seeds=2, steps=1, training=1700, threads=1)
        report = run(settings)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(settings.target.read_text()) == report
    ways = [(row["way"], row["seed"]) for row in report["rows"]]
    assert ways == [(way, seed) for seed in range(2) for way in (*WAYS, *OPEN_WAYS)]
    assert all(0 <= row["accuracy"] <= 1 for row in report["rows"])
    assert set(report["summary"]) >= {"gain_vit-tiny_open_gates_routed", "accuracy_vit-tiny_none"}


def test_wrong_options_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in ((["--networks", "vgg"], "invalid choice"), (["--seeds", "0"], "at least 1")):
        with pytest.raises(SystemExit) as stopped:
            main(["--json", str(tmp_path / "f.json"), *options])
        assert stopped.value.code == 2
        assert said in capsys.readouterr().err

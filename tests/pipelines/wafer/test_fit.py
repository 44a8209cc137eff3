"""The optimisation: it learns, a stopped one goes on as if it had not been, and errors are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pipelines.common.errors import UserError
from pipelines.wafer.fit import TrainingSet, _optimizer, drawing_chances, fit
from pipelines.wafer.model.kinds import Coordinates, Dies, Kind
from pipelines.wafer.train_config import TrainConfig
from sparse_backbones import engines
from tests.pipelines.wafer import tiny

KINDS: Mapping[str, tuple[Kind, Mapping[str, Any]]] = {
    "dies": (Dies(8), tiny.DIES),
    "coordinates": (Coordinates(512), tiny.COORDINATES),
}
CPU = torch.device("cpu")


def a_set(kind: str, count: int = 36) -> TrainingSet:
    rng = np.random.default_rng(0)
    classes = np.arange(count) % 3
    if kind == "dies":
        maps = [tiny.die_map(tiny.toy_grid(rng, ("None", "Center", "Edge")[each])) for each in classes]
    else:
        names = ("normal", "center", "ring")
        maps = [tiny.defect_map(tiny.toy_defects(rng, names[each])) for each in classes]
    return TrainingSet(maps, classes, drawing_chances(classes, 3, 0.5)[0])


def run(
    kind: str,
    checkpoint: Path,
    progress: Callable[[str], None] = lambda text: None,
    fingerprint: str = "this",
    encoding: Kind | None = None,
    **changed: Any,
) -> nn.Module:
    """A network, fitted."""
    usual, settings = KINDS[kind]
    encoding = encoding or usual
    config = tiny.settings(settings, **changed)
    torch.manual_seed(config.seed)
    network = encoding.build(engines.load("native"), 3, config.architecture)
    fit(
        network,
        encoding,
        a_set(kind),
        config,
        device=CPU,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=progress,
    )
    return network


class Stopped(Exception):
    pass


def stop_at(epoch: int) -> Callable[[str], None]:
    """Stops a training when it says that an epoch is done, which is before its checkpoint is written."""

    def progress(text: str) -> None:
        if text.startswith(f"epoch {epoch}/"):
            raise Stopped

    return progress


def losses(said: list[str]) -> list[float]:
    return [float(line.split("loss ")[1].split(",")[0]) for line in said if "loss" in line]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [2, 3])
def test_a_stopped_training_ends_with_the_very_same_weights(kind: str, stop: int, tmp_path: Path) -> None:
    whole = run(kind, tmp_path / "a" / "c.safetensors").state_dict()
    with pytest.raises(Stopped):
        run(kind, tmp_path / "b" / "c.safetensors", stop_at(stop))
    torch.rand(7)  # the state of the generator must not matter
    said: list[str] = []
    resumed = run(kind, tmp_path / "b" / "c.safetensors", said.append).state_dict()
    assert said[0] == f"going on after epoch {stop - 1}"
    assert [line.split(":")[0] for line in said[1:]] == [f"epoch {n}/3" for n in range(stop, 4)]
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first = run("dies", tmp_path / "c.safetensors").state_dict()
    said: list[str] = []
    again = run("dies", tmp_path / "c.safetensors", said.append)
    assert said == ["going on after epoch 3"]
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.items())
    assert not again.training


def test_seeds_make_the_difference(tmp_path: Path) -> None:
    one, same, other = (
        run("dies", tmp_path / f"{number}.safetensors", seed=seed, epochs=1).state_dict()
        for number, seed in enumerate((3, 3, 4))
    )
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    run("dies", tmp_path / "c.safetensors", epochs=1)
    with pytest.raises(UserError, match="checkpoint of another training"):
        run("dies", tmp_path / "c.safetensors", fingerprint="that", epochs=1)


@pytest.mark.parametrize("content", ["cut", "noise", "foreign"])
def test_a_file_that_is_no_checkpoint_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    run("dies", path, epochs=1)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif content == "noise":
        path.write_bytes(b"\x00" * 100)
    else:
        save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="checkpoint"):
        run("dies", path, epochs=1)


def test_the_checkpoint_is_whole_and_alone(tmp_path: Path) -> None:
    run("dies", tmp_path / "c.safetensors", epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]
    parts = {name.split(".")[0] for name in load_file(tmp_path / "c.safetensors")}
    assert parts == {"network", "average", "optimizer"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_goes_down_and_the_classes_come_apart(kind: str, tmp_path: Path) -> None:
    said: list[str] = []
    # Coordinates without a stem, whose large kernels take more than a few steps to learn anything.
    encoding = Dies(8) if kind == "dies" else Coordinates(64)
    sizes = {"channels": [8, 12, 16], "blocks": [1, 1, 1], "latent": 16, "dropout": 0.0}
    changed = {"architecture": sizes, "epochs": 8, "ema_decay": 0.8}
    network = run(kind, tmp_path / "c.safetensors", said.append, encoding=encoding, **changed)
    falling = losses(said)
    assert falling[-1] < 0.5 * falling[0]
    data = a_set(kind)
    with torch.inference_mode():
        logits, _ = network(encoding.encode(data.maps))
    assert np.mean(logits.argmax(1).numpy() == data.classes) > 0.8


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="smaller learning_rate than 1e"):
        run("dies", tmp_path / "c.safetensors", learning_rate=1e30)
    assert not (tmp_path / "c.safetensors").exists()


def test_the_average_of_the_weights_is_kept(tmp_path: Path) -> None:
    network = run("dies", tmp_path / "c.safetensors", epochs=1).state_dict()
    saved = load_file(tmp_path / "c.safetensors")
    assert all(torch.equal(value, saved[f"average.{name}"]) for name, value in network.items())
    for name, value in network.items():
        # Statistics of batch normalisation are averaged as the weights are; its count of batches is not.
        same = torch.equal(value, saved[f"network.{name}"])
        assert same != value.is_floating_point(), name


def test_biases_and_normalisation_do_not_decay() -> None:
    network = KINDS["dies"][0].build(engines.load("native"), 3, tiny.DIES["architecture"])
    optimizer = _optimizer(network, tiny.settings(tiny.DIES, weight_decay=0.25))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in network.named_parameters()} == {
        name: 0.25 if p.ndim > 1 else 0.0 for name, p in network.named_parameters()
    }


@pytest.mark.parametrize(("power", "drawn"), [(1.0, [0.6, 0.3, 0.1]), (0.0, [1 / 3] * 3)])
def test_classes_are_drawn_by_their_count_to_a_power(power: float, drawn: list[float]) -> None:
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    chance, shift = drawing_chances(classes, 3, power)
    assert chance.sum() == pytest.approx(1)
    assert np.bincount(classes, weights=chance) == pytest.approx(drawn)
    assert shift == pytest.approx(np.log([0.6, 0.3, 0.1]) - np.log(drawn))
    assert all(np.ptp(chance[classes == each]) < 1e-12 for each in range(3))


def test_the_shift_turns_what_was_drawn_back_into_the_data() -> None:
    """With two classes of known densities, shifted logits must give the posterior of the data by Bayes."""
    share, density = np.array([0.9, 0.1]), np.array([0.2, 0.7])
    classes = np.repeat([0, 1], [90, 10])
    chance, shift = drawing_chances(classes, 2, 0.5)
    drawn = np.bincount(classes, weights=chance)
    assert drawn == pytest.approx([0.75, 0.25])  # 9.49 to 3.16, the roots of 90 and 10
    learnt = np.log(drawn * density)  # what a network that was trained on the drawn maps ends with
    posterior = np.exp(learnt + shift) / np.exp(learnt + shift).sum()
    assert posterior == pytest.approx(share * density / (share * density).sum())


def test_an_epoch_draws_as_many_maps_as_it_is_told(tmp_path: Path) -> None:
    config: TrainConfig = tiny.settings(tiny.DIES, maps_per_epoch=None, epochs=1)
    drawn: list[int] = []

    class Counting(Dies):
        def encode(self, maps: Any, rng: Any = None) -> Any:
            drawn.append(len(maps))
            return Dies.encode(self, maps, rng)

    for number, (size, steps) in enumerate(((None, 4), (16, 2), (3, 1))):
        drawn.clear()
        changed = config.model_copy(update={"maps_per_epoch": size})
        network = Dies(8).build(engines.load("native"), 3, config.architecture)
        fit(
            network,
            Counting(8),
            a_set("dies"),
            changed,
            device=CPU,
            checkpoint=tmp_path / f"{number}.safetensors",
            fingerprint="",
            progress=lambda text: None,
        )
        assert drawn == [config.batch_size] * steps

"""A training on two processes: the losses of one with the whole batch, and whoever stops goes on."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch

from pipelines.common.training.spread.world import World
from pipelines.wafer.fit import fit
from sparse_backbones import engines
from tests.pipelines.common.training.spread.two import in_two
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.test_fit import CPU, KINDS, a_set

STEPS = 6


class Heard(World):
    """Keeps the sums over all processes, which are the losses of the epochs."""

    heard: list[float] = []  # noqa: RUF012

    def sum(self, value: float) -> float:
        found = World.sum(self, value)
        self.heard.append(found)
        return found


def losses(world: World, kind: str, folder: str, epochs: int) -> list[float]:
    """The loss of each step, with one step an epoch; resumes what lies in `folder`."""
    Heard.heard.clear()
    encoding, settings = KINDS[kind]
    config = tiny.settings(settings, epochs=STEPS, maps_per_epoch=8)
    architecture = {**config.architecture, "dropout": 0.0}
    torch.manual_seed(config.seed)
    network = encoding.build(engines.load("native"), 3, architecture)
    said: list[str] = []

    def stop(text: str) -> None:
        said.append(text)
        if text.startswith(f"epoch {epochs + 1}/"):
            raise InterruptedError

    with contextlib.suppress(InterruptedError):
        fit(
            network,
            encoding,
            a_set(kind),
            config,
            device=CPU,
            checkpoint=Path(folder) / "c.safetensors",
            fingerprint="this",
            progress=stop,
            world=Heard(world.rank, world.size, world.device, world.store, world.told),
        )
    return Heard.heard[:epochs]


def both_kinds(world: World, folder: str) -> dict[str, list[float]]:
    here = Path(folder)
    found = {kind: losses(world, kind, str(here / kind), STEPS) for kind in KINDS}
    found["resumed"] = losses(world, "dies", str(here / "resumed"), STEPS)
    found["left"] = losses(world, "dies", str(here / "left"), 2)
    return found


@pytest.mark.slow
def test_losses_are_those_of_one_process_and_a_checkpoint_serves_any_number(tmp_path: Path) -> None:
    alone = {kind: losses(World(), kind, str(tmp_path / f"alone-{kind}"), STEPS) for kind in KINDS}
    for name in ("two", "shared"):
        (tmp_path / name).mkdir()
    first_two = losses(World(), "dies", str(tmp_path / "shared" / "resumed"), 2)
    for found in in_two(both_kinds, tmp_path / "two", str(tmp_path / "shared")):
        for kind in KINDS:
            assert len(set(alone[kind])) == STEPS
            assert found[kind] == pytest.approx(alone[kind], abs=1e-5)
        assert first_two + found["resumed"] == pytest.approx(alone["dies"], abs=1e-5)
    rest = losses(World(), "dies", str(tmp_path / "shared" / "left"), STEPS)
    assert rest == pytest.approx(alone["dies"][2:], abs=1e-5)

"""What a network says of maps, and of doubtful ones from four sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.data.record import FAIL, PASS
from pipelines.wafer.model.kinds import SIDES, Coordinates, Dies, Kind
from pipelines.wafer.model.look import CHUNK, chunks, look, run_network
from pipelines.wafer.model.trained import load_trained
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.conftest import Trained

CPU = torch.device("cpu")


def maps_of(made: Trained, count: int) -> list[WaferMap]:
    return [wafer for wafer, _ in read_labelled(made.data)][:count]


class Sided(nn.Module):
    """Takes a map for class 0 by how far to the right its failing dies lie, as sure as `scale` makes it."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.asked = scale, list[int]()

    def forward(self, batch: object) -> tuple[Tensor, Tensor]:
        sites, features = batch.dies[:, 0].long(), batch.features  # type: ignore[attr-defined]
        count = len(batch)  # type: ignore[arg-type]
        self.asked.append(count)
        number = sites.bincount(minlength=count)
        right = sites.bincount(features[:, 0], minlength=count).float() / number
        return torch.stack([right * self.scale, torch.zeros(count)], 1), right[:, None]


def spot(row: int, col: int) -> WaferMap:
    grid = np.full((21, 21), PASS, np.uint8)
    grid[row, col] = FAIL
    return tiny.die_map(grid)


def test_doubtful_maps_are_seen_from_four_sides() -> None:
    maps = [spot(10, 18), spot(10, 11), spot(3, 12)]
    network = Sided(3.0)
    seen = look(network, Dies(), maps, shift=torch.tensor([0.0, 0.5]), device=CPU)
    # By hand: the places of the spots, -1 to 1 across; mirrored across, or across and down, x becomes -x.
    assert network.asked == [3, 6]
    assert seen.logits[0].tolist() == pytest.approx([3 * 16 / 21, 0.5], abs=1e-5)
    for doubtful in seen.logits[1:].tolist():
        assert doubtful == pytest.approx([0, 0.5], abs=1e-5)
    assert seen.latent[:, 0].tolist() == pytest.approx([16 / 21, 2 / 21, 4 / 21], abs=1e-5)
    assert seen.shape.shape[0] == 3


def test_a_sure_network_is_asked_once() -> None:
    network = Sided(1e4)
    look(network, Dies(), [spot(10, 18), spot(10, 2)], shift=torch.zeros(2), device=CPU)
    assert network.asked == [2]


@pytest.mark.parametrize("kind", [Dies(), Coordinates(256)])
def test_each_side_shows_another_picture(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    maps: Sequence[WaferMap] = (
        [tiny.die_map(tiny.toy_grid(rng, "Edge"))]
        if isinstance(kind, Dies)
        else [tiny.defect_map(tiny.toy_defects(rng, "ring") + np.array([9.0, 4.0]))]
    )
    sites = [getattr(kind.encode(maps, sides=[n]), kind_sites(kind)).tolist() for n in range(SIDES)]
    plain = getattr(kind.encode(maps), kind_sites(kind)).tolist()
    assert sorted(sites[0]) == sorted(plain)
    assert len({str(sorted(each)) for each in sites}) == 4


def test_no_side_swaps_the_width_and_the_height_of_dies() -> None:
    wafer = tiny.die_map(np.full((5, 9), FAIL, np.uint8))
    for side in range(SIDES):
        assert Dies().encode([wafer], sides=[side]).dies.amax(0).tolist() == [0, 4, 8]


def kind_sites(kind: Kind) -> str:
    return "dies" if isinstance(kind, Dies) else "sites"


def test_a_second_look_takes_no_more_at_once_than_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.wafer.model.look.CHUNK_DEFECTS", 100)
    large = [tiny.die_map(np.full((11, 11), FAIL, np.uint8))] * 2
    assert len(large[0].defects) == 121
    assert [(part.start, part.stop) for part in chunks([*large, spot(3, 3), spot(4, 4)])] == [
        (0, 1),
        (1, 2),
        (2, 4),
    ]
    network = Sided(0.0)
    look(network, Dies(), large[:1], shift=torch.zeros(2), device=CPU)
    assert network.asked == [1, 1, 1, 1]
    assert [(part.start, part.stop) for part in chunks([spot(3, 3)] * (CHUNK + 1))] == [
        (0, CHUNK),
        (CHUNK, CHUNK + 1),
    ]


def test_chunks_change_nothing(tiny_dies: Trained) -> None:
    model, maps = load_trained(tiny_dies.folder), maps_of(tiny_dies, CHUNK + 9)
    logits, latent = run_network(model.network, model.kind, maps, device=CPU)
    alone = [run_network(model.network, model.kind, [wafer], device=CPU) for wafer in maps[-12:]]
    torch.testing.assert_close(logits[-12:], torch.cat([one[0] for one in alone]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(latent[-12:], torch.cat([one[1] for one in alone]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["tiny_dies", "tiny_coordinates"])
def test_no_map_is_no_answer(name: str, request: pytest.FixtureRequest) -> None:
    made: Trained = request.getfixturevalue(name)
    model = load_trained(made.folder)
    seen = model.measure([])
    assert seen.probabilities.shape == (0, len(model.labels))
    assert seen.novelty.shape == (0,)
    assert len(seen.latent) == 0

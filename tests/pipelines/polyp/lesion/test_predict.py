"""The finder's contract, with a network that tells what is pale; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipelines.common.engines import load_engine
from pipelines.common.models import ModelError
from pipelines.polyp.data import Field, find_field
from pipelines.polyp.lesion.config import FinderPlan
from pipelines.polyp.lesion.network import LesionNetwork, as_images, as_shares, as_sites, build_encoder
from pipelines.polyp.lesion.predict import MOST, Finder, lesions_of, load_finder
from pipelines.polyp.lesion.trained import Tuning, load_trained, save_trained
from tests.pipelines.polyp.lesion.builders import SMALL, disc, painted, wall

CPU = torch.device("cpu")
PLAN = FinderPlan.model_validate(SMALL["network"])


class Pale(nn.Module):
    """Takes a site for a lesion where green is bright, as in `painted`."""

    def forward(self, images: Tensor) -> list[Tensor]:
        green = images[:, 4:8].mean(1, keepdim=True) * 0.19 + 0.37
        return [(green * 255 - 130) / 4]


def finder(views: int = 4, side: int = 192, threshold: float = 0.5) -> Finder:
    tuning = Tuning(threshold=threshold, smallest=0.002, views=views)
    return Finder("pale", Pale(), side, tuning, CPU, precision="float32")  # type: ignore[arg-type]


@pytest.mark.parametrize("views", [1, 2, 4])
@pytest.mark.parametrize("border", [0, 30])
def test_lesions_are_found_where_they_are_the_surest_first(views: int, border: int) -> None:
    large, small = disc(60, 50, 25, 150, 200), disc(150, 100, 12, 150, 200)
    pixels = painted(painted(wall(0, 150, 200), large), small)
    pixels[small] = (pixels[small] * 0.87).astype(np.uint8)  # less sure
    pixels[20, 180] = 255  # a speck
    frame = np.zeros((150 + border, 200 + 2 * border, 3), np.uint8)
    frame[border // 2 : 150 + border // 2, border : 200 + border] = pixels
    found = finder(views).find(frame)
    assert len(found) == 2
    assert found[0].score > found[1].score and 0 < found[1].score <= found[0].score <= 1
    for lesion, truth in zip(found, (large, small), strict=True):
        assert lesion.mask.shape == frame.shape[:2] and lesion.mask.dtype == np.bool_
        inner = lesion.mask[border // 2 : 150 + border // 2, border : 200 + border]
        assert (inner & truth).sum() / (inner | truth).sum() > 0.8
        rows, columns = np.nonzero(lesion.mask)
        assert lesion.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_views_are_turned_back_before_they_are_averaged() -> None:
    pixels = painted(wall(1, 100, 130), disc(30, 25, 18, 100, 130))
    field = find_field(pixels)
    one, four = (finder(views).shares(pixels, field) for views in (1, 4))
    assert np.abs(one - four).mean() < 0.02


def test_nothing_is_found_where_nothing_is() -> None:
    assert finder().find(wall(2, 100, 130)) == ()
    assert finder().find(np.zeros((80, 100, 3), np.uint8)) == ()


def test_a_field_that_is_known_is_taken() -> None:
    pixels = painted(wall(3, 100, 130), disc(30, 25, 15, 100, 130))
    right = np.zeros((100, 130), bool)
    right[:, 65:] = True
    assert finder().find(pixels)
    assert finder().find(pixels, field=Field(right, (65, 0, 130, 100), "polygon")) == ()


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((8, 9), np.uint8), "uint8 of shape"),
        (np.zeros((8, 9, 4), np.uint8), "uint8 of shape"),
        (np.zeros((8, 9, 3), np.float32), "float32"),
        (np.zeros((0, 9, 3), np.uint8), "uint8 of shape"),
    ],
)
def test_other_arrays_are_refused(pixels: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        finder().find(pixels)


def test_a_field_of_another_frame_is_refused() -> None:
    field = Field(np.ones((5, 6), bool), (0, 0, 6, 5), "whole")
    with pytest.raises(ValueError, match="not of"):
        finder().find(wall(0), field=field)


def test_the_smallest_frame_is_no_matter() -> None:
    """One px, or one row, is a frame too."""
    for height, width in ((1, 1), (1, 50), (3, 2)):
        found = finder(side=32).find(np.full((height, width, 3), 150, np.uint8))
        assert all(one.mask.shape == (height, width) for one in found)


def test_parts_that_touch_at_a_corner_are_one_lesion_and_specks_none() -> None:
    shares = np.zeros((100, 100), np.float32)
    shares[10:20, 10:20] = 0.9
    shares[20:30, 20:30] = 0.7
    shares[60:70, 60:70] = 0.95
    shares[90, 90] = 1.0
    field = Field(np.ones((100, 100), bool), (0, 0, 100, 100), "whole")
    found = lesions_of(shares, field, Tuning(threshold=0.5, smallest=0.002))
    assert [one.box for one in found] == [(60, 60, 70, 70), (10, 10, 30, 30)]
    assert [round(one.score, 3) for one in found] == [0.95, 0.8]
    assert len(lesions_of(shares, field, Tuning(threshold=0.8, smallest=0))) == 3
    assert len(lesions_of(shares, field, Tuning(threshold=0.5, smallest=0.002, sure=0.9))) == 1


def test_of_very_many_parts_the_largest_are_lesions() -> None:
    shares = np.zeros((200, 200), np.float32)
    for number in range(100):
        row, column = divmod(number, 10)
        shares[20 * row : 20 * row + 3, 20 * column : 20 * column + 3 + number % 5] = 0.6 + number / 1000
    field = Field(np.ones((200, 200), bool), (0, 0, 200, 200), "whole")
    found = lesions_of(shares, field, Tuning(threshold=0.5, smallest=0))
    assert len(found) == MOST
    assert min(one.mask.sum() for one in found) == 18
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_sites_hold_the_colours_of_their_px() -> None:
    pixels = torch.randint(0, 256, (2, 8, 6, 3), dtype=torch.uint8)
    images = as_images(pixels)
    assert images.shape == (2, 12, 4, 3)
    # Channel of red, then green, then blue; in each the four px row by row.
    assert torch.equal(
        images[:, 1::4].movedim(1, -1),
        as_images(pixels[:, ::2, 1::2].repeat_interleave(2, 1).repeat_interleave(2, 2))[:, ::4].movedim(
            1, -1
        ),
    )
    inside = torch.ones(1, 4, 4, dtype=torch.bool)
    inside[0, 0, 3] = False
    assert as_sites(inside)[0].tolist() == [[True, False], [True, True]]
    shares = as_shares(torch.full((1, 1, 3, 3), 0.0))
    assert shares.shape == (1, 6, 6) and bool((shares == 0.5).all())


def saved(folder: Path) -> LesionNetwork:
    torch.manual_seed(0)
    network = LesionNetwork(load_engine("native"), PLAN)
    save_trained(
        folder,
        plan=PLAN,
        weights=network.shared_weights(),
        tuning=Tuning(threshold=0.35),
        training={},
        metrics={},
        card="a card",
    )
    return network


def test_a_model_folder_gives_the_finder_back(tmp_path: Path) -> None:
    network = saved(tmp_path / "m").eval()
    model = load_finder(tmp_path / "m", device="cpu")
    assert (model.name, model.side, model.tuning.threshold) == ("m", 64, 0.35)
    images = as_images(torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8))
    with torch.inference_mode():
        assert torch.allclose(model.network(images)[0], network(images)[0], atol=0.02)
    assert load_finder(str(tmp_path / "m"), device=CPU).sha256 == model.sha256


def test_the_dense_network_is_the_sparse_one_on_a_full_grid(tmp_path: Path) -> None:
    """An encoder's weights, pretrained sparse, give the same features when they are loaded."""
    engine = load_engine("native")
    torch.manual_seed(1)
    encoder = build_encoder(engine, PLAN).eval()
    network = LesionNetwork(engine, PLAN).eval()
    network.load_encoder(encoder.state_dict())
    images = torch.randn(1, 12, 32, 32)
    sites = torch.ones(1, 32, 32).nonzero().int()
    with torch.inference_mode():
        sparse = encoder(engine.SparseTensor(images.movedim(1, -1).reshape(-1, 12), sites))
        dense = network.core.encoder(images)
    for one, other in zip(sparse, dense, strict=True):
        side = other.shape[-1]
        places = one.C.long()[:, 1:] // one.tensor_stride[0]
        grid = torch.zeros(side, side, one.F.shape[1]).index_put((places[:, 0], places[:, 1]), one.F)
        assert torch.allclose(grid.movedim(-1, 0), other[0], atol=1e-4)


def test_damaged_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        load_finder("nowhere")
    saved(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    tensors = load_file(tmp_path / "m" / "model.safetensors")

    def changed(**changes: object) -> Path:
        (tmp_path / "m" / "config.json").write_text(json.dumps(config | changes))
        return tmp_path / "m"

    with pytest.raises(ModelError, match="is for the task 'polyp'"):
        load_trained(changed(task="polyp"))
    with pytest.raises(ModelError, match="names no valid finder"):
        load_trained(changed(tuning={"threshold": 2}))
    with pytest.raises(ModelError, match="names no valid finder"):
        load_trained(changed(network={"side": 63}))
    with pytest.raises(ModelError, match="is damaged"):
        load_trained(changed(network=config["network"] | {"widths": [8, 16, 32]}))
    changed()
    first = next(name for name, one in tensors.items() if one.is_floating_point())
    save_file(tensors | {first: tensors[first] * torch.nan}, tmp_path / "m" / "model.safetensors")
    with pytest.raises(ModelError, match="not a finite number"):
        load_trained(tmp_path / "m")
    save_file(
        {name: one for name, one in tensors.items() if name != first}, tmp_path / "m" / "model.safetensors"
    )
    with pytest.raises(ModelError, match="is damaged"):
        load_trained(tmp_path / "m")

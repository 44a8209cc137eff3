"""The masked autoencoder: what is hidden stays hidden, and the rest is the plain encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sparse_backbones.convert import to_dense
from sparse_backbones.masked import MaskedAutoencoder, draw_mask
from sparse_backbones.masked.masks import holding, spread
from sparse_backbones.unet import SparseEncoder, Stride
from tests.sparse_backbones.full_grid import as_grid, as_sparse, randomise

# Sides, strides: in 2D, in 3D, and with axes that keep their resolution or shrink threefold.
GRIDS: dict[str, tuple[tuple[int, ...], tuple[Stride, ...]]] = {
    "2d": ((16, 24), (2, 2)),
    "3d": ((8, 12, 8), (2, 2)),
    "anisotropic": ((12, 8, 6), ((2, 2, 1), (3, 2, 3))),
}


def make(engine: Any, name: str, *, seed: int = 1, **options: Any) -> tuple[MaskedAutoencoder, Tensor]:
    """A model with weights that are no zeros and ones, in evaluation mode, and images for it."""
    sides, strides = GRIDS[name]
    torch.manual_seed(seed)
    encoder = SparseEncoder(
        engine, 2, channels=(4, 6, 8), blocks=(1, 1, 1), strides=strides, dimension=len(sides)
    )
    model = MaskedAutoencoder(engine, encoder, **options).double().eval()
    randomise(model)
    return model, torch.randn(3, 2, *sides, dtype=torch.float64)


def draw(model: MaskedAutoencoder, images: Tensor, valid: Tensor | None = None) -> Tensor:
    return draw_mask(model.valid_cells(images, valid), 0.6, torch.Generator().manual_seed(2))


def by_place(x: Any) -> dict[tuple[int, ...], list[float]]:
    return dict(zip(map(tuple, x.C.tolist()), x.F.tolist(), strict=True))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", GRIDS)
def test_no_hidden_value_reaches_any_output(engine: Any, name: str, training: bool) -> None:
    model, images = make(engine, name)
    mask = draw(model, images)
    hidden = spread(mask, model.cell)[:, None].expand_as(images)
    state = {key: value.clone() for key, value in model.state_dict().items()}

    def outputs(given: Tensor) -> tuple[list[dict[tuple[int, ...], list[float]]], Tensor]:
        model.load_state_dict(state)  # in training the norms' statistics move
        model.train(training)
        features = model.encode(given, mask)
        return [by_place(x) for x in features], model(given, mask)

    with torch.no_grad():
        before, rebuilt = outputs(images)
        for values in (torch.randn_like(images), torch.full_like(images, 1e300), torch.zeros_like(images)):
            after, again = outputs(torch.where(hidden, values, images))
            assert after == before
            assert torch.equal(again, rebuilt)
        # The test can fail: a visible value does reach them.
        after, again = outputs(torch.where(hidden, images, images + 1))
        assert after[-1] != before[-1] and not torch.equal(again, rebuilt)


@pytest.mark.parametrize("name", GRIDS)
def test_each_hidden_voxel_alone_changes_nothing(native: Any, name: str) -> None:
    model, images = make(native, name)
    mask = draw(model, images)
    images.requires_grad_()
    rebuilt = model(images, mask)
    weights = torch.randn_like(rebuilt)
    (rebuilt * weights).sum().backward()
    assert images.grad is not None
    hidden = spread(mask, model.cell)[:, None].expand_as(images)
    assert (images.grad[hidden] == 0).all()
    assert (images.grad[~hidden] != 0).float().mean() > 0.9


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("holes", [False, True])
def test_a_coarse_site_is_where_something_below_is_visible(engine: Any, name: str, holes: bool) -> None:
    model, images = make(engine, name)
    valid = (
        torch.rand(images[:, 0].shape) < 0.05 if holes else torch.ones_like(images[:, 0], dtype=torch.bool)
    )
    mask = draw(model, images, valid)
    visible = valid & ~spread(mask, model.cell)
    for x, stride in zip(model.encode(images, mask, valid), model.strides, strict=True):
        wanted = {
            (b, *((place // step) * step for place, step in zip(at, stride, strict=True)))
            for b, *at in visible.nonzero().tolist()
        }
        assert {tuple(site) for site in x.C.tolist()} == wanted
        assert len(x.C) == len(wanted) < images[:, 0].numel() or not holes
    assert 0 < holding(visible, model.cell).float().mean() < 0.5


@pytest.mark.parametrize("name", GRIDS)
def test_full_visibility_is_the_plain_encoder_sparse_and_dense(engine: Any, name: str) -> None:
    model, images = make(engine, name)
    with torch.no_grad():
        found = [as_grid(x) for x in model.encode(images)]
        plain = [as_grid(x) for x in model.encoder(as_sparse(engine, images))]
        dense = to_dense(model.encoder)(images)
    for one, other, third in zip(found, plain, dense, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        torch.testing.assert_close(one, third, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("name", GRIDS)
def test_the_engines_agree(native: Any, minkowski: Any, name: str, normalised: bool) -> None:
    found = []
    for engine in (native, minkowski):
        model, images = make(engine, name, normalised=normalised)
        model.train()
        mask = draw(model, images)
        loss = model.loss(images, mask)
        loss.backward()  # type: ignore[no-untyped-call]
        found.append((loss, {key: value.grad for key, value in model.named_parameters()}))
    (one, gradients), (other, expected) = found
    torch.testing.assert_close(one, other)
    for key, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[key], rtol=1e-6, atol=1e-9, msg=key)


@pytest.mark.parametrize("finest", [0, 1, 2])
@pytest.mark.parametrize("name", GRIDS)
def test_the_gradient_reaches_every_parameter(native: Any, name: str, finest: int) -> None:
    model, images = make(native, name, finest=finest, width=16)
    model.train()
    model.loss(images, draw(model, images)).backward()  # type: ignore[no-untyped-call]
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key
    assert {key.split(".")[0] for key, _ in model.named_parameters()} == {"encoder", "densify", "decoder"}


def test_what_is_no_image_is_neither_seen_nor_scored(native: Any) -> None:
    model, images = make(native, "3d")
    valid = torch.ones_like(images[:, 0], dtype=torch.bool)
    valid[0, 5:], valid[1, :, 7:], valid[2, :, :, 3:] = False, False, False
    mask = draw(model, images, valid)
    changed = torch.where(valid[:, None], images, 1e6)
    with torch.no_grad():
        loss, other = model.loss(images, mask, valid), model.loss(changed, mask, valid)
        assert torch.equal(loss, other)
        assert not torch.equal(loss, model.loss(torch.where(valid[:, None], images + 1, images), mask, valid))
        # Padded further, with whole cells that hold nothing, the sample's visible features stay as they are.
        wide = torch.nn.functional.pad(images, (0, 4, 0, 4, 0, 4))
        more = torch.nn.functional.pad(valid, (0, 4, 0, 4, 0, 4))
        larger = torch.nn.functional.pad(mask, (0, 1, 0, 1, 0, 1))
        for x, y in zip(model.encode(images, mask, valid), model.encode(wide, larger, more), strict=True):
            assert by_place(x) == by_place(y)


def test_training_lowers_the_loss_and_repeats_itself(native: Any) -> None:
    def train() -> list[float]:
        torch.manual_seed(0)
        encoder = SparseEncoder(
            native, 1, channels=(8, 16, 32), blocks=(1, 1, 1), strides=(2, 2), dimension=2
        )
        model = MaskedAutoencoder(native, encoder, normalised=False)
        ramp = torch.arange(24.0).expand(3, 1, 16, 24)
        images = torch.sin(ramp / 6 + torch.arange(3)[:, None, None, None])
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        generator, losses = torch.Generator().manual_seed(0), []
        for _ in range(40):
            mask = draw_mask(model.valid_cells(images), (0.6, 0.75), generator)
            loss = model.loss(images, mask)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
        return losses

    losses = train()
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
    assert train() == losses


def test_cells_larger_than_the_coarsest_voxel(native: Any) -> None:
    model, images = make(native, "2d", cell=8)
    mask = draw(model, images)
    assert model.encoder.total_stride == (4, 4) and mask.shape == (3, 2, 3)
    for x, (across, down) in zip(model.encode(images, mask), model.strides, strict=True):
        assert len(x.C) * across * down == int((~mask).sum()) * 64
    assert torch.isfinite(model.loss(images, mask))


@pytest.mark.parametrize(
    ("sides", "options", "message"),
    [
        ((15, 24), {}, r"pad them to \(16, 24\)"),
        ((8, 8, 8), {}, r"the shape \(B, 2, and 2 sides\)"),
        ((16, 24), {"cell": 6}, "multiple of the encoder's total stride"),
        ((16, 24), {"finest": 3}, "finest must be 0 to 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    native: Any, sides: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(native, "2d", **options)[0].valid_cells(torch.zeros(1, 2, *sides, dtype=torch.float64))


def test_masks_that_do_not_fit_are_refused(native: Any) -> None:
    model, images = make(native, "2d")
    with pytest.raises(ValueError, match=r"mask must be bool of shape \(3, 4, 6\)"):
        model(images, torch.zeros(3, 4, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="valid must be bool"):
        model(images, torch.zeros(3, 4, 6, dtype=torch.bool), torch.ones_like(images[:, 0]))
    with pytest.raises(ValueError, match="nothing is visible"):
        model(images, torch.ones(3, 4, 6, dtype=torch.bool))

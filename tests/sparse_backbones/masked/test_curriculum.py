"""Hard cells: that they are picked, how many, and by whom."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sparse_backbones.masked import MaskedAutoencoder, Teacher, draw_mask, hard_mask, hard_share
from sparse_backbones.unet import SparseEncoder


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("done", "share"), [(0.0, 0.0), (0.2, 0.1), (0.5, 0.25), (1.0, 0.5), (2.0, 0.5)])
def test_the_share_grows_from_none_to_half(done: float, share: float) -> None:
    assert hard_share(done) == pytest.approx(share)
    assert hard_share(done, 0.8) == pytest.approx(1.6 * share)


@pytest.mark.parametrize("done", [0.0, 0.3, 1.0])
def test_so_many_of_the_hidden_cells_are_the_hardest(done: float) -> None:
    valid = torch.ones(6, 5, 5, 4, dtype=torch.bool)
    valid[2, :2] = False
    first = draw_mask(valid, 0.6, generator())
    losses = torch.rand(first.shape) * first
    share = hard_share(done)
    mask = hard_mask(first, losses, valid, share, generator(1))
    assert not (mask & ~valid).any()
    for before, after, loss in zip(first.flatten(1), mask.flatten(1), losses.flatten(1), strict=True):
        count = int(before.sum())
        assert int(after.sum()) == count
        hardest = loss.argsort(descending=True)[: round(share * count)]
        assert after[hardest].all()


def test_what_is_not_hard_is_drawn_from_all_other_cells() -> None:
    valid = torch.ones(1, 50, 20, dtype=torch.bool)
    first = draw_mask(valid, 0.6, generator())
    losses = torch.rand(first.shape) * first
    mask = hard_mask(first, losses, valid, 0.0, generator(1))
    assert (mask & first).sum().item() == pytest.approx(360, abs=40), "not drawn independently of the first"
    half = hard_mask(first, losses, valid, 0.5, generator(1))
    assert losses[half & first].mean() > losses[first].mean() + 0.05


def test_cells_that_were_not_hidden_are_never_called_hard() -> None:
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    first = draw_mask(valid, 0.25, generator())
    mask = hard_mask(first, torch.where(first, 0.1, 9.0), valid, 1.0, generator(1))
    assert torch.equal(mask, first)


def test_the_teacher_follows_the_student_and_is_not_trained(engine: Any) -> None:
    student, other = (
        MaskedAutoencoder(engine, SparseEncoder(engine, 1, channels=(4, 8), blocks=(1, 1), strides=(2,)))
        for _ in range(2)
    )
    teacher = Teacher(student, other, decay=0.9)
    images = torch.randn(2, 1, 8, 8, 8)
    mask = draw_mask(student.valid_cells(images), 0.6, generator())
    before = student.encoder.stem.conv.kernel.detach().clone()
    with torch.no_grad():
        student.encoder.stem.conv.kernel.add_(1.0)
    assert torch.equal(teacher.average.encoder.stem.conv.kernel, before)
    teacher.update(student, 1_000)
    torch.testing.assert_close(teacher.average.encoder.stem.conv.kernel, before + 0.1)
    teacher.update(student, 0)  # the first step: decay 0.1
    torch.testing.assert_close(teacher.average.encoder.stem.conv.kernel, before + 0.91)
    losses = teacher.train().losses(images, mask)
    state = [value.clone() for value in teacher.state_dict().values()]
    assert torch.equal(losses, teacher.losses(images, mask)), "scoring changes the teacher"
    assert all(torch.equal(a, b) for a, b in zip(state, teacher.state_dict().values(), strict=True))
    assert not losses.requires_grad and not any(p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in student.parameters())


def test_the_teacher_finds_what_is_hard(native: Any) -> None:
    """Flat cells and noisy ones, trained a little: the noise is what it cannot rebuild."""
    torch.manual_seed(0)
    student, other = (
        MaskedAutoencoder(
            native,
            SparseEncoder(native, 1, channels=(8, 16), blocks=(1, 1), strides=(4,), dimension=2),
            normalised=False,
        )
        for _ in range(2)
    )
    teacher, optimizer = Teacher(student, other, decay=0.9), torch.optim.AdamW(student.parameters(), 1e-2)
    images = torch.zeros(4, 1, 32, 32)
    images[:, :, 16:] = torch.randn(4, 1, 16, 32)
    valid, draws = student.valid_cells(images), generator()
    for step in range(30):
        loss = student.loss(images, draw_mask(valid, 0.6, draws))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        teacher.update(student, step)
    first = draw_mask(valid, 0.6, draws)
    mask = hard_mask(first, teacher.losses(images, first), valid, 0.5, draws)
    assert mask[:, 4:].float().mean() > mask[:, :4].float().mean() + 0.15

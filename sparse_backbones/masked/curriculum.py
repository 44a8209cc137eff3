"""Hard cells are hidden more often as training goes on (Li et al., AnatoMask, ECCV 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparse_backbones.masked.masks import ranks
from sparse_backbones.masked.model import MaskedAutoencoder

LAST_SHARE = 0.5


def hard_share(done: float, last: float = LAST_SHARE) -> float:
    """The share of the hidden cells that is picked for being hard, at the share `done` of the training."""
    return last * min(max(done, 0.0), 1.0)


def hard_mask(
    first: Tensor, losses: Tensor, valid_cells: Tensor, share: float, generator: torch.Generator
) -> Tensor:
    """A mask that hides as many cells of each sample as `first`, some of them for being hard.

    first: bool (B, *cells), the mask with which the losses were made. losses: float (B, *cells), of what it
        hid. valid_cells: bool (B, *cells). generator: on the CPU.
    share: of the hidden cells that are those of the largest loss; the others are drawn from all that is left.
    """
    hidden = first.flatten(1).cpu()
    count = hidden.sum(1, keepdim=True)
    order = ranks((-losses.detach().flatten(1).cpu()).masked_fill(~hidden, torch.inf))
    hard = hidden & (order < (share * count).round())
    noise = torch.rand(hidden.shape, generator=generator)
    noise = noise.masked_fill(~valid_cells.flatten(1).cpu(), 2.0).masked_fill(hard, -1.0)
    return (ranks(noise) < count).reshape(first.shape).to(first.device)


class Teacher(nn.Module):
    """The moving average of a student, which says what is hard. It is never trained itself.

    average: a model of the same sizes, which becomes the average; MinkowskiEngine's layers cannot be copied.
    """

    def __init__(
        self, student: MaskedAutoencoder, average: MaskedAutoencoder, *, decay: float = 0.999
    ) -> None:
        super().__init__()
        self.decay = decay
        average.load_state_dict(student.state_dict())
        self.average = average.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, student: MaskedAutoencoder, step: int) -> None:
        """Move towards the student. step: from 0; the average forgets the first steps quickly."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for own, new in zip(self.average.state_dict().values(), student.state_dict().values(), strict=True):
            if own.is_floating_point():
                own.lerp_(new, 1 - decay)
            else:
                own.copy_(new)

    @torch.no_grad()
    def losses(self, images: Tensor, mask: Tensor, valid: Tensor | None = None) -> Tensor:
        """As `MaskedAutoencoder.losses`."""
        self.average.eval()
        return self.average.losses(images, mask, valid)

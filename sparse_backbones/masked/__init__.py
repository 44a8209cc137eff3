"""Masked pretraining of sparse encoders, in 2D and 3D: the encoder sees what is visible, and nothing else.

Tian et al., Designing BERT for convolutional networks (SparK), ICLR 2023. `draw_mask` hides cells of the
image, `MaskedAutoencoder` rebuilds them, `hard_mask` hides those that are hard to rebuild.
"""

from sparse_backbones.masked.curriculum import Teacher, hard_mask, hard_share
from sparse_backbones.masked.masks import Ratio, draw_mask
from sparse_backbones.masked.model import MaskedAutoencoder

__all__ = ["MaskedAutoencoder", "Ratio", "Teacher", "draw_mask", "hard_mask", "hard_share"]

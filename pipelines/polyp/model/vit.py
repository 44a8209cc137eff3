"""ViT-T/16 (Dosovitskiy et al., 2021; Touvron et al., 2021), with or without gates; names are timm's."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from pipelines.common.errors import UserError
from pipelines.common.weights import check_weights, read_weights
from pipelines.polyp.model.gates import FeatureGate

PATCH, WIDTH, DEPTH, HEADS, RATIO = 16, 192, 12, 3, 4
EPSILON = 1e-6


class Attention(nn.Module):
    """Self-attention over tokens (B, N, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(found.transpose(1, 2).reshape(batch, tokens, width))
        return projected


class Mlp(nn.Module):
    """Two layers with a GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, RATIO * width)
        self.fc2 = nn.Linear(RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc2(nn.functional.gelu(self.fc1(x)))
        return found


class Block(nn.Module):
    """x + gate(attention(norm x)), then x + gate(mlp(norm x)); without gates the plain block."""

    def __init__(self, width: int, heads: int, *, gated: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width)
        self.gates = nn.ModuleList(FeatureGate(width, axis=-1) if gated else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.gates[0](self.attn(self.norm1(x)))
        found: Tensor = x + self.gates[1](self.mlp(self.norm2(x)))
        return found


class PatchEmbedding(nn.Module):
    """Squares of 16 px to tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class ViT(nn.Module):
    """From images float32 (B, 3, side, side) to embeddings (B, 192), those of the class token.

    side: px, a multiple of 16. gated: two gates in each block and one on the embedding. depth: blocks.
    """

    width = WIDTH

    def __init__(self, side: int, *, gated: bool = False, depth: int = DEPTH) -> None:
        super().__init__()
        if side % PATCH:
            raise ValueError(f"the side of the images must be a multiple of {PATCH} px, not {side}")
        self.side = side
        self.patch_embed = PatchEmbedding(WIDTH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (side // PATCH) ** 2, WIDTH))
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS, gated=gated) for _ in range(depth))
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.gate = FeatureGate(WIDTH) if gated else nn.Identity()
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (self.side, self.side):
            raise ValueError(f"images must be {self.side} x {self.side} px, not {tuple(images.shape[2:])}")
        tokens = self.patch_embed(images)
        x = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        embedding: Tensor = self.gate(self.norm(x)[:, 0])
        return embedding


def load_vit(network: ViT, path: Path) -> None:
    """Put a state dict of timm's `vit_tiny_patch16_...`, in a .safetensors file, into the network.

    Every weight but those of the gates must be there; the classifier, `head`, is passed over. Position
    embeddings for images of another size are resampled (bicubic). Raises UserError and changes nothing.
    """
    given = {name: one for name, one in read_weights(path).items() if not name.startswith("head.")}
    own = {name: one for name, one in network.state_dict().items() if "gate" not in name}
    if "pos_embed" in given:
        given["pos_embed"] = _resampled(given["pos_embed"], network.side // PATCH, path)
    check_weights(given, own, path, "ViT-T/16")
    network.load_state_dict(given, strict=False)


def _resampled(embedding: Tensor, side: int, path: Path) -> Tensor:
    """Position embeddings (1, 1 + n * n, C) for a grid of side x side tokens."""
    if embedding.ndim != 3 or len(embedding) != 1 or embedding.shape[1] < 2:
        raise UserError(f"{path}: pos_embed must have the shape (1, tokens, {WIDTH})")
    old = round((embedding.shape[1] - 1) ** 0.5)
    if old * old != embedding.shape[1] - 1:
        raise UserError(f"{path}: pos_embed is not for a class token and a square of patches")
    if old == side:
        return embedding
    grid = embedding[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2).float()
    grid = interpolate(grid, (side, side), mode="bicubic", align_corners=False)
    return torch.cat([embedding[:, :1].float(), grid.flatten(2).transpose(1, 2)], 1)

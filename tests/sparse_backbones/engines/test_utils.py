"""Quantization and collation against MinkowskiEngine."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch


# MinkowskiEngine passes torch tensors to NumPy.
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
def test_sparse_quantize(native: ModuleType, minkowski: ModuleType) -> None:
    points, features = torch.rand(50, 3) * 2 - 1, torch.arange(50.0)[:, None]
    ours, theirs = (
        engine.utils.sparse_quantize(
            points, features, return_index=True, return_inverse=True, quantization_size=0.5
        )
        for engine in (native, minkowski)
    )
    assert torch.equal(torch.unique(ours[0], dim=0), torch.unique(theirs[0], dim=0))
    for voxels, kept, index, inverse in (ours, theirs):
        assert torch.equal(voxels[inverse], torch.floor(points / 0.5).int())
        assert torch.equal(kept, features[index])


def test_collation(native: ModuleType, minkowski: ModuleType) -> None:
    coords = [torch.rand(4, 2) * 9 - 4, torch.rand(3, 2) * 9 - 4]
    feats, labels = [torch.rand(4, 1), torch.rand(3, 1)], [torch.zeros(4), torch.ones(3)]
    for ours, theirs in zip(
        native.utils.sparse_collate(coords, feats, labels),
        minkowski.utils.sparse_collate(coords, feats, labels),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    assert torch.equal(native.utils.batched_coordinates(coords), minkowski.utils.batched_coordinates(coords))
    items = list(zip(coords, feats, labels, strict=True))
    assert len(native.utils.SparseCollation(limit_numpoints=5)(items)[0]) == 4


def test_bad_input_is_refused(native: ModuleType) -> None:
    with pytest.raises(ValueError, match="differ in their number of dimensions"):
        native.utils.batched_coordinates([torch.zeros(1, 2), torch.zeros(1, 3)])
    with pytest.raises(ValueError, match="return_inverse needs return_index"):
        native.utils.sparse_quantize(torch.zeros(1, 2), return_inverse=True)

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import read_labelled
from pipelines.wafer.generate.dataset import write_dataset
from pipelines.wafer.generate.patterns import NOVEL_PATTERNS, PATTERNS


def test_arrays_of_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "new" / "maps.npz"
    write_dataset(path, maps_per_class=4, seed=5, normal_factor=2.5)
    with np.load(path, allow_pickle=False) as data:
        counts, offsets, labels = data["counts"], data["offsets"], data["label"].tolist()
        assert data["defects"].dtype == np.float32
        assert data["defects"].shape == (counts.sum(), 2)
        assert counts.dtype == offsets.dtype == np.int64
        assert (np.diff(offsets) == counts[:-1]).all()
        assert set(data["diameter_mm"].tolist()) <= {200.0, 300.0}
        names = list(zip(data["lot"].tolist(), data["wafer"].tolist(), strict=True))
        for start, n, diameter in zip(offsets, counts, data["diameter_mm"], strict=True):
            assert np.hypot(*data["defects"][start : start + n].T).max(initial=0) < diameter / 2
    assert Counter(labels) == {name: 10 if name == "normal" else 4 for name in PATTERNS}
    assert labels != sorted(labels)
    assert len(set(names)) == len(names)
    assert Counter(lot for lot, _ in names).most_common(1)[0][1] == 25
    assert [file.name for file in path.parent.iterdir()] == ["maps.npz"]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.npz", "b.npz", "c.npz")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_dataset(path, maps_per_class=2, seed=seed)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


def test_it_reads_back_with_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "novel.npz"
    write_dataset(path, maps_per_class=2, seed=0, patterns=NOVEL_PATTERNS)
    labelled = list(read_labelled(path))
    assert Counter(label for _, label in labelled) == dict.fromkeys(NOVEL_PATTERNS, 2)
    with np.load(path, allow_pickle=False) as data:
        for (wafer, _), start, n in zip(labelled, data["offsets"], data["counts"], strict=True):
            np.testing.assert_array_equal(wafer.defects, data["defects"][start : start + n])
            assert not wafer.die_level


@pytest.mark.parametrize(
    ("maps", "patterns", "message"), [(0, PATTERNS, "at least one map"), (1, ["blot"], "no pattern 'blot'")]
)
def test_refused(maps: int, patterns: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / "none.npz", maps_per_class=maps, seed=0, patterns=patterns)
    assert not list(tmp_path.iterdir())

"""Splits keep patients, recordings and polyps whole, come again by seed, and spread the sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.common.errors import UserError
from pipelines.polyp.data import Listed, Polyp, read_dataset
from pipelines.polyp.data.splits import folds, groups_of, hold_out, refuse_leaks
from tests.pipelines.polyp.made import real_colon

quick = settings(max_examples=40, deadline=None)


def polyp(id: str, patient: str = "", video: str = "", size: float | None = 4) -> Polyp:
    return Polyp(id, Listed(()), patient, video, size)


def many(count: int, seed: int, patients: int = 0) -> list[Polyp]:
    rng = np.random.default_rng(seed)
    return [
        polyp(
            f"p{number}",
            f"a{rng.integers(patients)}" if patients and rng.random() < 0.7 else "",
            f"v{rng.integers(count)}" if rng.random() < 0.5 else "",
            None if rng.random() < 0.1 else float(rng.uniform(1, 15)),
        )
        for number in range(count)
    ]


def test_groups() -> None:
    listed = [
        polyp("a", patient="x", video="1"),
        polyp("b", video="1"),
        polyp("c", patient="x", video="2"),
        polyp("d", video="2"),
        polyp("e", video="x"),
        polyp("f"),
        polyp("g"),
    ]
    assert groups_of(listed) == ["a", "a", "a", "a", "e", "f", "g"]


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(0, 12))
def test_groups_against_a_graph(seed: int, count: int, patients: int) -> None:
    listed = many(count, seed, patients)
    pairs = [
        (i, j)
        for i, one in enumerate(listed)
        for j, other in enumerate(listed)
        if (one.patient and one.patient == other.patient) or (one.video and one.video == other.video)
    ]
    rows, columns = zip(*[*pairs, (0, 0)], strict=True)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    groups = groups_of(listed)
    for i in range(count):
        for j in range(count):
            assert (groups[i] == groups[j]) == (labels[i] == labels[j])


@quick
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_folds_are_whole_and_complete(seed: int, count: int) -> None:
    listed = many(60, seed, 25)
    found = folds(listed, count, seed=seed)
    assert sorted(one.id for fold in found for one in fold.held_out) == sorted(one.id for one in listed)
    for fold in found:
        assert fold.held_out and len(fold.train) + len(fold.held_out) == len(listed)
        refuse_leaks({"train": fold.train, "held out": fold.held_out})
    assert [f.held_out for f in found] == [f.held_out for f in folds(listed, count, seed=seed)]


def test_another_seed_gives_other_folds() -> None:
    listed = many(60, 0)
    assert folds(listed, 3, seed=0)[0].held_out != folds(listed, 3, seed=1)[0].held_out


def test_sizes_are_spread_evenly() -> None:
    sizes = [3.0] * 60 + [7.0] * 24 + [12.0] * 12
    listed = [polyp(f"p{number}", size=size) for number, size in enumerate(sizes)]
    for fold in folds(listed, 6):
        assert sorted(one.size_mm or 0 for one in fold.held_out) == [3.0] * 10 + [7.0] * 4 + [12.0] * 2
    held = hold_out(listed, 0.25).held_out
    assert sorted(one.size_mm or 0 for one in held) == [3.0] * 15 + [7.0] * 6 + [12.0] * 3


def test_a_held_out_share_of_whole_patients() -> None:
    listed = many(100, 3, 40)
    fold = hold_out(listed, 0.3, seed=5)
    assert 0.2 < len(fold.held_out) / 100 < 0.4


def test_a_leak_names_who_is_in_two_parts() -> None:
    listed = [polyp("a", patient="x"), polyp("b", patient="x"), polyp("c", video="v"), polyp("d", video="v")]
    refuse_leaks({"train": listed[:2], "test": listed[2:]})
    with pytest.raises(UserError, match=r"leaks.*patient x: train has a; test has b.*video v: train has c"):
        refuse_leaks({"train": [listed[0], listed[2]], "test": [listed[1], listed[3]]})
    with pytest.raises(UserError, match=r"polyp e: one has e; two has e"):
        refuse_leaks({"one": [polyp("e")], "two": [polyp("e")]})


def test_a_patient_of_another_part_leaks_through_a_recording() -> None:
    one, between, other = polyp("a", patient="x"), polyp("b", "x", "v"), polyp("c", video="v")
    with pytest.raises(UserError, match="leaks"):
        refuse_leaks({"train": [one, between], "test": [other]})


def test_polyps_of_one_recording_stay_together(tmp_path: Path) -> None:
    found = read_dataset(real_colon(tmp_path))
    with pytest.raises(UserError, match="2 polyps of 1 patients"):
        folds(found.polyps, 2)
    more = [replace(one, id=f"{one.id} b", patient="", video="") for one in found.polyps]
    assert len(folds([*found.polyps, *more], 3)) == 3


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_folds(count: int) -> None:
    with pytest.raises(UserError, match="at least 2"):
        folds(many(9, 0), count)


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_a_share_that_is_none(share: float) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        hold_out(many(9, 0), share)

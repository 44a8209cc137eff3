"""What is left out is in no map that trains, and every map has one place."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.wafer_openset.splits import CLASSES, FIRST_PAIR, default_splits, make_split, parse_split

TRAIN = np.random.default_rng(0).choice(["Donut", "None", "Ring", "Scratch"], 2000, p=[0.02, 0.7, 0.2, 0.08])
TEST = np.random.default_rng(1).choice(["Donut", "None", "Ring", "Scratch"], 500)


@pytest.mark.parametrize("maps", [None, 300])
@pytest.mark.parametrize("left_out", [("Donut",), ("Donut", "Scratch")])
def test_no_class_that_is_left_out_trains_or_sets_thresholds(
    left_out: tuple[str, ...], maps: int | None
) -> None:
    split = make_split(TRAIN, TEST, left_out, seed=0, maps=maps)
    assert set(split.labels) == {"Donut", "None", "Ring", "Scratch"} - set(left_out)
    for rows in (split.train, split.held):
        assert set(TRAIN[rows]) == set(split.labels)
    assert not np.intersect1d(split.train, split.held).size
    assert set(TEST[split.known]) == set(split.labels)
    np.testing.assert_array_equal(split.novel, np.flatnonzero(np.isin(TEST, left_out)))


def test_all_maps_are_used_unless_fewer_are_asked_for() -> None:
    split = make_split(TRAIN, TEST, ("Donut",), seed=0)
    known = np.flatnonzero(TRAIN != "Donut")
    np.testing.assert_array_equal(np.union1d(split.train, split.held), known)
    assert len(split.held) == pytest.approx(0.1 * len(known), abs=2)
    assert len(split.known) + len(split.novel) == len(TEST)


def test_a_reduced_set_keeps_rare_classes() -> None:
    split = make_split(TRAIN, TEST, ("Scratch",), seed=0, maps=320)
    assert len(split.train) == 320
    assert len(split.known) == 320
    # A sixteenth of 320, or all that are not held out.
    assert (TRAIN[split.train] == "Donut").sum() >= 20
    assert (TRAIN[split.train] == "None").sum() > (TRAIN[split.train] == "Ring").sum()


def test_the_seed_and_nothing_else_decides() -> None:
    one, same, other = (make_split(TRAIN, TEST, ("Donut",), seed=seed, maps=300) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.train, same.train)
    np.testing.assert_array_equal(one.held, same.held)
    assert set(one.held.tolist()) != set(other.held.tolist())


def test_classes_are_places_among_the_known_labels() -> None:
    split = make_split(TRAIN, TEST, ("None",), seed=0)
    assert split.classes(np.array(["Scratch", "Donut", "Ring"])).tolist() == [2, 0, 1]


def test_the_default_splits_begin_with_the_pair_and_hold_each_class_alone() -> None:
    splits = default_splits()
    assert splits[0] == FIRST_PAIR == ("Donut", "Scratch")
    assert [split for split in splits if len(split) == 1] == [(name,) for name in CLASSES]
    assert len(set(splits)) == len(splits)
    assert all(parse_split("+".join(split)) == split for split in splits)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Donut+Ring", "'Ring' in 'Donut\\+Ring' is no class"),
        ("", "is no class"),
        ("Donut+Donut", "twice"),
        ("+".join(CLASSES[:8]), "fewer than two"),
    ],
)
def test_a_split_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_split(text)


def test_a_class_without_test_maps_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="no test map is of the class 'Donut'"):
        make_split(TRAIN, TEST[TEST != "Donut"], ("Donut",), seed=0)

from __future__ import annotations

import pytest

from pipelines.medical.flips import flips, mirror_for


@pytest.mark.parametrize(
    ("labels", "mirror"),
    [
        (["liver", "spleen"], ("x", "y", "z")),
        (["kidney_left", "kidney_right"], ("y", "z")),
        (["liver", "Right Lung", "Left Lung"], ("y", "z")),
        (["Lt-femur", "Rt-femur"], ("y", "z")),
        (["rib_left_1", "rib_right_2"], ("x", "y", "z")),  # no twins
        (["left ventricle", "right atrium"], ("x", "y", "z")),
        (["tumour left", "l", "lr"], ("x", "y", "z")),
    ],
)
def test_sides_with_labels_of_their_own_are_not_swapped(labels: list[str], mirror: tuple[str, ...]) -> None:
    assert mirror_for(labels) == mirror


def test_flips_are_all_combinations_none_first() -> None:
    assert flips(()) == ((),)
    assert flips(("y",)) == ((), (1,))
    assert flips(("x", "z")) == ((), (0,), (2,), (0, 2))
    assert len(set(flips(("x", "y", "z")))) == 8

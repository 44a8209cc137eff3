from __future__ import annotations

import pytest

from pipelines.common.whole import whole_number


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("007", 7), (12, 12), ("999999999", 999_999_999)])
def test_it_is_read(value: object, number: int) -> None:
    assert whole_number(value) == number


@pytest.mark.parametrize(
    "value",
    ["", "-1", "1.0", "1e3", " 1", "\u00b2", "1" * 10, "9" * 5_000, None, True, [1], 1.0, -1],
)
def test_it_is_none(value: object) -> None:
    assert whole_number(value) is None

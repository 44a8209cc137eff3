from __future__ import annotations

import pytest

from pipelines.common.yaml_text import load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("a: 1", {"a": 1}), ("[1, 2.5, x, true]", [1, 2.5, "x", True]), ("&a 3", 3)],
)
def test_plain_values_are_read(text: str, value: object) -> None:
    assert load_yaml(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: *a",
        "a: &a {b: 1}\nc:\n  <<: *a",
        "a: [",
        "[" * 5_000,
        "!!timestamp now",
        "!!python/object/apply:os.system [ls]",
        "seed: " + "9" * 5_000,
        "a: \x00",
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        load_yaml(text)

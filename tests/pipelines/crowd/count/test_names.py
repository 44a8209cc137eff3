"""Names of files are safe, short and unique, whatever the inputs are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.crowd.count.names import LONGEST, file_names, safe


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("IMG_1", "IMG_1"),
        ("a b/c", "a_b_c"),
        ("../../etc/passwd", "etc_passwd"),
        ("..", "unnamed"),
        ("", "unnamed"),
        (".hidden", "hidden"),
        ("<script>alert(1)</script>", "script_alert_1_script"),
        ("place de la République", "place_de_la_République"),
        ("人群", "人群"),
        ("a\nb\x00c", "a_b_c"),
        ("$(rm -rf)", "rm_-rf"),
        ("odd\udcff", "odd"),
        ("x" * 500, "x" * LONGEST),
    ],
)
def test_a_name_becomes_safe(text: str, name: str) -> None:
    assert safe(text) == name


def test_one_name_in_two_folders_is_told_apart() -> None:
    paths = [Path("a/x/1.jpg"), Path("a/y/1.jpg"), Path("a/2.jpg"), Path("a/2.png"), Path("b/A.jpg")]
    assert file_names(paths) == ["x_1", "y_1", "a_2", "a_2_2", "A"]
    assert (
        file_names([Path("/1.jpg"), Path("/b/1.jpg")]) == ["1", "b_1"]
        or len(set(file_names([Path("/1.jpg"), Path("/b/1.jpg")]))) == 2
    )
    long = "x" * 200
    assert len(set(file_names([Path(f"a/{long}1.jpg"), Path(f"a/{long}2.jpg")]))) == 2


@given(st.lists(st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text), max_size=6))
def test_names_are_always_unique_and_safe(texts: list[str]) -> None:
    names = file_names([Path("in") / text for text in texts])
    assert len({name.casefold() for name in names}) == len(texts)
    for name in names:
        assert name and not name.startswith(".") and "/" not in name and "\\" not in name
        assert len(name.encode()) < 240

"""Tables for spreadsheets: no text becomes a formula, and each comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.tables import Table, plain, safe

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", '=HYPERLINK("http://x")']


def written(columns: list[str], *rows: dict[str, object]) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    Table(file, columns).writerows(rows)
    file.seek(0)
    return list(csv.DictReader(file))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_text_and_comes_back(text: str) -> None:
    (row,) = written(["name", "value"], {"name": text, "value": 1})
    assert row == {"name": "'" + text, "value": "1"}
    assert plain(row["name"]) == text


@pytest.mark.parametrize(
    "value", [-1, -0.5, float("-inf"), "-1", "+2.5e3", "LOT-1", "'quoted'", "", "a=b", True]
)
def test_what_is_no_formula_stays(value: object) -> None:
    assert str(safe(value)) == str(value)


def test_a_formula_in_the_header_is_text_too() -> None:
    assert written(["=a"], {"=a": 1}) == [{"'=a": "1"}]


def test_columns_that_a_row_lacks_or_has_besides() -> None:
    assert written(["a", "b"], {"b": None, "c": 3}) == [{"a": "", "b": ""}]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_comes_back_and_begins_no_formula(text: str) -> None:
    cell = written(["a", "b"], {"a": text, "b": "x"})[0]["a"]
    assert plain(cell) == text
    try:
        float(cell)
    except ValueError:
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")

"""Tables for spreadsheets: no text becomes a formula, and each comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.tables import Table, plain, safe

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", "'=1", '=HYPERLINK("http://x")']
FORMULAS += ["＝1+1", "＋1+1", "－2+3", "＠SUM(A1)"]
SIGNS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
# Mostly what is special in some table.
HARD = st.text(
    st.one_of(st.sampled_from("=+-@\t\r\n;,\"' a1＝＋－＠"), st.characters(exclude_categories=["Cs"]))
)


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
    ("text", "cell"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x\t=1+1", "x\t'=1+1"),
        ("x\n@SUM(A1)", "x\n'@SUM(A1)"),
        ("x\r\n=1", "x\r\n'=1"),
        ('x;"=1+1"', 'x;"\'=1+1"'),
        ("x;'=1+1", "x;''=1+1"),
        ("=1;;-1", "'=1;;'-1"),
        ("\t=1", "'\t'=1"),
        ("x;＝1+1", "x;'＝1+1"),
    ],
)
def test_a_formula_within_a_cell_is_written_as_text_and_comes_back(text: str, cell: str) -> None:
    assert safe(text) == cell
    assert plain(cell) == text


@pytest.mark.parametrize(
    "value",
    [-1, -0.5, float("-inf"), "-1", "+2.5e3", "LOT-1", "'quoted'", "", "a=b", "a; b", "x;1", "a;'b'", True],
)
def test_what_is_no_formula_stays(value: object) -> None:
    assert str(safe(value)) == str(value)


def test_a_formula_in_the_header_is_text_too() -> None:
    assert written(["=a"], {"=a": 1}) == [{"'=a": "1"}]


def test_columns_that_a_row_lacks_or_has_besides() -> None:
    assert written(["a", "b"], {"b": None, "c": 3}) == [{"a": "", "b": ""}]


@given(HARD)
def test_any_text_is_marked_and_unmarked_exactly(text: str) -> None:
    assert plain(str(safe(text))) == text


@given(st.lists(HARD, min_size=3, max_size=3), st.sampled_from(";\t"))
def test_no_text_becomes_a_formula_where_another_sign_separates_cells(
    texts: list[str], separator: str
) -> None:
    file = io.StringIO(newline="")
    Table(file, ["a", "b", "c"]).writerow(dict(zip("abc", texts, strict=True)))
    # As a spreadsheet takes quotes: only those at the start of a cell hold it together.
    for row in csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=separator):
        assert [cell for cell in row if cell.startswith(SIGNS) and not is_number(cell)] == []


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_comes_back_and_begins_no_formula(text: str) -> None:
    cell = written(["a", "b"], {"a": text, "b": "x"})[0]["a"]
    assert plain(cell) == text
    assert is_number(cell) or not cell.startswith(SIGNS)

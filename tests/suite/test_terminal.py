from __future__ import annotations

import shutil
import sys

import pytest

from suite.terminal import MAX_CELL, called, error, print_table, printable, progress


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("LOT-7 / Ω µm 晶圆", "LOT-7 / Ω µm 晶圆"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\r\nb\tc\x00", "a\\r\\nb\\tc\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("name\udcff", "name\\udcff"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).encode("utf-8")


def test_a_table_off_a_terminal_is_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("A", "1"), ("\x1b[31mred", "1000")]
    print_table(("name", "count"), lambda: rows, right=("count",))
    assert capsys.readouterr().out == "name         count\nA                1\n\\x1b[31mred   1000\n"


def test_a_long_cell_widens_no_table_and_keeps_both_its_ends(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{'x' * 10_000}{end}" for end in ("-W01", "-W02")]
    rows = [(name, "1", "a sentence " * 10) for name in [*names, "\x1b" * 100, "y" * MAX_CELL]]
    print_table(("lot", "count", "why"), lambda: rows, right=("count",))
    lines = capsys.readouterr().out.splitlines()
    cells = [line[:MAX_CELL] for line in lines[1:]]
    assert [len(cell.rstrip()) for cell in cells] == [MAX_CELL] * 4
    assert all(
        cell.startswith("xxx") and cell.endswith(end)
        for cell, end in zip(cells, ("-W01", "-W02"), strict=False)
    )
    assert len(set(cells)) == 4 and "..." in cells[0] and cells[3] == "y" * MAX_CELL
    assert all(line.endswith(("a sentence " * 10).rstrip()) and len(line) < 200 for line in lines[1:])


def test_a_long_cell_is_cut_on_a_terminal_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    print_table(("lot", "count"), lambda: [("x" * 10_000, "1")], right=("count",))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_error_is_one_message_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    error("the file \x1b[1m is bad\nand so is the next")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: the file \\x1b[1m is bad\nand so is the next\n"


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=False) as tell:
        tell("half way")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize(
    ("by", "on_path", "typed"),
    [
        ("/a b/.venv/bin/suite", None, "'/a b/.venv/bin/suite'"),
        ("/a b/.venv/bin/suite", "/usr/bin/suite", "suite"),
        ("/a/bin/pytest", None, "suite"),
    ],
)
def test_the_command_is_named_so_that_it_is_found(
    by: str, on_path: str | None, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [by, "list"])
    monkeypatch.setattr(shutil, "which", lambda name: on_path)
    assert called() == typed

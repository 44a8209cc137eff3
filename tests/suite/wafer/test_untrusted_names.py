"""Names that others chose: they do no harm in the table, the report, the terminal, a KLARF file or a path."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipelines.common.tables import plain
from tests.pipelines.wafer.test_classify import write_maps
from tests.suite.wafer.conftest import classify

NAMES = {
    "html": "<img src=x onerror=alert(1)></script><script>alert(2)</script>",
    "quotes": "\"'`${a}{{7*7}}",
    "lines": "one\r\ntwo\nthree",
    "path": "../../../etc/passwd",
    "formula": "=cmd|' /C calc'!A0",
    "terminal": "\x1b[2J\x1b]0;owned\x07\u202egnp.exe",
    "long": "x" * 10_000,
    "klarf": 'a"; WaferID "b',
}


class Elements(HTMLParser):
    """The elements that a page has, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", NAMES)
def test_a_lot_with_this_name_does_no_harm(kind: str, tmp_path: Path) -> None:
    name = NAMES[kind]
    write_maps(tmp_path / "harmless" / "a.npz", [3], "LOT")
    write_maps(tmp_path / "in" / "a.npz", [3], name)
    assert classify("harmless", "--out", "plain").exit_code == 0
    before = files(tmp_path)

    result = classify("in", "--out", "run", "--write-klarf", "back.klarf")
    assert result.exit_code == 0, result.stderr
    assert not set("\x1b\x07\u202e\r") & set(result.stdout + result.stderr)
    added = {path.parts[0] for path in files(tmp_path) - before}
    assert added == {"run", "back.klarf"}

    run = tmp_path / "run"
    (row,) = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert row["lot"] == name
    with (run / "results.csv").open(newline="", encoding="utf-8") as file:
        (cells,) = csv.DictReader(file)
    assert plain(cells["lot"]) == name
    assert cells["lot"][0] not in "=+-@\t\r"

    page, harmless = ((tmp_path / one / "report.html").read_text() for one in ("run", "plain"))
    assert Elements(page).found == Elements(harmless).found
    klarf = (tmp_path / "back.klarf").read_text()
    assert len(re.findall(r"(?m)^WaferID\b", klarf)) == 1 and len(re.findall(r"(?m)^LotID\b", klarf)) == 1
    assert not set(map(chr, range(32))) - {"\n"} & set(klarf)


@pytest.mark.parametrize("name", ["=cmd.npz", "-rf.npz", "<b>.npz", "a\nb.npz", "\x1b[2J.npz", "%s{0}.npz"])
def test_a_file_with_this_name_does_no_harm(name: str, tmp_path: Path) -> None:
    write_maps(tmp_path / "in" / name, [3], "LOT")
    result = classify("in", "--out", "run")
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>." not in page
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        (cells,) = csv.DictReader(file)
    assert cells["source"] == f"in/{name}"

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.files import replacing
from pipelines.wafer import report
from pipelines.wafer.classify import classify
from pipelines.wafer.config import ClassifyConfig
from tests.pipelines.wafer.double import Double
from tests.pipelines.wafer.test_classify import write_maps, write_unplaced

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&amp;\"'\u2028"


class Page(HTMLParser):
    """What an HTML parser makes of a page: its elements, its scripts and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif "style" not in self._inside:
            self.text += data

    def script(self, kind: str) -> list[str]:
        return [text for attributes, text in self.scripts if attributes.get("class") == kind]


def read(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def read_rows(page: Page) -> list[dict[str, Any]]:
    fields = json.loads(next(text for attributes, text in page.scripts if attributes.get("id") == "fields"))
    return [dict(zip(fields, row, strict=True)) for text in page.script("rows") for row in json.loads(text)]


def cut_short(path: Path, whole: Path) -> None:
    path.write_bytes(whole.read_bytes()[:300])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_maps(tmp_path / "lots" / "a.npz", [3, 17, 25, 4000])
    cut_short(tmp_path / "lots" / "b.npz", tmp_path / "lots" / "a.npz")
    (tmp_path / "lots" / "LICENSE").write_text("You may read this.")
    config = ClassifyConfig(false_alarm_rate=0.02, alarm_on=("novel",))
    classify([tmp_path / "lots"], predictor=Double(), out=tmp_path / "run", config=config)
    return tmp_path / "run"


def test_the_summary_says_what_was_found(run: Path) -> None:
    text = " ".join(read(run).text.split())
    for part in (
        "1novel",
        "2known",
        "1normal",
        "1failed",
        "1 map is what this run was to raise an alarm about: novel",
        "double: 4 maps; novel above a score of 20.5",
        "False-alarm rate2.00%",
        "native on cpu",
        "1 failed",
        "b.npz",
        "1 file was skipped",
        "LICENSE",
    ):
        assert part in text, part


def test_maps_without_positions_are_told_apart(tmp_path: Path) -> None:
    write_maps(tmp_path / "lots" / "a.npz", [3, 25])
    write_unplaced(tmp_path / "lots" / "b.klarf", 8)
    classify([tmp_path / "lots"], predictor=Double(), out=tmp_path / "run")
    page = read(tmp_path / "run")
    text = " ".join(page.text.split())
    assert "1unplaceddefects listed without positions" in text
    assert "0failed" in text
    assert "Wafer maps: 2 classified, 0 novel" in text
    row = read_rows(page)[2]
    assert (row["status"], row["decision"], row["class"], row["defects"]) == ("ok", "", "", 8)
    assert "8 defects" in row["error"]


def test_every_row_and_map_is_in_the_page(run: Path) -> None:
    page = read(run)
    rows = read_rows(page)
    written = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert rows == [{name: one.get(name) for name in report.FIELDS} for one in written]
    maps = [json.loads(line) for text in page.script("maps") for line in text.split("\n")]
    assert [one and one["n"] for one in maps] == [3, 17, 25, 4000, None]
    assert [len(one["p"]) * 3 // 16 for one in maps[:4]] == [3, 17, 25, 3000]


def test_the_page_needs_no_network(run: Path) -> None:
    page = read(run)
    allowed = {"meta", "style", "script", "canvas", "dialog", "button", "input", "select", "option"}
    assert allowed & {tag for tag, _ in page.elements} == allowed
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "video", "audio"}
        assert not {"src", "href", "srcset", "action", "onclick"} & attributes.keys()
    policies = [attributes.get("content") for _, attributes in page.elements if "http-equiv" in attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"]
    assert "http://" not in (run / "report.html").read_text()
    assert "https://" not in (run / "report.html").read_text()


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "\u2215")
    whole = write_maps(tmp_path / "lots" / f"{name[:60]}.npz", [3, 17], HOSTILE)
    cut_short(tmp_path / "lots" / f"{name[:60]}.bad.npz", whole)
    (tmp_path / "lots" / f"{name[:60]}.txt").write_text("nothing")

    double = Double(HOSTILE)
    config = ClassifyConfig(alarm_on=(HOSTILE,), device="cpu")
    classify([tmp_path / "lots"], predictor=double, out=tmp_path / "run", config=config)
    page, plain = read(tmp_path / "run"), Page(_page_of_nothing(tmp_path))
    assert [row["lot"] for row in read_rows(page)[1:]] == [HOSTILE, HOSTILE]
    # The same elements as in a page without names: nothing in a name became one.
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements} | {"tr", "th", "td", "i"}
    assert [attributes for attributes, _ in page.scripts] == [attributes for attributes, _ in plain.scripts]
    assert "alert(1)" not in page.scripts[-1][1]
    assert "alert(1)" in page.text


def _page_of_nothing(tmp_path: Path) -> str:
    whole = write_maps(tmp_path / "plain" / "a.npz", [3, 17])
    cut_short(tmp_path / "plain" / "b.npz", whole)
    (tmp_path / "plain" / "c.txt").write_text("nothing")
    classify([tmp_path / "plain"], predictor=Double(), out=tmp_path / "plain-run")
    return (tmp_path / "plain-run" / "report.html").read_text(encoding="utf-8")


def test_a_script_element_cannot_be_left() -> None:
    text = report.as_json({"a": HOSTILE})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": HOSTILE}


def test_few_maps_are_drawn_in_full_and_many_with_fewer_defects() -> None:
    assert report.points_per_map([16_000] * 5_000) == 3_000
    fewer = report.points_per_map([16_000] * 20_000)
    assert fewer % 3 == 0
    assert report.MIN_POINTS <= fewer < 3_000
    assert 20_000 * fewer * 16 / 3 <= report.MAX_DRAWING_BYTES
    assert report.points_per_map([700] * 100_000) == 3_000
    assert report.points_per_map([]) == 3_000


def test_thinned_maps_are_still_whole_base64(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_DRAWING_BYTES", 6_000)
    record = json.loads((run / "run.json").read_text())
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    maps = (run / "maps.jsonl").read_text().splitlines()
    file = io.StringIO()
    report.write(file, record, zip(rows, maps, strict=True), map(len, maps))
    drawn = [json.loads(line) for text in Page(file.getvalue()).script("maps") for line in text.split("\n")]
    points, over = divmod(len(drawn[3]["p"]), 16)
    assert over == 0
    assert report.MIN_POINTS <= points * 3 < 3_000
    assert drawn[3]["p"] == json.loads(maps[3])["p"][: len(drawn[3]["p"])]
    assert drawn[3]["n"] == 4000
    assert drawn[:3] == [json.loads(line) for line in maps[:3]]


def test_many_maps_are_written_in_blocks(run: Path, tmp_path: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    row = json.loads((run / "results.jsonl").read_text().splitlines()[0])
    count = 2 * report.BLOCK + 1
    with replacing(tmp_path / "page.html") as file:
        report.write(file, record, ((row | {"map": number}, "null") for number in range(count)), [4] * count)
    page = Page((tmp_path / "page.html").read_text())
    assert [len(text.split("\n")) for text in page.script("maps")] == [report.BLOCK, report.BLOCK, 1]
    assert [row["map"] for row in read_rows(page)] == list(range(count))

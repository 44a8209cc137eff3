"""Methods compared: matching, results against scipy, who is better, and the page."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from pipelines.common.errors import UserError
from pipelines.medical import compare_page
from pipelines.medical.compare import STATISTICS, Comparison, Pair, compare, write
from pipelines.medical.measurements import Measurement, Method, distinct_names, read_measurements
from tests.pipelines.medical.masks import label_map, run, shifted, write_maps, write_run

COLUMNS = ("dice", "nsd_1mm", "hd95_mm", "asd_mm", "volume_error", "absolute_volume_error")
MAPS = {f"case_{number}": label_map(number) for number in range(5)}


def method(
    name: str,
    dice: Mapping[str, Sequence[float | None]],
    *,
    missed: Sequence[int] = (),
    failed: Sequence[str] = (),
    truth_ml: float = 1.0,
) -> Method:
    """A method with Dice per label and case; its HD95 is 10 (1 - Dice) mm."""
    rows = {}
    for label, values in dice.items():
        for number, value in enumerate(values):
            case = f"case_{number:03d}"
            if case in failed:
                continue
            far = None if value is None else 10 * (1 - value)
            scores = dict(zip(COLUMNS, (value, value, far, far, far, far), strict=True))
            kind = "absent" if value is None else "missing" if number in missed else "found"
            rows[case, label] = Measurement(kind, truth_ml, scores)
    return Method(name, f"{name}.csv", rows, tuple(failed), COLUMNS)


def draw(
    seed: int, count: int, shift: float = 0.0, labels: Sequence[str] = ("liver", "spleen")
) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(99).uniform(0.5, 0.8, (len(labels), count))
    return {
        label: (common[at] + shift + rng.normal(0, 0.02, count)).tolist() for at, label in enumerate(labels)
    }


def pairs_of(found: Comparison, metric: str) -> dict[tuple[str, str, str], Pair]:
    return {
        (one.label, pair.first, pair.second): pair
        for each, labels in found.metrics
        if each.name == metric
        for one in labels
        for pair in one.pairs
    }


def test_numbers_are_those_of_scipy() -> None:
    values = {
        name: draw(seed, 20, shift)
        for seed, (name, shift) in enumerate({"a": 0, "b": 0.02, "c": 0.021}.items())
    }
    found = compare([method(name, one) for name, one in values.items()])
    assert [metric.name for metric, _ in found.metrics] == ["dice", "nsd_1mm", "hd95_mm", "asd_mm"]
    pairs = pairs_of(found, "dice")
    assert list(pairs) == [(label, *two) for label in ("liver", "spleen") for two in ("ab", "ac", "bc")]
    for (label, first, second), pair in pairs.items():
        a, b = (np.array(values[name][label]) for name in (first, second))
        test = scipy.stats.permutation_test(
            (a - b,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1
        )
        assert pair.p == pytest.approx(test.pvalue, abs=0.02)
        assert pair.difference == pytest.approx((a - b).mean())
        assert pair.low is not None and pair.high is not None
        assert pair.low < pair.difference < pair.high
        assert (pair.wins, pair.ties, pair.losses) == ((a > b).sum(), 0, (a < b).sum())
    adjusted = scipy.stats.false_discovery_control([pair.p for pair in pairs.values()])
    np.testing.assert_allclose([pair.p_adjusted for pair in pairs.values()], adjusted)
    dice = found.metrics[0][1]
    tests = [scipy.stats.friedmanchisquare(*(values[name][one.label] for name in "abc")) for one in dice]
    assert [one.friedman and one.friedman["p"] for one in dice] == pytest.approx(
        [each.pvalue for each in tests]
    )
    assert [one.friedman and one.friedman["p_adjusted"] for one in dice] == pytest.approx(
        scipy.stats.false_discovery_control([each.pvalue for each in tests])
    )


def test_better_means_higher_dice_and_lower_distance() -> None:
    found = compare([method("good", draw(0, 15, 0.1)), method("bad", draw(1, 15))])
    for metric in ("dice", "hd95_mm"):
        for pair in pairs_of(found, metric).values():
            assert pair.better == "good"
            assert (pair.wins, pair.losses) == (15, 0)
            assert np.sign(pair.difference) == (1 if metric == "dice" else -1)
            assert pair.cohens_d is not None and np.sign(pair.cohens_d) == np.sign(pair.difference)
    swapped = compare([method("bad", draw(1, 15)), method("good", draw(0, 15, 0.1))])
    assert {pair.better for pair in pairs_of(swapped, "hd95_mm").values()} == {"good"}


def test_equal_methods_differ_in_nothing() -> None:
    found = compare([method("a", draw(0, 8)), method("b", draw(0, 8))])
    for pair in pairs_of(found, "dice").values():
        assert (pair.difference, pair.low, pair.high, pair.p_adjusted, pair.better) == (0, 0, 0, 1, "")
        assert (pair.cohens_d, pair.rank_biserial, pair.ties) == (None, None, 8)


def test_only_matched_cases_count() -> None:
    a = method("a", {"liver": [0.5, 0.6, None, 0.8, 0.9], "spleen": [0.5] * 5}, failed=["case_001"])
    b = method("b", {"liver": [0.4, 0.5, 0.0, 0.7], "kidney": [0.5] * 4})
    found = compare([a, b], metrics=["dice"])
    ((_, (liver,)),) = found.metrics
    assert liver.cases == ("case_000", "case_003")
    assert liver.left_out == 1
    np.testing.assert_allclose(liver.values, [[0.5, 0.4], [0.8, 0.7]])
    assert "2 cases are not in every input" in found.notes[0]
    assert "kidney, spleen" in found.notes[1]


def test_misses_are_kept_and_counted() -> None:
    a = method("a", {"liver": [0.0, 0.9, 0.9]}, missed=[0])
    found = compare([a, method("b", {"liver": [0.9, 0.9, 0.9]})], metrics=["dice"])
    document = found.document()
    liver = document["metrics"]["dice"]["labels"]["liver"]
    assert liver["methods"]["a"] == {
        "mean": pytest.approx(0.6),
        "sd": pytest.approx(0.9 / np.sqrt(3)),
        "median": 0.9,
        "misses": 1,
    }
    assert document["detection"]["liver"] == {
        "a": {"missing": 1, "false": 0},
        "b": {"missing": 0, "false": 0},
    }
    assert document["definitions"].keys() >= {"dice", "empty", "surface", *STATISTICS}
    assert json.loads(json.dumps(document)) == document


def test_one_case_is_little_but_no_error() -> None:
    found = compare(
        [method(name, {"liver": [value]}) for name, value in (("a", 0.5), ("b", 0.7), ("c", 0.6))]
    )
    ((_, (liver,)), *_) = found.metrics
    assert liver.friedman is None
    assert all((pair.p, pair.low, pair.cohens_d) == (1, None, None) for pair in liver.pairs)


def test_another_truth_is_noticed() -> None:
    found = compare([method("a", draw(0, 4)), method("b", draw(1, 4), truth_ml=1.2)])
    assert "liver of case_000 has 1 ml in one and 1.2 ml in another" in found.notes[0]


def test_what_cannot_be_compared() -> None:
    a, b = method("a", draw(0, 4)), method("b", draw(1, 4))
    with pytest.raises(UserError, match="two to 8 methods"):
        compare([a])
    with pytest.raises(UserError, match="two to 8 methods"):
        compare([a] * 9)
    with pytest.raises(UserError, match="compare absolute_volume_error"):
        compare([a, b], metrics=["volume_error"])
    with pytest.raises(UserError, match="there is no metric 'die'"):
        compare([a, b], metrics=["die"])
    with pytest.raises(UserError, match="not every input has the column iou"):
        compare([a, b], metrics=["iou"])
    with pytest.raises(UserError, match="share no case and label"):
        compare([a, method("c", {"kidney": [0.5]})])


def test_names_that_tell_methods_apart(tmp_path: Path) -> None:
    sources = [tmp_path / "one/a.csv", tmp_path / "two/a.csv", tmp_path / "b.csv", tmp_path / "b.csv"]
    methods = [Method(path.stem, str(path), {}, (), ()) for path in sources]
    names = [one.name for one in distinct_names(methods)]
    assert names[:2] == ["one/a", "two/a"]
    assert len(set(names)) == 4


HEAD = "case,label,value,status,detection,dice,note\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no evaluation"),
        ("case,label\na,b\n", "is no evaluation"),
        (HEAD, "is no evaluation"),
        (HEAD + "a,liver,1,ok,found,high,\n", "row 1 holds something that is no number"),
        (HEAD + "a,liver,1,ok,found,nan,\n", "row 1 holds something that is no number"),
        (HEAD + "a,liver,1,ok,found,1,\n" * 2, "liver of a is there twice"),
        ('{"rows": 3}', "it has no rows"),
        ("{", "cannot be read"),
        ('{"rows": [{"case": "a", "label": "b", "status": "ok", "detection": "", "dice": []}]}', "no number"),
        ('{"rows": []}', "is no evaluation"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=problem):
        read_measurements(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is no text"):
        read_measurements(tmp_path / "a.csv")


@pytest.fixture
def evaluated(tmp_path: Path) -> list[Path]:
    """The same five cases: exact, one voxel off, and two voxels off with a structure missing."""
    truth = write_maps(tmp_path / "truth", MAPS)
    off = shifted(MAPS, 2)
    off["case_3"] = np.where(off["case_3"] == 2, 0, off["case_3"])
    files = []
    for name, maps in {"exact": MAPS, "near": shifted(MAPS), "off": off}.items():
        folder = write_run(tmp_path / name, maps, {"front": 1, "back": 2})
        files.append(tmp_path / f"{name}.csv")
        assert run("evaluate", folder, truth, "--out", files[-1]).exit_code == 0
    return files


def test_the_command_from_files_from_json_and_from_masks(tmp_path: Path, evaluated: list[Path]) -> None:
    from_csv = run("compare", *evaluated, "--json", "--out", tmp_path / "one")
    assert from_csv.exit_code == 0, from_csv.output
    found = json.loads(from_csv.stdout)
    as_json = tmp_path / "exact.json"
    as_json.write_text(run("evaluate", tmp_path / "exact", tmp_path / "truth", "--json").stdout)
    masks = [tmp_path / "near", tmp_path / "off"]
    mixed = run(
        "compare", as_json, *masks, "--truth", tmp_path / "truth", "--json", "--out", tmp_path / "two"
    )
    assert mixed.exit_code == 0, mixed.output
    again = json.loads(mixed.stdout)
    assert again["metrics"] == found["metrics"]
    assert [one["name"] for one in again["methods"]] == ["exact", "near", "off"]
    saved = json.loads((tmp_path / "one/compare.json").read_text())
    assert found == {"out": str(tmp_path / "one")} | saved
    with (tmp_path / "one/pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2 * 3
    assert rows[0]["metric"] == "dice"
    assert rows[0]["better_is"] == "higher"


def test_the_command_prints_a_table(tmp_path: Path, evaluated: list[Path]) -> None:
    words = ["compare", *evaluated, "--names", "A,B,C", "--metric", "hd95_mm", "--out", tmp_path / "out"]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert re.search(r"hd95_mm \(lower\)\s+front\s+A - B\s+-1 ", result.stdout)
    assert re.search(r"Friedman\s+label\s+chi-square\s+p adjusted\nhd95_mm\s+front\s+10 ", result.stdout)
    assert str(tmp_path / "out/report.html") in result.stdout
    refused = run(*words)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert run(*words, "--overwrite").exit_code == 0


def test_usage_errors(tmp_path: Path, evaluated: list[Path]) -> None:
    def message(*words: object) -> str:
        result = run("compare", *words, "--out", tmp_path / "out")
        assert (result.exit_code, result.stdout) == (2, "")
        assert not (tmp_path / "out").exists()
        return result.stderr

    assert "two to 8 methods" in message(evaluated[0])
    assert "give --truth" in message(evaluated[0], tmp_path / "near")
    for names in ("A", "A,A,B", "A,B,", "A,B,C,D"):
        assert "--names needs 3 different names" in message(*evaluated, "--names", names)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    result = run("compare", *evaluated, "--out", tmp_path / "full", "--overwrite")
    assert result.exit_code == 2
    assert "holds other files" in result.stderr


class Page(HTMLParser):
    """Checks that tags close, and collects tags and attributes."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(found: Comparison, tmp_path: Path) -> tuple[str, Page]:
    write(found, tmp_path / "page")
    text = (tmp_path / "page/report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_draws_every_case_and_pair(tmp_path: Path) -> None:
    methods = [method("a", draw(0, 12), missed=[4]), method("b", draw(1, 12, 0.1)), method("c", draw(2, 12))]
    text, page = page_of(compare(methods, metrics=["dice"]), tmp_path)
    classes = [attributes.get("class") for _, attributes in page.tags]
    assert classes.count("dot") == 2 * 3 * 12 - 2
    assert classes.count("miss") == 2  # case 4 of a, for both labels
    assert classes.count("link") == 2 * 12
    assert classes.count("point") == 2 * 3
    assert classes.count("box") == 2 * 3
    assert "higher is better" in text
    assert "b is better" in text
    for _, attributes in page.tags:
        for name in ("cx", "cy", "x", "y", "x1", "x2", "y1", "y2"):
            if name in attributes:
                assert np.isfinite(float(attributes[name] or "nan"))
                assert -1 <= float(attributes[name] or "nan") <= 1240 or name.endswith("y")


def test_the_page_needs_no_network_and_no_script_and_trusts_no_name(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x>"
    methods = [method(f"{hostile}{number}", {hostile: [0.5, 0.6, 0.7]}) for number in range(2)]
    text, page = page_of(compare(methods), tmp_path)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe"}
    assert "default-src 'none'" in text
    assert not re.search(r"(?:src|href)=|url\(|https?://", text.replace("&lt;img src=x&gt;", ""))


def test_the_page_of_many_cases_stays_small(tmp_path: Path) -> None:
    labels = [f"label {number}" for number in range(20)]
    methods = [method(str(seed), draw(seed, 400, labels=labels)) for seed in range(4)]
    text, page = page_of(compare(methods, metrics=["dice"], draws=1_000), tmp_path)
    assert len(text) < 1_500_000
    assert "link" not in {attributes.get("class") for _, attributes in page.tags}


def test_the_page_of_many_methods_draws_pairs_with_the_first(tmp_path: Path) -> None:
    methods = [method(f"m{seed}", draw(seed, 5)) for seed in range(6)]
    text, page = page_of(compare(methods, metrics=["dice"]), tmp_path)
    assert [attributes.get("class") for _, attributes in page.tags].count("point") == 2 * 5
    assert "the pairs with the first method" in text
    assert text.count("m4 − m5") == 2  # in the numbers


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_the_page_of_equal_values(tmp_path: Path, value: float) -> None:
    methods = [method(name, {"liver": [value] * 3}) for name in "ab"]
    page_of(compare(methods), tmp_path)


def test_an_interval_much_wider_than_the_others_is_cut(tmp_path: Path) -> None:
    labels = ["a", "b", "c", "d"]
    first, second = draw(0, 12, labels=labels), draw(1, 12, labels=labels)
    first["d"] = [0.0] * 6 + first["d"][6:]
    _, page = page_of(compare([method("x", first), method("y", second)], metrics=["dice"]), tmp_path)
    assert [attributes.get("class") for _, attributes in page.tags].count("interval open") == 1


def test_numbers_as_people_read_them() -> None:
    assert compare_page.number(-0.01234) == "−0.0123"
    assert compare_page.number(None) == ""
    assert [compare_page.p_text(p) for p in (0.0004, 0.0123, 1.0)] == ["< 0.001", "0.012", "1.000"]


def test_results_repeat_with_the_seed_and_hold_plain_numbers(tmp_path: Path) -> None:
    methods = [method(name, draw(seed, 30, 0.005 * seed)) for seed, name in enumerate("ab")]
    one, again, other = (compare(methods, seed=seed).document() for seed in (1, 1, 2))
    assert one == again
    assert one["metrics"] != other["metrics"]

    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for each in value.values() for leaf in leaves(each)]
        return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list) else [value]

    assert {type(leaf) for leaf in leaves(one)} <= {str, int, float, bool, type(None)}

"""The documentation names only what is there: commands, options, files, links; and no machine's paths."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from suite.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in (
        "README.md",
        "CHANGELOG.md",
        "docs/**/*.md",
        "pipelines/**/README.md",
        "sample_data/**/*.md",
    )
    for path in ROOT.glob(pattern)
)
# Folders that hold what is named without its full path, most often from the page's own folder.
ROOTS = ("", "docs", "pipelines/wafer", "pipelines/wafer/data", "pipelines/common", "examples/digits")
EXAMPLE = "suite digits "  # commands that tests/examples builds and runs
# Words that stand for what the reader has or what a command makes.
MADE = {
    *("results.csv", "results.jsonl", "run.json", "report.html", "maps.jsonl", "labels.csv", "reviewed.csv"),
    *(
        "frames.jsonl",
        "latents.jsonl",
        "clusters.csv",
        "clusters.json",
        "points.csv",
        "excursions.csv",
        "monitor.json",
    ),
    *("config.json", "metrics.json", "model.safetensors", "examples.safetensors", "README.md"),
    *("maps.npz", "mydata/maps.npz", "fullres/maps.npz", "results.klarf", "train.npz", "val.npz"),
    *("heads.csv", "held_out.csv", "polyps.csv", "frames.csv", "calibration.json", "settings.json"),
    "reviewed_polyps.csv",
    *(
        "_truth.json",
        "lesion_info.csv",
        "video_info.csv",
        "kavsir_bboxes.json",
        "annotation_txt/case1.txt",
        ".csv",
    ),
    *(".npz", ".npy", "cases.csv", "cases.json", "dataset.json"),
}
MADE_FOLDERS = ("runs/", ".cache/", ".venv/", "FOLDER/", "RUN/")

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FILE_NAME = re.compile(
    r"[\w./{},-]*\.(?:py|md|json|jsonl|html|csv|toml|txt|yaml|npz|safetensors|klarf|j2|png)"
)
PLACEHOLDER = re.compile(
    r"\{[^{},]*\}"
)  # {video}_masks is a name of the reader's; {sinf,g85}.py is two of ours
FORBIDDEN = (
    (re.compile(r"(?<![\w.~])/(?:work|home|root|tmp|mnt|Users|opt)/"), "a machine's path"),
    (re.compile(r"\b(?:localhost|127\.0\.0\.1)\b"), "a machine's address"),
    (re.compile(r"https?://(?!github\.com/NVIDIA/MinkowskiEngine\b)\S+"), "an address outside the project"),
    (re.compile(r"\b(?:TODO|FIXME|TBD|XXX)\b|@[A-Z]+@"), "something unfinished"),
)


def commands(text: str) -> Iterator[str]:
    """Every `suite ...` command: the lines of code blocks that begin with it, and code within a sentence."""
    blocks = FENCE.findall(text)
    for line in (line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()):
        if line.startswith(("suite ", ".venv/bin/suite ")):
            yield line
    yield from (code for code in CODE.findall(FENCE.sub("", text)) if code.startswith("suite "))


def mistake(command: str) -> str:
    """What is wrong with a `suite` command: a verb or an option that is not there; empty if nothing is."""
    _, *words = shlex.split(command)
    here: Any = typer.main.get_command(app)
    path = "suite"
    while hasattr(here, "commands") and words and not words[0].startswith("-"):
        if words[0] not in here.commands:
            return f"{words[0]!r} is no command of {path!r}"
        path, here = f"{path} {words[0]}", here.commands[words.pop(0)]
    options = {name: option for option in here.params for name in option.opts}
    while words:
        word, equals, _ = words.pop(0).partition("=")
        if not word.startswith("-") or word in ("-h", "--help"):
            continue
        if word not in options:
            return f"{path!r} has no option {word}"
        if options[word].is_flag:
            continue
        if not equals and not words:
            return f"{word} of {path!r} needs a value"
        words = words if equals else words[1:]
    return ""


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from headings in Markdown on the web."""
    titles = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    """Relative links and images of a page that lead nowhere."""
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.is_relative_to(ROOT)
        if not inside or not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def expanded(name: str) -> list[str]:
    """`data/{sinf,g85}.py` as the names that it stands for."""
    match = re.search(r"\{([^{}]*)\}", name)
    if match is None:
        return [name]
    return [
        each
        for part in match[1].split(",")
        for each in expanded(name[: match.start()] + part + name[match.end() :])
    ]


def missing_files(page: Path) -> list[str]:
    """Files and folders of the project that a page names in code and that are not there."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    tops = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())
    missing = []
    for code in CODE.findall(text):
        words = [word for word in code.split() if not PLACEHOLDER.search(word)]
        named = [word for word in words if FILE_NAME.fullmatch(word) or word.startswith(tops)]
        for name in (each for word in named for each in expanded(word)):
            if name in MADE or name.startswith(("../", *MADE_FOLDERS)) or re.search(r"[A-Z]{4}|<", name):
                continue
            folders = [page.parent, *(ROOT / folder for folder in ROOTS)]
            if not any((folder / name).exists() for folder in folders):
                missing.append(name)
    return missing


def forbidden(text: str) -> list[str]:
    """What a page must not say, with the line it stands in."""
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]}"
        for pattern, what in FORBIDDEN
        for match in pattern.finditer(text)
    ]


pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def test_the_pages_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in PAGES}
    assert {
        "README.md",
        "docs/wafer.md",
        "docs/formats.md",
        "docs/engines.md",
        "docs/architecture.md",
    } <= names


@pages
def test_its_commands_exist(page: Path) -> None:
    found = commands(page.read_text(encoding="utf-8"))
    wrong = [(command, mistake(command)) for command in found if not command.startswith(EXAMPLE)]
    assert [each for each in wrong if each[1]] == []


@pages
def test_its_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pages
def test_the_files_it_names_are_there(page: Path) -> None:
    assert missing_files(page) == []


@pages
def test_it_speaks_of_no_machine_and_is_finished(page: Path) -> None:
    assert forbidden(page.read_text(encoding="utf-8")) == []


def test_the_two_commands_come_first_and_are_there() -> None:
    first = FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))[0].split()
    assert first == ["scripts/demo", "scripts/test"]
    assert all((ROOT / script).stat().st_mode & 0o111 for script in first)


def test_the_table_of_columns_is_complete() -> None:
    from pipelines.wafer.rows import COLUMNS

    text = (ROOT / "docs/wafer.md").read_text(encoding="utf-8")
    table = text[text.index("The columns of `results.csv`") : text.index("## The report")]
    named = [
        name
        for line in table.splitlines()
        if line.startswith("|")
        for name in CODE.findall(line.split("|")[1])
    ]
    assert named == list(COLUMNS)


def test_the_scores_of_the_models_are_those_in_their_folders() -> None:
    text = (ROOT / "docs/wafer.md").read_text(encoding="utf-8")
    names = re.search(r"^\| \| `(.+)` \| `(.+)` \|$", text, re.MULTILINE)
    assert names is not None
    for row, key in (("accuracy", "accuracy"), ("macro-F1", "macro_f1"), ("ECE", "ece")):
        told = re.search(rf"^\| held-out maps: {row} \| (.+) \| (.+) \|$", text, re.MULTILINE)
        assert told is not None
        for name, score in zip(names.groups(), told.groups(), strict=True):
            metrics = ROOT / "pipelines/wafer/models" / name / "metrics.json"
            measured = json.loads(metrics.read_text(encoding="utf-8"))["held_out"][key]
            assert score == f"{measured:.3f}", f"{row} of {name}"


def test_the_images_are_small_and_used() -> None:
    used = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if link.endswith((".png", ".jpg"))
    }
    images = set((ROOT / "docs/images").iterdir())
    assert images == used
    assert max(image.stat().st_size for image in images) < 300_000


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("suite wafer sort maps", "'sort' is no command"),
        ("suite paint", "'paint' is no command"),
        ("suite wafer classify maps --colour red", "has no option --colour"),
        ("suite wafer classify maps --engine", "--engine of 'suite wafer classify' needs a value"),
        ("suite wafer evaluate DATA --out RUN", "has no option --out"),
    ],
)
def test_a_wrong_command_is_found(command: str, problem: str) -> None:
    assert problem in mistake(command)


@pytest.mark.parametrize(
    "command",
    [
        "suite --help",
        "suite --version",
        "suite wafer classify a b --alarm-on novel --alarm-on Scratch --out RUN --resume",
        "suite wafer train DATA --out MODEL --set epochs=4 --seed 1",
    ],
)
def test_a_right_command_passes(command: str) -> None:
    assert mistake(command) == ""


def test_broken_links_and_missing_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "suite").mkdir()
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[good](page.md#a-title) [bad](page.md#another) [gone](gone.md) ![no](no.png)\n"
        "`page.md`, `suite/gone.py`, `{page,other}.md`, `results.csv`\n",
        encoding="utf-8",
    )
    assert broken_links(page) == ["page.md#another", "gone.md", "no.png"]
    assert missing_files(page) == ["suite/gone.py", "other.md"]


@pytest.mark.parametrize(
    "text",
    ["see /home/me/x", "in /tmp/run", "http://localhost:8501", "https://example.org/a", "TODO", "@TABLE@"],
)
def test_what_must_not_be_said_is_found(text: str) -> None:
    assert len(forbidden(text)) >= 1


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    text = "Type `suite list`.\n```\nsuite doctor\n.venv/bin/suite wafer \\\n  --help\nscripts/demo\n```\n"
    assert list(commands(text)) == ["suite doctor", ".venv/bin/suite wafer    --help", "suite list"]

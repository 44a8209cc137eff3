"""What the review page knows of a run: its record, its items, and where their lines lie. It knows no task."""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.common.errors import UserError
from pipelines.common.runs import ROWS, RUN, is_run

if TYPE_CHECKING:
    from apps.store import ItemId, Store, Verdict

Row = Mapping[str, Any]

LARGEST = 1e300  # of a number to sort by; a larger whole number cannot be subtracted from others

# C0 and C1 controls, separators, marks that change the direction of text, lone surrogates.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>:$~^&])")


def visible(text: str) -> str:
    """The text with every unseen character as an escape such as `\\x1b`: names come from files of others."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def plain(text: str) -> str:
    """Markdown that is drawn as just this text: no link, picture, colour or formula can be made by a name."""
    return _MARKDOWN.sub(r"\\\1", visible(text))


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a run, as far as every task has it: a row of `results.jsonl`, or a part of one.

    line: where it stands among the items of the run, counted from 0; it names the item on the page.
    row: the line of its row, counted from 0.
    source, map, hash: what identifies it; the hash is of its contents, and empty if it could not be read.
    title: what a person calls it; group: what it belongs to, such as a lot.
    prediction: the class, or empty if there is none; decision: a word to filter by.
    probability: 0 to 1; novelty, threshold: in the model's unit; None where the model says nothing.
    text: what is searched, in lower case.
    doubt: how uncertain the item is where that is no probability; the queue begins with the highest.
    certainty: how sure the model is, in words such as `(8 to 12)`, in place of the probability.
    """

    line: int
    row: int
    source: str
    map: str
    hash: str
    title: str
    group: str
    prediction: str
    decision: str
    probability: float | None
    novelty: float | None
    threshold: float | None
    model: str
    text: str
    doubt: float | None = None
    certainty: str = ""

    def __post_init__(self) -> None:
        """Raises TypeError where a row has another kind of value, which would stop the sorting of all."""
        for number in (self.probability, self.novelty, self.threshold, self.doubt):
            if number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= LARGEST:
                raise TypeError(f"{number!r:.80} is no number to sort by")
        for text in (self.source, self.map, self.hash, self.title, self.group, self.prediction, self.model):
            if not isinstance(text, str):
                raise TypeError(f"{text!r:.80} is no text")

    @property
    def id(self) -> tuple[str, str, str]:
        return self.source, self.map, self.hash

    @property
    def reviewable(self) -> bool:
        """Whether there is anything to judge: False for what could not be read or classified."""
        return bool(self.hash and self.prediction)


@dataclass(frozen=True, slots=True)
class Mark:
    """What else than to accept it can be said of an item whose class is not in question, such as `reject`.

    label: as verdicts hold it and the button shows it; done: of an item that has it; key: on the keyboard.
    """

    label: str
    done: str
    key: str


@dataclass(frozen=True, slots=True)
class Desk:
    """What a viewer needs to take a verdict of its own.

    store: of the run. reviewer: who is at the page. give: judges an item: its label, and what else is kept
    with the verdict (see `Store.add`). If that cannot be saved, the page says so when it is drawn again.
    """

    store: Store
    reviewer: str
    give: Callable[[Item, str, str], None]


class Viewer(Protocol):
    """What a task brings to the review page: a module of `apps.viewers` with these names."""

    noun: str
    """What one item is called, such as `wafer map`."""
    companion: str
    """The file of the run with a line per row, such as what is drawn of each item."""
    finds: str
    """What is searched, in words."""
    marks: tuple[Mark, ...]
    """What can be said of an item in place of a class; empty where a reviewer names the right class."""
    corrected: str
    """What is said of an item that was given another label, such as `relabelled`; empty if none can be."""
    has_classes: bool
    """Whether predictions are classes, few enough to choose from."""
    columns: tuple[float, float, float]
    """How wide queue, item and verdict are in a wide window, as shares."""
    takes_truth: bool
    """Whether the truth can be shown beside what a model said."""

    def items(self, line: int, row_line: int, row: Row) -> Sequence[Item]:
        """The items of a row of `results.jsonl`, counted from `line`; row_line: where the row stands.

        Raises LookupError, TypeError or ValueError if it is none.
        """

    def banner(self, record: Row) -> str:
        """Markdown that stands above every item of a run, such as what it is not made for; or empty."""

    def classes(self, record: Row, item: Item) -> list[str]:
        """The classes that the model of this item knows. record: the contents of `run.json`."""

    def show(self, run: Run, item: Item, desk: Desk) -> None:
        """Draw the item, with Streamlit, into the place where the page is."""

    def judge(self, run: Run, item: Item, desk: Desk) -> None:
        """Draw what else a person can say of the item, below the buttons of every task."""

    def kept(self, run: Run, item: Item, desk: Desk, label: str) -> str:
        """What is kept with a verdict of the buttons of every task, as the task writes it; or empty.

        label: of the verdict. Raises UserError.
        """

    def details(self, run: Run, item: Item) -> None:
        """Draw what else helps to judge the item, below the picture."""

    def export(self, run: Run, verdicts: Mapping[ItemId, Verdict]) -> str:
        """Write what else than the table of verdicts trains a model; what was written, in words, or empty."""


class Run:
    """A run folder, read once: items in memory, rows and companion lines by their place on the disk.

    groups: the rows of what was classified, by group. ids: of the items that can be judged.
    state: changes when the files of the run do. damaged: how many lines were no row of this task.
    truth: a folder that the user named, or None.
    """

    def __init__(self, path: Path, viewer: Viewer, truth: Path | None = None) -> None:
        """Raises UserError if `path` is no run folder or its rows cannot be read."""
        self.path = path.resolve()
        self.record = read_record(path)
        self.state = run_state(path)
        self.truth = truth
        self._rows = _Lines(path / ROWS)
        self._companion = _Lines(path / viewer.companion)
        self.damaged = 0
        items: list[Item] = []
        for line, text in enumerate(self._rows.each()):
            try:
                items += viewer.items(len(items), line, _row(line, text))
            except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
                self.damaged += 1
        self.items: tuple[Item, ...] = tuple(items)
        self.ids = frozenset(item.id for item in items if item.reviewable)
        self.by_line = {item.line: item for item in items}
        self.groups: dict[str, list[int]] = {}
        for item in items:
            if item.prediction:
                self.groups.setdefault(item.group, []).append(item.row)

    def row(self, line: int) -> Row:
        """The row at this line of `results.jsonl`. Raises ValueError if it is no JSON object."""
        return _row(line, self._rows[line])

    def companion(self, line: int) -> str:
        """The companion's line of the row at `line`. Raises LookupError if there is none."""
        return self._companion[line].decode(errors="replace")

    def limit(self, name: str, default: int) -> int:
        """A limit that the run was made with, such as `max_pixels`; `default` where it says none."""
        config = self.record.get("config")
        found = config.get(name) if isinstance(config, dict) else None
        return found if isinstance(found, int) and found > 0 else default

    def source(self, name: str) -> Path:
        """The file or folder that a row names as read.

        Raises UserError if it is gone, or lies outside the run's inputs: no row may make the page read what
        the run was not given.
        """
        folder = Path(str(self.record.get("folder") or "."))
        given = self.record.get("inputs")
        names = [str(one) for one in given] if isinstance(given, list) else []
        try:
            path, *inputs = ((folder / one).resolve() for one in (name, *names))
            if not any(path == one or path.is_relative_to(one) for one in (*inputs, self.path)):
                raise UserError(f"{visible(name)} does not lie in the inputs of this run")
            if not path.exists():
                raise UserError(f"{visible(name)} is not there any more")
        except (OSError, ValueError, RuntimeError) as error:  # such as a NUL in the name, or one too long
            raise UserError(f"{visible(name)} is no name of a file") from error
        return path

    def artefact(self, name: str) -> Path:
        """The path of a file in the run folder. Raises UserError if the name leads out of it."""
        try:
            path = (self.path / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"{visible(name)} is no name of a file") from error
        if not path.is_relative_to(self.path):
            raise UserError(f"{visible(name)} does not lie in the run folder")
        return path


def read_record(path: Path) -> Row:
    """The contents of `run.json`. Raises UserError if the folder holds no run that can be read."""
    if not path.exists():
        raise UserError(f"there is no folder {path}")
    if not is_run(path):
        damaged = f"its {RUN} is damaged, or no record of a run"
        why = damaged if (path / RUN).is_file() else f"it has no {RUN} that a command of the suite wrote"
        raise UserError(f"{path} is no run folder: {why}")
    record: Row = json.loads((path / RUN).read_text(encoding="utf-8"))
    return record


def model_of(record: Row) -> Row:
    """What `run.json` says of the model; nothing where it is damaged."""
    found = record.get("model")
    return found if isinstance(found, dict) else {}


def run_state(path: Path) -> tuple[int, ...]:
    """What changes when the rows of a run do: time and size of its files."""
    try:
        found = [(path / name).stat() for name in (RUN, ROWS)]
    except OSError as error:
        raise UserError(f"the rows of the run {path} cannot be read: {error.strerror}") from error
    return tuple(number for stat in found for number in (stat.st_mtime_ns, stat.st_size))


def _row(line: int, text: bytes) -> Row:
    row = json.loads(text)
    if not isinstance(row, dict):
        raise ValueError(f"line {line + 1} of {ROWS} holds no row")
    return row


class _Lines:
    """The whole lines of a file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("Q", [0])
        end = 0
        try:
            with path.open("rb") as file:
                for line in file:
                    end += len(line)
                    if line.endswith(b"\n"):
                        self._starts.append(end)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error

    def __len__(self) -> int:
        return len(self._starts) - 1

    def each(self) -> Iterator[bytes]:
        """All lines, in one pass."""
        if len(self):
            with self._path.open("rb") as file:
                yield from islice(file, len(self))

    def __getitem__(self, line: int) -> bytes:
        if not 0 <= line < len(self):
            raise LookupError(f"{self._path.name} has no line {line + 1}")
        start, end = self._starts[line], self._starts[line + 1]
        with self._path.open("rb") as file:
            file.seek(start, os.SEEK_SET)
            return file.read(end - start).rstrip(b"\n")

"""Reading the runs that `classify` left, and the folder for what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.runs import ROWS, RUN
from pipelines.wafer.classify import DRAWINGS
from pipelines.wafer.data.record import MAX_DIAMETER_MM

Row = dict[str, Any]
Key = tuple[str, int]
MAX_COUNT = 10**12  # of maps of a file, and of defects of a map


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run folder of `suite wafer classify`. record: its `run.json`."""

    path: Path
    record: Row

    def rows(self) -> Iterator[Row]:
        """The rows, one at a time; of a run that was killed those that are whole. Raises UserError."""
        path = self.path / ROWS
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if not line.endswith(b"\n"):
                        return
                    yield _row(line, path, number)
        except FileNotFoundError as error:
            raise UserError(f"{self.path} has no {ROWS}") from error

    def drawings(self) -> Iterator[tuple[Row, str]]:
        """The rows with their packed maps (`pipelines.wafer.drawing`); `null` where there is none."""
        try:
            with (self.path / DRAWINGS).open(encoding="utf-8", errors="replace") as lines:
                for row, line in zip_longest(self.rows(), lines):
                    if row is None:
                        return
                    yield row, (line or "null").rstrip("\n")
        except FileNotFoundError:
            yield from ((row, "null") for row in self.rows())

    def key(self, row: Row) -> Key:
        """What names the map of a row across runs: its file as a full path, and its place in it."""
        return (str(Path(self.record.get("folder") or "") / row["source"]), int(row["map"]))

    def space(self, row: Row) -> str:
        """The model that classified the row, as its name and hash: latents of one space compare."""
        models = self.record.get("model", {}).get("models", {})
        known = models.values() if isinstance(models, dict) else models
        found = [str(one.get("sha256", "")) for one in known if one.get("name") == row["model"]]
        return f"{row['model']}@{found[0] if found else ''}"


def open_runs(paths: Sequence[Path]) -> list[PastRun]:
    """The runs in these folders. Raises UserError for one that is none, or a run of another task."""
    if not paths:
        raise UserError("name the folder of a run, or several")
    found: dict[Path, PastRun] = {}
    for path in paths:
        found.setdefault(path.resolve(), PastRun(path, _record(path)))
    return list(found.values())


def distinct_rows(runs: Sequence[PastRun]) -> Iterator[tuple[int, int, Row]]:
    """Number of the run, number of the row in it, and the row: each map once, as the last run with it has it.

    A map that failed in the last run counts as failed, whatever an earlier run made of it.
    """
    if len(runs) == 1:
        yield from ((0, place, row) for place, row in enumerate(runs[0].rows()))
        return
    last: dict[Key, int] = {}
    for number, run in enumerate(runs):
        last.update((run.key(row), number) for row in run.rows())
    for number, run in enumerate(runs):
        for place, row in enumerate(run.rows()):
            if last[run.key(row)] == number:
                yield number, place, row


def timestamp(row: Row) -> datetime | None:
    """When the file says that the map was taken, without a time zone; None if it does not say."""
    try:
        return datetime.fromisoformat(row.get("timestamp") or "").replace(tzinfo=None)
    except ValueError:
        return None


def check_result_folder(out: Path, mark: str, *, overwrite: bool) -> None:
    """Raise UserError unless results, of which the file `mark` is one, may be written to the folder `out`.

    It must be empty or not there, unless `overwrite` is set and `mark` is in it: other files stay.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; --out needs a folder")
    if out.is_dir() and any(out.iterdir()):
        if not (out / mark).is_file():
            raise UserError(f"{out} holds other files; give --out a new folder")
        if not overwrite:
            raise UserError(f"{out} already holds {mark}; replace it with --overwrite, or name a new folder")


def _record(path: Path) -> Row:
    try:
        record = json.loads((path / RUN).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{path} is no run folder: it has no {RUN}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path / RUN} cannot be read: {error}") from error
    if not isinstance(record, dict) or "task" not in record or not _names_its_models(record):
        raise UserError(f"{path / RUN} is not the record of a run")
    if (record["task"], record.get("verb")) != ("wafer", "classify"):
        raise UserError(
            f"{path} is a run of {record['task']} {record.get('verb', '')}, not of suite wafer classify"
        )
    return record


def _row(line: bytes, path: Path, number: int) -> Row:
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged in line {number}") from error
    missing = _NEEDED - row.keys() if isinstance(row, dict) else _NEEDED
    if missing:
        raise UserError(f"line {number} of {path} lacks {', '.join(sorted(missing))}")
    wrong = [name for name, fits in _FITS.items() if name in row and not fits(row[name])]
    if wrong:
        raise UserError(f"{path} is damaged in line {number}: {', '.join(wrong)}")
    return row  # type: ignore[no-any-return]


def _names_its_models(record: Row) -> bool:
    models = record.get("model", {})
    models = models.get("models", {}) if isinstance(models, dict) else None
    known = list(models.values()) if isinstance(models, dict) else models
    return (
        isinstance(record.get("folder") or "", str)
        and isinstance(known, list)
        and all(isinstance(one, dict) for one in known)
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= MAX_COUNT


def _is_count_or_none(value: object) -> bool:
    return value is None or _is_count(value)


def _is_diameter_or_none(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and 0 < value <= MAX_DIAMETER_MM)


_NEEDED = frozenset(
    {"source", "map", "lot", "step", "tool", "defects", "diameter_mm", "class", "decision", "model", "status"}
)
_FITS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("source", "lot", "step", "tool", "class", "decision", "model", "status"), _is_text),
    **dict.fromkeys(("wafer", "item", "timestamp"), _is_text_or_none),
    "map": _is_count,
    "defects": _is_count_or_none,
    "diameter_mm": _is_diameter_or_none,
}

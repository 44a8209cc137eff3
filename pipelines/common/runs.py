"""Run folders: rows that survive a kill, and everything else whole or absent.

While a run goes on, `results.jsonl` grows by one line per item, batch by batch, each batch forced to the
disk. `run.json` says what the run is. A run that was killed is continued with `resume`: finished items
are known by their key, a torn last line is dropped, and a run of other inputs, model or config is refused.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pipelines.common.beside import keep_lines, settle
from pipelines.common.errors import UserError
from pipelines.common.files import FolderLock, check_unlocked, new_folder, replacing, sync_folder
from pipelines.common.hardware import environment, suite_version

SCHEMA_VERSION = 1
RUN, ROWS, TABLE, REPORT = "run.json", "results.jsonl", "results.csv", "report.html"
IDENTITY = ("task", "inputs", "folder", "model", "config", "seed")
LOCK = ".lock"
FAILED = "failed"  # the status of a row whose item could not be done

Row = dict[str, Any]
Key = tuple[str, ...]


def check_target(path: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise UserError unless a run may be written to `path`, where no other is writing; touches nothing."""
    if path.is_dir():
        check_unlocked(path, LOCK)
    _check_contents(path, resume=resume, overwrite=overwrite)


def _check_contents(path: Path, *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise UserError("--resume continues a run and --overwrite replaces it: give one of them")
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"{path} is a file; --out needs a folder")
    if all(entry.name == LOCK or entry.name.startswith(f".{RUN}.new-") for entry in path.iterdir()):
        return  # empty, or a run that was killed before it began
    if not is_run(path):
        if (path / RUN).is_file():
            raise UserError(
                f"{path} is no run folder: its {RUN} is damaged, or no record of a run; give --out a new"
                " folder"
            )
        raise UserError(f"{path} holds other files and is no run folder; give --out a new folder")
    if not (resume or overwrite):
        raise UserError(
            f"{path} already holds a run; continue it with --resume, replace it with --overwrite,"
            " or give --out a new folder"
        )


def is_run(path: Path) -> bool:
    """Whether the folder holds a run of this suite."""
    try:
        record = json.loads((path / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "schema_version" in record and "task" in record


def has_failed(row: Row) -> bool:
    """Whether the item of a row could not be done."""
    return bool(row["status"] == FAILED)


def again(count: int, what: str = "failed before") -> str:
    """How many items a run does again, in words."""
    return f"{count:,} {what} and {'is' if count == 1 else 'are'} done again"


def mended(is_lost: bool) -> str:
    """What mends a run of which a file is gone. is_lost: only that, so that it can be made again."""
    if is_lost:
        return "--resume --retry-failed makes it again, with what failed"
    return "bring its folder back, or start again with --overwrite or a new folder"


class RunFolder:
    """A run folder that this process alone writes to; a context manager.

    key: the fields of a row that together name an item.
    companion: the name of a second file that gets one line per row, such as what a report draws.
    finished: key of each item that is done, to its row's `item` (a hash of what was read, or None).
    record: what `run.json` holds.
    """

    def __init__(
        self, path: Path, *, key: Key, companion: str, resume: bool = False, overwrite: bool = False
    ) -> None:
        check_target(path, resume=resume, overwrite=overwrite)
        self.path, self.key, self.companion = path, key, companion
        self.finished: dict[Key, str | None] = {}
        self.record: Row = {}
        self._is_ours = not path.exists()
        new_folder(path)
        self._lock = FolderLock(path, LOCK)
        try:  # once more, now that nobody else can begin a run here
            _check_contents(path, resume=resume, overwrite=overwrite)
        except UserError:
            self._lock.release()
            raise
        self._rows: IO[str] | None = None
        self._companion: IO[str] | None = None
        self._since = time.monotonic()
        for left_over in path.rglob(".*.new-*"):  # of files that a run was writing when it was killed
            left_over.unlink(missing_ok=True)
        if overwrite:
            self._remove_run()

    def begin(self, record: Mapping[str, Any], retry: Callable[[Row], bool] | None = None) -> int:
        """Start the run that `record` describes, or continue it if the folder holds one.

        retry: which rows are taken out of a run that is continued, so that their items are done again.
        Returns how many that are. Raises UserError if the folder holds a run that differs in one of IDENTITY,
        or none of which anything could be done again.
        """
        taken = 0
        fresh: Row = json.loads(json.dumps(dict(record)))
        if (self.path / RUN).exists():
            before = json.loads((self.path / RUN).read_text(encoding="utf-8"))
            _check_same(self.path, before, fresh)
            self.record = {**before, **fresh}
            taken = self._take_out(retry) if retry is not None else 0
            self._recover()
        elif retry is not None:
            raise UserError(f"{self.path} holds no run of which anything could be done again")
        else:
            self.record = {"schema_version": SCHEMA_VERSION, **fresh, "started": _now(), "seconds": 0.0}
        self.record |= {"suite": suite_version(), "environment": environment(), "status": "running"}
        self._write_record()
        self._rows = (self.path / ROWS).open("a", encoding="utf-8")
        self._companion = (self.path / self.companion).open("a", encoding="utf-8")
        sync_folder(self.path)
        return taken

    def append(self, rows: Sequence[Row], companions: Sequence[str]) -> None:
        """Add finished rows, with the companion line of each; from here on they survive a kill."""
        if self._rows is None or self._companion is None:
            raise RuntimeError("begin the run before adding rows to it")
        # The companion first: a kill between the two leaves a line too many there, never one too few.
        self._companion.write("".join(line + "\n" for line in companions))
        _flush(self._companion)
        self._rows.write("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
        _flush(self._rows)
        for row in rows:
            self.finished[self.key_of(row)] = row.get("item")

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """What names the item of a row, as text."""
        return tuple(str(row[name]) for name in self.key)

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Every finished row with its companion line, read back one at a time."""
        # Lines end where `_recover` says, and what a damaged disk made of a companion stops no report.
        reading: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "newline": "\n"}
        with (
            (self.path / ROWS).open(**reading) as rows,
            (self.path / self.companion).open(**reading) as companions,
        ):
            for row, companion in zip(rows, companions, strict=True):
                yield json.loads(row), companion.rstrip("\n")

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write `run.json` with the final facts and the status `finished`."""
        self._end("finished", facts)

    def discard(self) -> None:
        """Remove what this run wrote, and the folder if it is ours, as when there was nothing to do."""
        self._close()
        self._remove_run()
        self._lock.release()
        if self._is_ours:
            self.path.rmdir()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.record.get("status") == "running" and error is not None and self.path.is_dir():
                status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                self._end(status, {"error": str(error)} if str(error) else {})
        finally:  # a full disk takes no run.json either
            try:
                self._close()
            finally:
                self._lock.release()
        if self._is_ours and self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _end(self, status: str, facts: Mapping[str, Any]) -> None:
        self.record.pop("error", None)
        seconds = self.record["seconds"] + time.monotonic() - self._since
        self.record |= {**facts, "status": status, "ended": _now(), "seconds": round(seconds, 3)}
        self._write_record()

    def _write_record(self) -> None:
        with replacing(self.path / RUN) as file:
            json.dump(self.record, file, indent=2)
            file.write("\n")

    def _take_out(self, retry: Callable[[Row], bool]) -> int:
        def stands(line: bytes) -> bool:
            try:
                return not retry(json.loads(line))
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                return True  # damaged, which `_recover` tells

        if not (self.path / ROWS).exists():
            return 0
        try:
            return keep_lines(self.path / ROWS, self.path / self.companion, stands)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} is gone; use --overwrite") from error

    def _recover(self) -> None:
        """Take up the rows of the earlier run; cut off what a kill left unfinished."""
        count, end = 0, 0
        rows = self.path / ROWS
        settle(rows, self.path / self.companion)
        if rows.exists():
            with rows.open("rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    try:
                        row = json.loads(line)
                        self.finished[self.key_of(row)] = row.get("item")
                    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                        raise UserError(f"{rows} is damaged in line {count + 1}; use --overwrite") from error
                    count, end = count + 1, end + len(line)
            os.truncate(rows, end)
        _keep_first(self.path / self.companion, count)

    def _remove_run(self) -> None:
        """Remove the files that a run writes, and nothing else: verdicts and notes of others stay."""
        if is_run(self.path):
            for name in (ROWS, self.companion, TABLE, REPORT, RUN):  # the mark of a run goes last
                (self.path / name).unlink(missing_ok=True)

    def _close(self) -> None:
        for file in (self._rows, self._companion):
            if file is not None:
                file.close()


def _check_same(path: Path, before: Row, now: Row) -> None:
    if before.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{path} was written by another version of the suite; use --overwrite or a new folder"
        )
    for name in IDENTITY:
        difference = _first_difference(name, before.get(name), now.get(name))
        if difference:
            raise UserError(
                f"{path} cannot be resumed, since {difference}; repeat the first command with --resume,"
                " or use --overwrite or a new folder"
            )


def _first_difference(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for part in sorted(before.keys() | now.keys()):
            difference = _first_difference(f"{name}.{part}", before.get(part), now.get(part))
            if difference:
                return difference
        return ""
    return "" if before == now else f"{name} was {_short(before)} and is now {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "..."


def _keep_first(path: Path, count: int) -> None:
    end, kept = 0, 0
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if kept == count or not line.endswith(b"\n"):
                    break
                end, kept = end + len(line), kept + 1
        os.truncate(path, end)
    if kept < count:
        raise UserError(f"{path} is damaged: it has {kept} lines for {count} rows; use --overwrite")


def _flush(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

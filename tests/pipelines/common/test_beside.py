from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.common.beside import keep_lines, settle

ROWS = b"1 ok\n2 bad\n3 ok\n4 bad\n5 ok\n"
COMPANIONS = b"a\nb\nc\nd\ne\n"
KEPT = (b"1 ok\n3 ok\n5 ok\n", b"a\nc\ne\n")


class KilledError(Exception):
    """Stands for a process that ends here."""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rows, companions = tmp_path / "rows", tmp_path / "companions"
    rows.write_bytes(ROWS)
    companions.write_bytes(COMPANIONS)
    return rows, companions


def is_ok(row: bytes) -> bool:
    return b"ok" in row


def contents(files: tuple[Path, Path]) -> tuple[bytes, bytes]:
    return files[0].read_bytes(), files[1].read_bytes()


def test_lines_go_together(files: tuple[Path, Path]) -> None:
    assert keep_lines(*files, is_ok) == 2
    assert contents(files) == KEPT
    assert keep_lines(*files, is_ok) == 0
    assert contents(files) == KEPT
    assert len(list(files[0].parent.iterdir())) == 2


def test_a_torn_row_goes_and_a_companion_too_many(files: tuple[Path, Path]) -> None:
    with files[0].open("ab") as rows, files[1].open("ab") as companions:
        rows.write(b"6 o")
        companions.write(b"f\ng\n")
    keep_lines(*files, is_ok)
    assert contents(files) == KEPT


@pytest.mark.parametrize("moment", range(5))
def test_after_a_kill_at_any_step_it_has_happened_or_it_has_not(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    steps = iter(range(5))
    replace, fsync = Path.replace, __import__("os").fsync

    def step() -> None:
        if next(steps) == moment:
            raise KilledError

    def stepped_replace(self: Path, target: Path) -> Path:
        step()
        return replace(self, target)

    def stepped_fsync(number: int) -> None:
        step()
        fsync(number)

    monkeypatch.setattr(Path, "replace", stepped_replace)
    monkeypatch.setattr("pipelines.common.beside.os.fsync", stepped_fsync)
    with pytest.raises(KilledError):
        keep_lines(*files, is_ok)
    monkeypatch.undo()
    settle(*files)
    assert contents(files) == (KEPT if moment >= 3 else (ROWS, COMPANIONS))
    assert len(list(files[0].parent.iterdir())) == 2

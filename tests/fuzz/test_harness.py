"""The harness itself: it sees errors, hangs, deaths, memory, and files outside; it repeats with a seed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from fuzz import with_atheris
from fuzz.__main__ import main
from fuzz.containers import changed_within, pack, unpack
from fuzz.mutate import mutated
from fuzz.reader import Reader
from fuzz.readers import load
from fuzz.run import Counts, fuzz, next_input
from fuzz.table import table
from fuzz.watch import Outcome

WORDS = (b"name", b"size")


def read(data: bytes, folder: Path) -> list[str]:
    return []


def wrong(data: bytes, folder: Path) -> list[str]:
    raise KeyError("not foreseen")


def slow(data: bytes, folder: Path) -> list[str]:
    until = time.process_time() + 20
    while time.process_time() < until:
        pass
    return []


def deadly(data: bytes, folder: Path) -> list[str]:
    os.abort()


def hungry(data: bytes, folder: Path) -> list[str]:
    bytearray(200 * 2**20)
    return []


def outside(data: bytes, folder: Path) -> list[str]:
    (folder.parent / "beside").open("wb").close()
    return []


def told(reader: object, inputs: int = 2, **about: object) -> tuple[Counts, list[Outcome]]:
    outcomes: list[Outcome] = []
    made = Reader(lambda: [b"name: 12\nsize: 7\n"], reader, (ValueError,), WORDS, **about)  # type: ignore[arg-type]
    counts = fuzz(made, inputs=inputs, seconds=60, seed=1, found=lambda one, data: outcomes.append(one))
    return counts, outcomes


@pytest.mark.parametrize(
    ("reader", "kind", "words"),
    [
        (wrong, "error", "KeyError"),
        (slow, "slow", "more than 2 s"),
        (deadly, "died", "-6"),
        (hungry, "memory", "the process grew"),
        (outside, "outside", "beside"),
    ],
)
def test_it_finds(reader: object, kind: str, words: str) -> None:
    counts, outcomes = told(reader, inputs=1, memory=50 * 2**20)
    assert {one.kind for one in outcomes} == {kind}  # of the seed too
    assert words in outcomes[0].text
    assert counts.inputs == 1 and counts.findings


def test_what_is_read_is_counted() -> None:
    counts, outcomes = told(read, inputs=50)
    assert (counts.inputs, counts.read, counts.refused, outcomes) == (50, 50, 0, [])


def test_a_seed_gives_the_same_inputs() -> None:
    reader = load("sinf")
    seeds = list(reader.seeds())

    def inputs(seed: int) -> list[bytes]:
        rng = Random(seed)
        return [next_input(rng, reader, seeds, seeds) for _ in range(50)]

    assert inputs(1) == inputs(1) != inputs(2)
    assert len(set(inputs(1))) > 40


def test_changes_stay_within_the_limit_and_take_empty_files() -> None:
    rng = Random(0)
    for _ in range(3_000):
        assert len(mutated(rng, b"", WORDS, [b"other"], 100)) <= 100
        assert len(mutated(rng, b"some 12 text\n" * 9, WORDS, [b"other"], 100)) <= 100


def test_a_change_within_a_zip_leaves_it_whole() -> None:
    rng = Random(0)
    for _ in range(200):
        found = changed_within(rng, pack({"a": b"one", "b": b"two"}), lambda part: part + b"!")
        assert found is not None and set(unpack(found)) <= {"a", "b"} and unpack(found)


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = tmp_path / "counts.jsonl"
    assert main(["voc", "--inputs", "40", "--json", str(counts)]) == 0
    assert "voc: 40 inputs" in capsys.readouterr().out
    assert counts.read_text().count("\n") == 1
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "there is no reader nothing; there are wafer" in capsys.readouterr().err


def test_the_table_adds_up() -> None:
    line = {"reader": "voc", "inputs": 10, "read": 4, "refused": 5, "seconds": 1.6, "findings": {"a": 1}}
    assert "| `voc` | 20 | 8 | 10 | 2 | 3 |" in table([line, line])


def test_without_atheris_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(with_atheris, "import_module", absent)
    monkeypatch.setattr("sys.argv", ["fuzz", "klarf", str(tmp_path)])
    assert with_atheris.main() == 2
    assert "atheris is not installed" in capsys.readouterr().err

"""What the main commands say of a run: when it begins, while it goes on, and when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from pipelines.common.runs import REPORT

MAX_LISTED: Final = 1_000  # failures and skipped files that run.json lists; beyond that it only counts them

Say = Callable[[str], None]


class Config(Protocol):
    """The settings of a run: a pydantic model."""

    @property
    def seed(self) -> int: ...

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to. counts: as in `run.json`. notes: what the results do not show by themselves."""

    out: Path
    counts: dict[str, Any]
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def report(self) -> Path:
        return self.out / REPORT


def silent(text: str) -> None:
    """Say nothing."""


def teller(progress: Say, done: int, total: int, name: str) -> Callable[[float], None]:
    """A function that takes the share, 0 to 1, of the item `name` that is done, and shows it."""
    return lambda share: progress(f"{done:,} of {total:,} done, {name}: {share:.0%}")


def record_of(
    task: str,
    verb: str,
    paths: Sequence[Path],
    config: Config,
    *,
    model: Mapping[str, Any],
    named: str,
    engine: str,
    device: str,
) -> dict[str, Any]:
    """What `run.json` says of a run when it begins.

    model: what describes it. named: as the user named it.
    """
    return {
        "task": task,
        "verb": verb,
        "inputs": [str(path) for path in paths],
        # Where the sources of the rows are relative to; of no account if all inputs are absolute.
        "folder": "" if all(path.is_absolute() for path in paths) else str(Path.cwd()),
        "model": dict(model),
        # A folder that is no bundled model; what it was when the run began, wherever one asks from later.
        "model_folder": str(Path(named).resolve()) if Path(named).is_dir() else "",
        "engine": engine,
        "device": device,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
    }

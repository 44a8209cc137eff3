"""The log of a training: a CSV file, and TensorBoard where it is asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError

Write = Callable[[Mapping[str, Any]], None]


def write_log(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The log as CSV, whole each time: it has a line per epoch."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(
            {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
            for row in rows
        )


@contextmanager
def tensorboard(folder: Path | None) -> Iterator[Write]:
    """A function that writes a row of the log for TensorBoard; it does nothing without a folder."""
    if folder is None:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise UserError(
            "tensorboard=true needs TensorBoard: pip install 'sparse-suite[tensorboard]'"
        ) from error
    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name, value, row["epoch"])
        writer.flush()

    try:
        yield write
    finally:
        writer.close()

"""One row per wafer map, as `results.jsonl` and `results.csv` hold it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import IO, TYPE_CHECKING, Any

from pipelines.common.tables import Table
from pipelines.wafer.data.record import FailedMap, WaferMap

if TYPE_CHECKING:
    from pipelines.wafer.predict import Prediction

COLUMNS = (
    "source",
    "map",
    "lot",
    "wafer",
    "slot",
    "step",
    "tool",
    "diameter_mm",
    "defects",
    "class",
    "probability",
    "novelty",
    "threshold",
    "decision",
    "model",
    "status",
    "error",
)
KEY = ("source", "map")
LOST = "lost"  # the `item` of a row that stands for the rest of a file whose process died

Row = dict[str, Any]


def ok_row(wafer: WaferMap, prediction: Prediction, item: str) -> Row:
    """The row of a map that was classified; beyond COLUMNS it says what else is known of the map."""
    row = _map_row(wafer, item)
    row |= {
        "class": prediction.label,
        "probability": _number(prediction.probability),
        "novelty": _number(prediction.novelty),
        "threshold": _number(prediction.threshold),
        "decision": prediction.decision,
        "model": prediction.model,
        "probabilities": {name: _number(value) for name, value in prediction.probabilities.items()},
    }
    return row


def failed_row(failed: FailedMap) -> Row:
    """The row of a map that could not be read."""
    empty: Row = dict.fromkeys(COLUMNS, "")
    return empty | {
        "source": str(failed.source),
        "map": failed.position,
        "diameter_mm": None,
        "defects": None,
        "probability": None,
        "novelty": None,
        "threshold": None,
        "status": "failed",
        "error": failed.error,
        "item": None,
    }


def unpredicted_row(wafer: WaferMap, error: str, item: str) -> Row:
    """The row of a map that was read but could not be classified."""
    return _map_row(wafer, item) | {"status": "failed", "error": error}


def unplaced_row(wafer: WaferMap, item: str) -> Row:
    """The row of a map that was read in full, but whose defects have no positions to classify."""
    return _map_row(wafer, item) | {
        "defects": wafer.unplaced,
        "error": f"not classified: the file counts {wafer.unplaced} defects but does not say where they are",
    }


def item_hash(wafer: WaferMap) -> str:
    """A hash of what was read: the defects, the dies and the diameter; equal for equal maps."""
    digest = blake2b(wafer.defects.tobytes(), digest_size=12)
    digest.update(repr((wafer.defects.shape, wafer.diameter_mm, wafer.die_level)).encode())
    if wafer.dies is not None:
        digest.update(wafer.dies.status.tobytes())
        digest.update(repr((wafer.dies.status.shape, wafer.dies.pitch_mm, wafer.dies.origin_mm)).encode())
    return digest.hexdigest()


def write_table(file: IO[str]) -> Table:
    """A writer of `results.csv`, its header written."""
    return Table(file, COLUMNS)


@dataclass(slots=True)
class Tally:
    """What the rows of a run come to."""

    maps: int = 0
    failed: int = 0
    unplaced: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    models: Counter[tuple[str, float | None]] = field(default_factory=Counter)
    normal: set[str] = field(default_factory=set)
    alarms: int = 0

    def add(self, row: Mapping[str, Any], alarm_on: frozenset[str]) -> None:
        """Count one row; it is an alarm if its decision, or the class it is known as, is in `alarm_on`."""
        self.maps += 1
        if row["status"] != "ok":
            self.failed += 1
            return
        if not row["decision"]:
            self.unplaced += 1
            return
        self.decisions[row["decision"]] += 1
        self.classes[found(row)] += 1
        self.models[row["model"], row["threshold"]] += 1
        if row["decision"] == "normal":
            self.normal.add(row["class"])
        self.alarms += found(row) in alarm_on

    def counts(self) -> dict[str, Any]:
        """The counts as `run.json` holds them."""
        return {
            "maps": self.maps,
            "ok": self.maps - self.failed,
            "failed": self.failed,
            "unplaced": self.unplaced,
            "decision": dict(self.decisions.most_common()),
            "class": dict(self.classes.most_common()),
            "alarms": self.alarms,
        }

    def used_models(self) -> list[dict[str, Any]]:
        """The models that classified, each with its novelty threshold and how many maps it took."""
        return [{"name": name, "threshold": at, "maps": n} for (name, at), n in self.models.most_common()]


def found(row: Mapping[str, Any]) -> str:
    """What a map was found to be: its class, or `novel`, whose class is only the nearest known one."""
    return "novel" if row["decision"] == "novel" else str(row["class"])


def _map_row(wafer: WaferMap, item: str) -> Row:
    return {
        "source": str(wafer.source),
        "map": wafer.position,
        "lot": wafer.lot,
        "wafer": wafer.wafer,
        "slot": wafer.slot,
        "step": wafer.step,
        "tool": wafer.tool,
        "diameter_mm": _number(wafer.diameter_mm),
        "defects": len(wafer.defects),
        "class": "",
        "probability": None,
        "novelty": None,
        "threshold": None,
        "decision": "",
        "model": "",
        "status": "ok",
        "error": "",
        "item": item,
        "diameter_assumed": wafer.diameter_assumed,
        "die_level": wafer.die_level,
        "device": wafer.device,
        "timestamp": wafer.timestamp.isoformat() if wafer.timestamp else "",
        "notch": wafer.notch,
        "notes": list(wafer.notes),
    }


def _number(value: float) -> float | None:
    """Seven significant digits, all that single precision holds; None for a score that is not finite."""
    return float(f"{value:.7g}") if math.isfinite(value) else None

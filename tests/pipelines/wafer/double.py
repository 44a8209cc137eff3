"""A classifier for tests: fast, deterministic, and wrong on purpose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.wafer.data import WaferMap
from pipelines.wafer.predict import Decision, Prediction


@dataclass
class Double:
    """Sorts maps by their number of defects alone.

    refuses: a number of defects that makes `predict` raise; asked: how many maps it was given in all.
    """

    name: str = "double"
    refuses: int = -1
    pause: float = 0.0
    interrupt_at: int = -1
    asked: int = 0
    batches: list[int] = field(default_factory=list)

    def predict(self, maps: Sequence[WaferMap]) -> list[Prediction]:
        self.batches.append(len(maps))
        time.sleep(self.pause)
        if self.refuses in [len(one.defects) for one in maps]:
            raise RuntimeError(f"{self.refuses} defects are too many for it")
        self.asked += len(maps)
        if 0 <= self.interrupt_at < self.asked:
            raise KeyboardInterrupt
        return [self._one(len(one.defects)) for one in maps]

    def _one(self, count: int) -> Prediction:
        label = ("none", "scratch", "ring")[min(count // 10, 2)]
        decision: Decision = "novel" if count % 10 == 7 else "normal" if label == "none" else "known"
        return Prediction(label, 1 / (1 + count % 7), float(count), 20.5, decision, self.name)

    def describe(self) -> dict[str, Any]:
        return {"models": [{"name": self.name, "sha256": "0"}], "engine": "native", "device": "cpu"}

"""How a number of an evaluation is described, in tables, in JSON and on pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "nearer 0", "nearer the promised share"]


@dataclass(frozen=True, slots=True)
class Metric:
    """name: the column. title: for people. unit: such as `mm`, or empty. better: which way is good."""

    name: str
    title: str
    unit: str
    better: Better
    text: str

"""What `discover` finds: maps, clusters of them, and the known maps that are most like them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Map:
    """One classified map. run, place: number of its run, and of its row in that; label: nearest class."""

    run: int
    place: int
    source: str
    map: int
    item: str
    lot: str
    wafer: str
    step: str
    tool: str
    time: datetime | None
    label: str
    novel: bool
    model: str


@dataclass(frozen=True, slots=True)
class Example:
    """A known map that is like a cluster: one of the runs, or a training map as the model carries it.

    distance: of its latent from the cluster's mean. map: None for a training map; drawing: its packed map
    (`pipelines.wafer.drawing`), None for a map of the runs.
    """

    label: str
    distance: float
    map: Map | None = None
    drawing: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Novel maps that are alike.

    number: counted from 1, the largest first. members: with the cosine of their latent to the cluster's mean,
    the most typical first. classes: how often each known class is the nearest. examples: the nearest first.
    """

    number: int
    model: str
    members: tuple[tuple[Map, float], ...]
    classes: tuple[tuple[str, int], ...]
    examples: tuple[Example, ...]

    @property
    def lots(self) -> list[tuple[str, int]]:
        return self.counted("lot")

    def counted(self, name: str) -> list[tuple[str, int]]:
        """How many members have each `lot`, `step` or `tool`, the most frequent first; only if stated."""
        return Counter(getattr(each, name) for each, _ in self.members if getattr(each, name)).most_common()

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The earliest and the latest time that is stated."""
        times = [each.time for each, _ in self.members if each.time]
        return (min(times), max(times)) if times else None


@dataclass(frozen=True, slots=True)
class Discovered:
    """What `discover` found and wrote. single: novel maps in no cluster. notes: what it could not do, in
    words.
    """

    out: Path
    maps: int
    novel: int
    clusters: tuple[Cluster, ...]
    single: tuple[Map, ...]
    notes: tuple[str, ...]


def summary(result: Discovered) -> dict[str, Any]:
    """Counts, notes and clusters as JSON holds them."""
    return {
        "maps": result.maps,
        "novel": result.novel,
        "in_no_cluster": len(result.single),
        "notes": list(result.notes),
        "clusters": [_cluster(one) for one in result.clusters],
    }


def _cluster(one: Cluster) -> dict[str, Any]:
    span = one.span
    return {
        "cluster": one.number,
        "size": len(one.members),
        "model": one.model,
        "lots": dict(one.lots),
        "steps": dict(one.counted("step")),
        "tools": dict(one.counted("tool")),
        "first": span[0].isoformat() if span else "",
        "last": span[1].isoformat() if span else "",
        "nearest_classes": dict(one.classes),
        "nearest_known": [
            {
                "of": "run" if each.map else "training",
                "source": each.map.source if each.map else "",
                "map": each.map.map if each.map else None,
                "class": each.label,
                "distance": round(each.distance, 4),
            }
            for each in one.examples
        ],
    }

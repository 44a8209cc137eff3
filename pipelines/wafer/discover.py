"""Clusters among the novel maps of runs: which of them show the same unknown pattern."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.hardware import suite_version
from pipelines.wafer import discover_report
from pipelines.wafer.latents import Vector, read_latents
from pipelines.wafer.past import PastRun, Row, distinct_rows, open_runs, result_folder, timestamp

TABLE, SUMMARY, REPORT = "clusters.csv", "clusters.json", "report.html"
COLUMNS: Final = ("run", "source", "map", "item", "lot", "wafer", "cluster", "probability")
MAX_MAPS = 20_000  # of one model; clustering takes time with the square of their number
NEAREST = 4
MIN_COSINE = 0.7  # of a single cluster: how much its maps lie one way from the centre of the known ones

Floats = NDArray[np.float64]


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
class Cluster:
    """Novel maps that are alike.

    number: counted from 1, the largest first. members: with their probability, the surest first. classes: how
    often each known class is the nearest. examples: the known maps that are most like the cluster, each with
    the distance of its latent from the cluster's mean.
    """

    number: int
    model: str
    members: tuple[tuple[Map, float], ...]
    classes: tuple[tuple[str, int], ...]
    examples: tuple[tuple[Map, float], ...]

    @property
    def lots(self) -> list[tuple[str, int]]:
        return Counter(each.lot for each, _ in self.members if each.lot).most_common()

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


def discover(
    runs: Sequence[Path],
    *,
    out: Path,
    min_size: int = 5,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Discovered:
    """Cluster the novel maps of `runs`; write `clusters.csv`, `clusters.json` and `report.html` to `out`.

    Maps of different models are clustered apart, since their latents do not compare. min_size: the fewest
    maps that make a cluster. Too few novel maps give an empty table and a note. Raises UserError if a folder
    is no run, or if no novel map has a latent.
    """
    if min_size < 2:
        raise UserError(f"a cluster has at least 2 maps, not {min_size}")
    opened = open_runs(runs)
    result_folder(out, SUMMARY, overwrite=overwrite)
    progress("reading the runs")
    notes: list[str] = []
    maps, vectors, count = _read(opened, notes)
    found: list[Cluster] = []
    single: list[Map] = []
    for model in sorted({each.model for each in maps}):
        chosen = [at for at, each in enumerate(maps) if each.model == model]
        novel = [at for at in chosen if maps[at].novel]
        known = [at for at in chosen if not maps[at].novel]
        progress(f"clustering {len(novel):,} novel maps")
        name = model.partition("@")[0]
        if len(novel) > MAX_MAPS:
            notes.append(
                f"{len(novel):,} maps are novel to {name}; a fair sample of {MAX_MAPS:,} is clustered"
            )
            novel = sorted(np.random.default_rng(0).permutation(novel)[:MAX_MAPS].tolist())
        if len(novel) < min_size:
            if novel:
                notes.append(
                    f"{_counted(len(novel), 'map is', 'maps are')} novel to {name}: "
                    f"too few for a cluster of {min_size}"
                )
            single += [maps[at] for at in novel]
            continue
        points = np.array([vectors[at] for at in novel], np.float64)
        labels, chances = cluster(points, min_size)
        single += [maps[at] for at, label in zip(novel, labels, strict=True) if label < 0]
        known_points = np.array([vectors[at] for at in known], np.float64)
        for label in range(labels.max() + 1):
            rows = np.flatnonzero(labels == label)
            rows = rows[np.argsort(-chances[rows], kind="stable")]
            members = tuple((maps[novel[row]], float(chances[row])) for row in rows)
            near = _nearest(points[rows].mean(0), known_points)
            found.append(
                Cluster(
                    0,
                    name,
                    members,
                    tuple(Counter(each.label for each, _ in members).most_common()),
                    tuple((maps[known[at]], distance) for at, distance in near),
                )
            )
    found.sort(key=lambda one: -len(one.members))
    clusters = tuple(
        Cluster(number, one.model, one.members, one.classes, one.examples)
        for number, one in enumerate(found, 1)
    )
    if not any(each.novel for each in maps) and not notes:
        notes.append("no map of these runs is novel")
    elif not clusters and not notes:
        notes.append("no two groups of novel maps are alike enough to make a cluster")
    novel_count = sum(each.novel for each in maps)
    result = Discovered(out, count, novel_count, clusters, tuple(single), tuple(notes))
    progress("writing the report")
    _write(result, opened, {"runs": [str(path) for path in runs], "min_size": min_size})
    return result


def cluster(points: Floats, min_size: int) -> tuple[NDArray[np.int64], Floats]:
    """Cluster (N,), -1 for none, and probability (N,) of latents (N, D), by HDBSCAN.

    HDBSCAN (Campello, Moulavi and Sander, 2013) needs no number of clusters, but by itself never finds just
    one; a single cluster is taken where it finds none and its maps point one way.
    """
    from sklearn.cluster import HDBSCAN

    settings = {"min_cluster_size": min_size, "copy": True}
    model = HDBSCAN(**settings).fit(points)
    if model.labels_.max() < 0:
        model = HDBSCAN(**settings, allow_single_cluster=True).fit(points)
        return _one_way(points, model.labels_ >= 0, min_size)
    return model.labels_.astype(np.int64), model.probabilities_


def _one_way(points: Floats, core: NDArray[np.bool_], min_size: int) -> tuple[NDArray[np.int64], Floats]:
    """One cluster of the maps that lie where its dense core does, seen from the centre of the known maps.

    The probability is the cosine between the two directions. HDBSCAN alone leaves a single cluster its core.
    """
    none = np.full(len(points), -1), np.zeros(len(points))
    if not core.any():
        return none
    way = _unit(points[core]).mean(0)
    cosine = _unit(points) @ (way / max(float(np.linalg.norm(way)), 1e-12))
    inside = cosine >= MIN_COSINE
    if np.linalg.norm(way) < MIN_COSINE or inside.sum() < min_size:
        return none
    return np.where(inside, 0, -1), np.where(inside, np.minimum(cosine, 1.0), 0.0)


def _unit(points: Floats) -> Floats:
    length: Floats = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.maximum(length, 1e-12)


def _nearest(centre: Floats, known: Floats) -> list[tuple[int, float]]:
    if not len(known):
        return []
    distance = np.linalg.norm(known - centre, axis=1)
    best = np.argsort(distance, kind="stable")[:NEAREST]
    return [(int(at), float(distance[at])) for at in best]


def _read(runs: Sequence[PastRun], notes: list[str]) -> tuple[list[Map], list[Vector], int]:
    """The maps that have a latent, their latents, and how many maps were classified in all."""
    latents = [read_latents(run.path) for run in runs]
    maps: list[Map] = []
    vectors: list[Vector] = []
    widths: dict[str, int] = {}
    missing = count = 0
    for number, place, row in distinct_rows(runs):
        if row["status"] != "ok" or not row["decision"]:
            continue
        count += 1
        item, vector = latents[number].get((row["source"], int(row["map"])), ("", None))
        model = runs[number].space(row)
        if vector is None or item != row.get("item") or widths.setdefault(model, len(vector)) != len(vector):
            missing += row["decision"] == "novel"
            continue
        maps.append(_map(number, place, row, model))
        vectors.append(vector)
    if missing and not any(each.novel for each in maps):
        raise UserError(
            f"none of the {missing:,} novel maps has a latent beside it; classify them again"
            " with this version of the suite"
        )
    if missing:
        notes.append(
            f"{_counted(missing, 'novel map has', 'novel maps have')} no latent and cannot be clustered"
        )
    return maps, vectors, count


def _map(number: int, place: int, row: Row, model: str) -> Map:
    return Map(
        run=number,
        place=place,
        source=row["source"],
        map=int(row["map"]),
        item=row["item"],
        lot=row["lot"],
        wafer=row.get("wafer") or "",
        step=row["step"],
        tool=row["tool"],
        time=timestamp(row),
        label=row["class"],
        novel=row["decision"] == "novel",
        model=model,
    )


def _write(result: Discovered, runs: Sequence[PastRun], settings: Mapping[str, Any]) -> None:
    with replacing(result.out / TABLE) as file:
        _write_table(file, result, runs)
    with replacing(result.out / REPORT) as file:
        discover_report.write(file, result, runs, settings)
    with replacing(result.out / SUMMARY) as file:
        json.dump(summary(result) | {"settings": settings, "suite": suite_version()}, file, indent=2)
        file.write("\n")


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
        "steps": dict(Counter(each.step for each, _ in one.members if each.step).most_common()),
        "tools": dict(Counter(each.tool for each, _ in one.members if each.tool).most_common()),
        "first": span[0].isoformat() if span else "",
        "last": span[1].isoformat() if span else "",
        "nearest_classes": dict(one.classes),
        "nearest_known": [
            {"source": each.source, "map": each.map, "class": each.label, "distance": round(distance, 4)}
            for each, distance in one.examples
        ],
    }


def _write_table(file: IO[str], result: Discovered, runs: Sequence[PastRun]) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in result.clusters:
        for each, probability in one.members:
            table.writerow(_cells(each, runs, str(one.number), f"{probability:.4g}"))
    for each in result.single:
        table.writerow(_cells(each, runs, "", ""))


def _cells(each: Map, runs: Sequence[PastRun], number: str, probability: str) -> tuple[object, ...]:
    name = str(runs[each.run].path)
    return (name, each.source, each.map, each.item, each.lot, each.wafer, number, probability)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"

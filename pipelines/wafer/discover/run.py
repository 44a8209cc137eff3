"""The whole discovery, from runs to tables and a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.hardware import suite_version
from pipelines.wafer.discover import report
from pipelines.wafer.discover.clusters import cluster
from pipelines.wafer.discover.found import Cluster, Discovered, Example, Map, summary
from pipelines.wafer.discover.reading import read_maps, training_maps
from pipelines.wafer.discover.table import write_table
from pipelines.wafer.past import PastRun, check_result_folder, open_runs

TABLE, SUMMARY, REPORT = "clusters.csv", "clusters.json", "report.html"
MAX_MAPS = 20_000  # of one model; clustering takes time with the square of their number
NEAREST = 6

Floats = NDArray[np.float64]


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
    check_result_folder(out, SUMMARY, overwrite=overwrite)
    progress("reading the runs")
    notes: list[str] = []
    maps, vectors, count = read_maps(opened, notes)
    novel = sum(each.novel for each in maps)
    found: list[Cluster] = []
    single: list[Map] = []
    for model in sorted({each.model for each in maps}):
        of = [at for at, each in enumerate(maps) if each.model == model]
        points = np.array([vectors[at] for at in of], np.float64)
        progress(f"clustering the novel maps of {model.partition('@')[0]}")
        clusters, others = _of_model([maps[at] for at in of], points, opened, min_size, notes)
        found += clusters
        single += others
    found.sort(key=lambda one: -len(one.members))
    if not novel and not notes:
        notes.append("no map of these runs is novel")
    elif not found and not notes:
        notes.append("no two groups of novel maps are alike enough to make a cluster")
    numbered = tuple(replace(one, number=number) for number, one in enumerate(found, 1))
    result = Discovered(out, count, novel, numbered, tuple(single), tuple(notes))
    progress("writing the report")
    _write(result, opened, {"runs": [str(path) for path in runs], "min_size": min_size})
    return result


def _of_model(
    maps: Sequence[Map], points: Floats, runs: Sequence[PastRun], min_size: int, notes: list[str]
) -> tuple[list[Cluster], list[Map]]:
    """The clusters among the maps of one model, with their latents (N, D), and the novel maps in none."""
    name = maps[0].model.partition("@")[0]
    novel = np.flatnonzero([each.novel for each in maps])
    known = np.flatnonzero([not each.novel for each in maps])
    if len(novel) > MAX_MAPS:
        notes.append(f"{len(novel):,} maps are novel to {name}; a fair sample of {MAX_MAPS:,} is clustered")
        novel = np.sort(np.random.default_rng(0).permutation(novel)[:MAX_MAPS])
    if 0 < len(novel) < min_size:
        are = "map is" if len(novel) == 1 else "maps are"
        notes.append(f"{len(novel):,} {are} novel to {name}: too few for a cluster of {min_size}")
    if len(novel) < min_size:
        return [], [maps[at] for at in novel.tolist()]
    labels, cosine = cluster(points[novel], min_size)
    trained_on = training_maps(runs, maps[0].model)
    found = []
    for label in np.unique(labels[labels >= 0]):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(-cosine[rows], kind="stable")]
        members = tuple((maps[int(novel[row])], float(cosine[row])) for row in rows)
        classes = tuple(Counter(each.label for each, _ in members).most_common())
        centre = points[novel[rows]].mean(0)
        if trained_on:
            examples, names = trained_on
            near = [
                Example(names[examples.classes[at]], distance, drawing=examples.drawings[at])
                for at, distance in examples.nearest(centre.astype(np.float32), NEAREST)
            ]
        else:
            near = [
                Example(maps[known[at]].label, distance, map=maps[known[at]])
                for at, distance in _nearest(centre, points[known])
            ]
        found.append(Cluster(0, name, members, classes, tuple(near)))
    return found, [maps[at] for at in novel[labels < 0].tolist()]


def _nearest(centre: Floats, known: Floats) -> list[tuple[int, float]]:
    distance = np.linalg.norm(known - centre, axis=1)
    best = np.argsort(distance, kind="stable")[:NEAREST]
    return [(int(at), float(distance[at])) for at in best]


def _write(result: Discovered, runs: Sequence[PastRun], settings: Mapping[str, Any]) -> None:
    result.out.mkdir(parents=True, exist_ok=True)
    with replacing(result.out / TABLE) as file:
        write_table(file, result, runs)
    with replacing(result.out / REPORT) as file:
        report.write(file, result, runs, settings)
    with replacing(result.out / SUMMARY) as file:
        json.dump(summary(result) | {"settings": settings, "suite": suite_version()}, file, indent=2)
        file.write("\n")

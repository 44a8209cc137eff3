"""Several methods on the same cases: which differ, by how much, and how sure that is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.hardware import suite_version
from pipelines.common.metrics import Metric
from pipelines.common.tables import Table
from pipelines.medical.evaluate import MISSES
from pipelines.medical.measurements import Method, truths_differ
from pipelines.medical.metrics.definitions import EMPTY, NSD, SURFACE, metric_named
from pipelines.medical.statistics import (
    EXACT_UP_TO,
    Floats,
    Resampler,
    adjusted,
    cohens_d,
    friedman,
    mean_interval,
    permutation_p,
    rank_biserial,
)

SUMMARY, TABLE, REPORT = "compare.json", "pairs.csv", "report.html"
DEFAULT_METRICS: Final = ("dice", NSD, "hd95_mm", "asd_mm")
MAX_METHODS: Final = 8
ALPHA: Final = 0.05
STATISTICS: Final = {
    "difference": "The mean over the cases of the first method's number less the second's.",
    "interval": "95% bootstrap interval of the mean difference, bias-corrected and accelerated (BCa).",
    "p": "Two-tailed paired permutation test on the mean difference: signs of the differences are turned,"
    f" all of them up to {EXACT_UP_TO} cases, else at random with one added to both counts.",
    "p_adjusted": "p after Benjamini and Hochberg, over all pairs and labels of a metric.",
    "better": f"The method that is better, where p_adjusted is at most {ALPHA:g}; else empty.",
    "cohens_d": "Mean over standard deviation of the differences (d_z).",
    "rank_biserial": "Matched-pairs rank-biserial correlation of the differences, from -1 to 1.",
    "wins": "Cases where the first method is better; ties and losses likewise.",
    "friedman": "Friedman test of three methods or more, with chi-square p, adjusted over the labels.",
    "left_out": "Cases where a number is not applicable for some method, such as Dice of a structure that"
    " neither the truth nor that prediction holds.",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two methods on one metric and label. difference: mean of first - second, with its interval."""

    first: str
    second: str
    n: int
    difference: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float
    better: str
    cohens_d: float | None
    rank_biserial: float | None
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """One metric of one label. values: float64 (cases, methods). missed: bool, the same shape.

    friedman: statistic, p and p_adjusted; None for two methods or too few cases.
    """

    label: str
    cases: tuple[str, ...]
    values: Floats
    missed: NDArray[np.bool_]
    left_out: int
    friedman: dict[str, float] | None
    pairs: tuple[Pair, ...]

    def document(self, names: Sequence[str]) -> dict[str, Any]:
        """All but the values of single cases. names: of the methods."""
        several = len(self.cases) > 1
        return {
            "n": len(self.cases),
            "left_out": self.left_out,
            "methods": {
                name: {
                    "mean": float(column.mean()),
                    "sd": float(column.std(ddof=1)) if several else None,
                    "median": float(np.median(column)),
                    "misses": int(missed.sum()),
                }
                for name, column, missed in zip(names, self.values.T, self.missed.T, strict=True)
            },
            "friedman": self.friedman,
            "pairs": [asdict(pair) for pair in self.pairs],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """metrics: for each, the results of the labels that any case has."""

    methods: tuple[Method, ...]
    metrics: tuple[tuple[Metric, tuple[LabelScores, ...]], ...]
    detection: dict[str, dict[str, dict[str, int]]]
    seed: int
    draws: int
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """All of it, as it goes into JSON."""
        names = [one.name for one in self.methods]
        return {
            "methods": [{"name": one.name, "source": one.source} for one in self.methods],
            "metrics": {
                metric.name: {
                    "better": metric.better,
                    "labels": {one.label: one.document(names) for one in labels},
                }
                for metric, labels in self.metrics
            },
            "detection": self.detection,
            "definitions": {
                **{metric.name: metric.text for metric, _ in self.metrics},
                **STATISTICS,
                "surface": SURFACE,
                "empty": EMPTY,
            },
            "settings": {"seed": self.seed, "draws": self.draws, "confidence": 0.95},
            "notes": list(self.notes),
            "suite": suite_version(),
        }


def compare(
    methods: Sequence[Method],
    *,
    metrics: Sequence[str] = (),
    seed: int = 0,
    draws: int = 10_000,
    progress: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Compare two methods or more on the cases and labels that all of them have.

    metrics: columns to compare; none for Dice, NSD, HD95 and ASD. Raises UserError if nothing is shared.
    """
    if not 2 <= len(methods) <= MAX_METHODS:
        raise UserError(f"two to {MAX_METHODS} methods can be compared, not {len(methods)}")
    chosen = _choose(methods, metrics)
    keys, notes = _matched(methods)
    if message := truths_differ(methods, keys):
        notes.append(message)
    resampler = Resampler(seed, draws)
    found = []
    for metric in chosen:
        progress(f"comparing {metric.title}")
        found.append((metric, _of_metric(metric, methods, keys, resampler)))
    detection = {
        label: {one.name: {kind: one.count(label, cases, kind) for kind in MISSES} for one in methods}
        for label, cases in keys.items()
    }
    return Comparison(tuple(methods), tuple(found), detection, seed, draws, tuple(notes))


def check_folder(out: Path, *, overwrite: bool) -> None:
    """Raise UserError unless a comparison may be written to the folder `out`; touches nothing."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; --out needs a folder")
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if names:
        if not names & {SUMMARY, TABLE}:
            raise UserError(f"{out} holds other files; give --out a new folder")
        if not overwrite:
            raise UserError(
                f"{out} already holds a comparison; replace it with --overwrite, or name a new folder"
            )


def write(result: Comparison, out: Path, *, overwrite: bool = False) -> None:
    """Write `compare.json`, `pairs.csv` and `report.html` to a folder."""
    from pipelines.medical import compare_page

    check_folder(out, overwrite=overwrite)
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / TABLE) as file:
        rows = [
            {"metric": metric.name, "better_is": metric.better, "label": one.label, **asdict(pair)}
            for metric, labels in result.metrics
            for one in labels
            for pair in one.pairs
        ]
        Table(file, list(rows[0]) if rows else ["metric"]).writerows(rows)
    with replacing(out / REPORT) as file:
        compare_page.write(file, result)
    with replacing(out / SUMMARY) as file:
        json.dump(result.document(), file, indent=2)
        file.write("\n")


def _choose(methods: Sequence[Method], names: Sequence[str]) -> list[Metric]:
    """The metrics that were asked for, or the default ones; of those that all methods have."""
    shared = [name for name in methods[0].metrics if all(name in one.metrics for one in methods)]
    if not names:
        names = [name for name in shared if name.startswith(DEFAULT_METRICS)]
    for name in names:
        if metric_named(name).better == "nearer 0":
            raise UserError(f"of {name} neither more nor less is better; compare absolute_{name}")
        if name not in shared:
            raise UserError(f"not every input has the column {name}; all have {', '.join(shared) or 'none'}")
    if not names:
        raise UserError("the inputs share no metric; evaluate them with the same --tolerance")
    return [metric_named(name) for name in dict.fromkeys(names)]


def _matched(methods: Sequence[Method]) -> tuple[dict[str, list[str]], list[str]]:
    """Label to the cases that every method has, and what is not shared."""
    notes = []
    shared_keys = set.intersection(*(set(one.rows) for one in methods))
    shared_cases, all_cases = (
        {case for case, _ in shared_keys},
        {case for one in methods for case, _ in one.rows},
    )
    failed = {case for one in methods for case in one.failed}
    if unmatched := len((all_cases | failed) - shared_cases):
        notes.append(f"{unmatched:,} cases are not in every input, or failed in one, and are left out")
    labels = [label for label in methods[0].labels if any(key[1] == label for key in shared_keys)]
    others = {label for one in methods for label in one.labels} - set(labels)
    if others:
        notes.append(f"labels that are not in every input are left out: {', '.join(sorted(others))}")
    if not labels:
        raise UserError("the inputs share no case and label: are they evaluations of the same cases?")
    return {label: sorted(case for case, name in shared_keys if name == label) for label in labels}, notes


def _of_metric(
    metric: Metric, methods: Sequence[Method], keys: Mapping[str, Sequence[str]], resampler: Resampler
) -> tuple[LabelScores, ...]:
    found = []
    for label, cases in keys.items():
        table = [[one.rows[case, label].scores[metric.name] for one in methods] for case in cases]
        kept = [at for at, row in enumerate(table) if None not in row]
        if not kept:
            continue
        values = np.array([table[at] for at in kept], np.float64)
        missed = np.array(
            [[one.rows[cases[at], label].detection in MISSES for one in methods] for at in kept]
        )
        test = friedman(values)
        found.append(
            LabelScores(
                label,
                tuple(cases[at] for at in kept),
                values,
                missed,
                len(cases) - len(kept),
                {"statistic": test.statistic, "p": test.p} if test else None,
                tuple(
                    _pair(metric, methods[a].name, methods[b].name, values[:, a], values[:, b], resampler)
                    for a, b in itertools.combinations(range(len(methods)), 2)
                ),
            )
        )
    return _adjust(found, metric)


def _pair(metric: Metric, first: str, second: str, a: Floats, b: Floats, resampler: Resampler) -> Pair:
    apart = a - b
    low, high = mean_interval(apart, resampler) or (None, None)
    p = permutation_p(apart, resampler)
    assert p is not None  # there is at least one case
    good = apart if metric.better == "higher" else -apart
    wins, losses = int((good > 0).sum()), int((good < 0).sum())
    return Pair(
        first=first,
        second=second,
        n=len(apart),
        difference=float(apart.mean()),
        low=low,
        high=high,
        p=p,
        p_adjusted=p,
        better=first if good.mean() > 0 else second,
        cohens_d=cohens_d(apart),
        rank_biserial=rank_biserial(apart),
        wins=wins,
        ties=len(apart) - wins - losses,
        losses=losses,
    )


def _adjust(found: Sequence[LabelScores], metric: Metric) -> tuple[LabelScores, ...]:
    """Adjust the p-values of a metric: pairs over all pairs and labels, Friedman tests over the labels."""
    pairs = iter(adjusted(np.array([pair.p for one in found for pair in one.pairs])).tolist())
    tests = iter(adjusted(np.array([one.friedman["p"] for one in found if one.friedman])).tolist())
    results = []
    for one in found:
        own = [replace(pair, p_adjusted=p) for pair, p in zip(one.pairs, pairs, strict=False)]
        clear = tuple(pair if pair.p_adjusted <= ALPHA else replace(pair, better="") for pair in own)
        test = one.friedman and {**one.friedman, "p_adjusted": next(tests)}
        results.append(replace(one, pairs=clear, friedman=test))
    return tuple(results)

"""The sections of `python -m benchmarks.wafer_openset`: each network, split and seed, then the means."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.cache import cache_folder, fingerprint
from benchmarks.common import Row, Section, Sections, Summary, print_report
from benchmarks.wafer import wm811k
from benchmarks.wafer_openset import networks, odin
from benchmarks.wafer_openset.judge import Answers, judge
from benchmarks.wafer_openset.networks import Grid, Network, Recipes, Say
from benchmarks.wafer_openset.outputs import Outputs, outputs_of, restore, store
from benchmarks.wafer_openset.scores import SCORES, of_outputs
from benchmarks.wafer_openset.splits import Split, make_split, split_name
from pipelines.wafer.reference import mixture_rows

NETWORKS = {"suite": networks.suite, "dense": networks.dense}
FIGURES = (
    "auroc",
    "aupr",
    "fpr_at_95_tpr",
    "false_alarms_at_95_found",
    "found",
    "accuracy",
    "macro_f1",
    "open_macro_f1",
)
HEADLINES = ("auroc", "aupr", "fpr_at_95_tpr")
QUICK = Recipes(suite_epochs=2, maps_per_epoch=1_000, dense_epochs=2)
QUICK_MAPS = 1_000
FITTED_MAPS = 12_000  # training maps to which scores are fitted


@dataclass(frozen=True, slots=True)
class Settings:
    """data: folder of `train.npz` and `val.npz`. target: the JSON. maps: see `make_split`.

    cache: where trainings, outputs and the log are kept; None is `.cache/benchmarks/wafer_openset`.
    """

    data: Path
    target: Path
    splits: Sequence[tuple[str, ...]]
    seeds: Sequence[int] = (0,)
    maps: int | None = None
    recipes: Recipes = field(default_factory=Recipes)
    threads: int = 1
    cache: Path | None = None


def run(settings: Settings) -> dict[str, Any]:
    """Measure, print and write everything; goes on at the training, and in it, where it was broken off.

    Raises ValueError if the data lacks a class that is to be left out.
    """
    torch.set_num_threads(settings.threads)
    cache = settings.cache or cache_folder("wafer_openset")
    files = wm811k.load(settings.data / "train.npz"), wm811k.load(settings.data / "val.npz")
    sections = Sections(
        settings.target,
        {
            "data": [fingerprint(settings.data / name) for name in wm811k.FILES],
            "splits": [split_name(each) for each in settings.splits],
            "seeds": list(settings.seeds),
            "maps": settings.maps,
            "recipes": asdict(settings.recipes),
            "threads": settings.threads,
        },
        say=partial(log, cache / "wafer_openset.log"),
    )
    for seed in settings.seeds:
        for left_out in settings.splits:
            split = make_split(files[0].labels, files[1].labels, left_out, seed=seed, maps=settings.maps)
            for name in NETWORKS:
                sections.run(
                    f"{name}, without {split.name}, seed {seed}",
                    partial(measure, name, files, split, settings.recipes, cache, sections.say),
                )
    rows = [row for one in sections.done.values() for row in one.rows]
    sections.done.pop("means", None)
    sections.run("means", partial(means, rows))
    report = sections.finish()
    print_report(report)
    return report


def log(path: Path, text: str) -> None:
    """Say on standard error and in the log, with the time."""
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}"
    print(line, file=sys.stderr, flush=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def measure(
    name: str,
    files: tuple[wm811k.DieMaps, wm811k.DieMaps],
    split: Split,
    recipes: Recipes,
    cache: Path,
    say: Say,
) -> Section:
    """Every score of one network on one split."""
    outputs = network_outputs(name, files, split, recipes, cache, say)
    answers = answers_of(outputs, split, files[1].labels)
    classes = split.classes(files[0].labels[split.train])
    classes = classes[mixture_rows(classes, FITTED_MAPS, split.seed)]
    rows: list[Row] = []
    for score, of in of_outputs(outputs, classes, split.seed).items():
        figures = judge(of("held"), of("known"), of("novel"), answers)
        rows.append(
            {
                "network": name,
                "left_out": split.name,
                "seed": split.seed,
                "score": score,
                "known": len(split.known),
                "novel": len(split.novel),
                **figures,
            }
        )
    return Section(rows, {})


def network_outputs(
    name: str,
    files: tuple[wm811k.DieMaps, wm811k.DieMaps],
    split: Split,
    recipes: Recipes,
    cache: Path,
    say: Say,
) -> Outputs:
    """What a network, trained if need be, says of all maps of a split; from the cache if it holds it."""
    grids = [files[0].grids[i] for i in split.train]
    rest = [files[0].grids[i] for i in split.held]
    known = [files[1].grids[i] for i in split.known]
    novel = [files[1].grids[i] for i in split.novel]
    path = cache / f"{name}-{networks.key(asdict(recipes), split, grids)}.outputs.safetensors"
    classes = split.classes(files[0].labels[split.train])
    fitted = [grids[row] for row in mixture_rows(classes, FITTED_MAPS, split.seed)]
    if path.exists():
        kept = restore(path)
        # What other code kept may be of other maps, or lack the shapes.
        if len(kept.shape.get("train", ())) == len(fitted):
            return kept
    train: Callable[..., Network] = NETWORKS[name]
    network = train(grids, classes, split, recipes, cache, say=say)
    step = odin.chosen_step(network, rest)
    say(f"ODIN takes a step of {step:g}")
    sets: dict[str, list[Grid]] = {"held": rest, "known": known, "novel": novel}
    steps = {key: odin.scores(network, some, step) for key, some in sets.items()}
    outputs = outputs_of(network, {"train": fitted, **sets}, steps, latent_only=True)
    store(path, outputs)
    return outputs


def answers_of(outputs: Outputs, split: Split, labels: NDArray[np.str_]) -> Answers:
    """The most probable class of each test map. labels: of the whole test file."""
    names = np.array(split.labels)
    known, novel = (names[outputs.logits(key)[:, : len(names)].argmax(axis=1)] for key in ("known", "novel"))
    return Answers(labels[split.known], known, novel)


def means(rows: Sequence[Row]) -> Section:
    """Per network and score the mean over splits and seeds of each figure.

    `_sd_splits`: standard deviation between splits, of their means over seeds. `_sd_seeds`: between seeds, of
    their means over splits; none with one seed.
    """
    table: list[Row] = []
    summary: Summary = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        for score in (name for name in SCORES if any(row["score"] == name for row in rows)):
            own = [row for row in rows if (row["network"], row["score"]) == (network, score)]
            line: Row = {"network": network, "score": score, "trainings": len(own)}
            for figure in FIGURES:
                line[figure] = float(np.mean([row[figure] for row in own]))
                if figure in HEADLINES:
                    line[f"{figure}_sd_splits"] = spread(own, "left_out", figure)
                    line[f"{figure}_sd_seeds"] = spread(own, "seed", figure)
                    summary[f"{figure}_{network}_{score}"] = line[figure]
            table.append(line)
    return Section(table, summary)


def spread(rows: Sequence[Row], by: str, figure: str) -> float | None:
    """Standard deviation (of a sample) of the means of a figure over the rows that share `by`."""
    groups: dict[Any, list[float]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row[figure])
    each = [float(np.mean(values)) for values in groups.values()]
    return float(np.std(each, ddof=1)) if len(each) > 1 else None

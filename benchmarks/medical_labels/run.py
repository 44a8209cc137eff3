"""Every fold, share of labels and start in turn; each training resumes, and what is trained is kept."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.cache import cache_folder, fingerprint, replace_file
from benchmarks.common import Row, Section, Sections, print_report
from benchmarks.medical_labels.recipe import FOLDS, hippocampus_plan, pretraining, training
from pipelines.common.engines import load_engine
from pipelines.medical.data.dataset import Dataset, read_dataset
from pipelines.medical.model.trained import network_of
from pipelines.medical.pretrain.run import run as pretrain
from pipelines.medical.train.cases import TrainingCase, prepare_cases
from pipelines.medical.train.folds import split_folds
from pipelines.medical.train.run import train_one
from pipelines.medical.train.start import Start, read_start
from pipelines.medical.train.validate import mean_dice

STARTS = ("nothing", "pretrained")
CPU = torch.device("cpu")
FEW_STEPS = 1 / 4  # a few cases are learnt by heart soon


@dataclass(frozen=True, slots=True)
class Settings:
    """data: the folder with imagesTr and labelsTr. shares: of a fold's labels. steps: of a training on all
    labels; one on a share takes FEW_STEPS of them. pretraining_steps: of the encoder of each fold, on the
    images of its training cases alone.
    """

    data: Path
    shares: Sequence[float] = (0.1, 0.25, 1.0)
    folds: Sequence[int] = tuple(range(FOLDS))
    starts: Sequence[str] = STARTS
    steps: int = 2_000
    pretraining_steps: int = 400
    seed: int = 0
    threads: int = 1
    cases: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What all trainings share. facts: what they follow from. folder: where they are kept."""

    facts: dict[str, Any]
    folder: Path
    cases: Sequence[TrainingCase]


def prepare(settings: Settings, say: Callable[[str], None]) -> Ground:
    """Read and prepare the cases. Raises ValueError if one cannot be used."""
    torch.set_num_threads(settings.threads)
    data = read_dataset(settings.data)
    if settings.cases:
        data = Dataset(data.cases[: settings.cases], data.channels, data.label_names, data.notes)
    plan = hippocampus_plan()
    facts = {
        "data": [fingerprint(path) for path in (settings.data / "imagesTr", settings.data / "labelsTr")],
        "cases": len(data.cases),
        "steps": settings.steps,
        "pretraining_steps": settings.pretraining_steps,
        "seed": settings.seed,
        "plan": plan.model_dump(mode="json"),
        "training": training(settings.steps, settings.seed).model_dump(mode="json"),
        "pretraining": pretraining(settings.pretraining_steps, settings.seed).model_dump(mode="json"),
    }
    folder = cache_folder("medical_labels") / _name(facts)
    cases, left_out = prepare_cases(data.cases, plan, folder / "cases", say)
    if left_out:
        raise ValueError(f"{left_out[0].name} cannot be used: {left_out[0].reason}")
    return Ground(facts, folder, cases)


def run(settings: Settings, target: Path) -> dict[str, Any]:
    """Measure, print and write everything. target: the JSON."""
    say = partial(print, file=sys.stderr, flush=True)
    ground = prepare(settings, say)
    sections = Sections(target, ground.facts, say=say)
    for start in settings.starts:
        for share in settings.shares:
            for fold in settings.folds:
                name = f"{share:.0%} of labels, from {start}, fold {fold}"
                sections.run(name, partial(_section, ground, fold, share, start, settings, say))
    sections.run("means", lambda: _means(sections.done))
    report = sections.finish()
    print_report(report)
    return report


def _section(
    ground: Ground, fold: int, share: float, start: str, settings: Settings, say: Callable[[str], None]
) -> Section:
    return Section([train_fold(ground, fold, share, start, settings, say)[0]], {})


def train_fold(
    ground: Ground, fold: int, share: float, start: str, settings: Settings, say: Callable[[str], None]
) -> tuple[Row, Path]:
    """One training, if it is not kept: its figures, and the file of its weights.

    The figures are the mean Dice of the held-out cases, with the training's flips averaged and without.
    """
    folder, plan = ground.folder, hippocampus_plan()
    kept, weights = (folder / f"{start}-{share:g}-{fold}.{ending}" for ending in ("json", "safetensors"))
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8")), weights
    inside, held_out = split(ground.cases, fold, settings)
    chosen = few(inside, share, settings.seed + fold)
    config = training(steps_of(share, settings), settings.seed)
    begin = pretrained(inside, fold, settings, folder, say) if start == "pretrained" else None
    done = train_one(
        chosen,
        held_out,
        plan,
        config,
        folder / f"{start}-{share:g}-{fold}",
        start=begin,
        device=CPU,
        progress=say,
    )
    network = network_of(plan, load_engine("auto"))
    network.load_shared(done.weights)
    flips = config.mirror or ()
    mirrored = mean_dice(network.eval(), held_out, plan, device=CPU, precision="auto", mirror=flips)
    save_file({name: value.contiguous() for name, value in done.weights.items()}, weights)
    row: Row = {
        "start": start,
        "share": share,
        "fold": fold,
        "labelled": len(chosen),
        "held_out": len(held_out),
        **{f"dice_{name}": value for name, value in mirrored.items()},
        **{f"plain_{name}": value for name, value in done.record["dice"].items()},
        "seconds": done.record["seconds"],
    }
    replace_file(kept, json.dumps(row).encode())
    return row, weights


def split(
    cases: Sequence[TrainingCase], fold: int, settings: Settings
) -> tuple[list[TrainingCase], list[TrainingCase]]:
    """The cases that a fold trains on, and those that it holds out."""
    outside = set(split_folds([case.case.name for case in cases], FOLDS, settings.seed)[fold])
    inside = [case for case in cases if case.case.name not in outside]
    return inside, [case for case in cases if case.case.name in outside]


def steps_of(share: float, settings: Settings) -> int:
    """How long a training on a share of the labels is."""
    return settings.steps if share == 1 else max(1, round(settings.steps * FEW_STEPS))


def few(cases: Sequence[TrainingCase], share: float, seed: int) -> list[TrainingCase]:
    """A share of the cases, at least two, drawn by seed; a larger share holds the smaller ones."""
    order = np.random.default_rng(seed).permutation(len(cases))
    count = max(2, round(share * len(cases)))
    return [cases[i] for i in sorted(order[:count])]


def pretrained(
    cases: Sequence[TrainingCase],
    fold: int,
    settings: Settings,
    folder: Path,
    say: Callable[[str], None],
) -> Start:
    """The encoder pretrained on the images of a fold's training cases, made once."""
    out = folder / f"encoder-{fold}"
    if not out.exists():
        images = [case.case.images[0] for case in cases]
        config = pretraining(settings.pretraining_steps, settings.seed)
        pretrain(images, out, config, plan=hippocampus_plan(), resume=True, progress=say)
    return read_start(str(out))


def _means(done: dict[str, Section]) -> Section:
    """Per start and share the mean Dice over folds, with the standard deviation between them."""
    rows = [row for section in done.values() for row in section.rows if "fold" in row]
    means, summary = [], {}
    for start in dict.fromkeys(row["start"] for row in rows):
        for share in dict.fromkeys(row["share"] for row in rows):
            some = [row for row in rows if row["start"] == start and row["share"] == share]
            if not some:
                continue
            mean: Row = {"start": start, "share": share, "folds": len(some)}
            for name in (key for key in some[0] if key.startswith(("dice_", "plain_"))):
                values = [row[name] for row in some]
                mean[name] = statistics.fmean(values)
                mean[f"{name}_sd_folds"] = statistics.stdev(values) if len(values) > 1 else None
                summary[f"{start}_{share:g}_{name}"] = mean[name]
            means.append(mean)
    return Section(means, summary)


def _name(measured: dict[str, Any]) -> str:
    from hashlib import blake2b

    return blake2b(json.dumps(measured, sort_keys=True).encode(), digest_size=6).hexdigest()

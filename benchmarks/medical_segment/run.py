"""The whole benchmark: what is trained is kept, each part is measured once, and a run broken off goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cache import cache_folder, fingerprint
from benchmarks.common import Row, Section, Sections, print_report
from benchmarks.medical_segment import break_even, memory, stages, volumes
from benchmarks.medical_segment.contestants import CONTESTANTS, GROUPS, SPARSE, Segment
from benchmarks.medical_segment.data import prepared_volume, read_cases, truth
from benchmarks.medical_segment.recipe import Recipe, make_plan, recipe_of, training
from benchmarks.medical_segment.trained import trained, with_weights
from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.medical.data.cases import Case
from pipelines.medical.model.networks import VoxelUNet
from pipelines.medical.model.trained import network_of
from pipelines.medical.train.cases import TrainingCase, prepare_cases
from pipelines.medical.train.patches import Patches

MIB = 2**20
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WHAT = ("segmenting", "training")
SIDE = 64  # of the cube
ROUNDS = 3  # at least, of what takes seconds
DRAWN = 25  # batches whose occupancy is looked at


@dataclass(frozen=True, slots=True)
class Settings:
    """data: the folder of the patients. folds: numbers of the patients to hold out, None for all. clock: of
    `CLOCKS`. parts: of what the command line lists. cache: where, if not in the checkout."""

    data: Path
    target: Path
    quick: bool = False
    folds: tuple[int, ...] | None = None
    steps: int | None = None
    seed: int = 0
    threads: int = 1
    repeats: int = 1
    clock: str = "wall"
    parts: tuple[str, ...] = ("volumes", "stages", "memory", "break_even")
    cache: Path | None = None

    @property
    def recipe(self) -> Recipe:
        return recipe_of(quick=self.quick, steps=self.steps, seed=self.seed)


def run(settings: Settings) -> dict[str, Any]:
    """Measure, print and write everything. Raises UserError if data are missing."""
    torch.set_num_threads(settings.threads)
    say = partial(print, file=sys.stderr, flush=True)
    cases = read_cases(settings.data, settings.cache)
    folds = tuple(range(len(cases))) if settings.folds is None else settings.folds
    folds = folds[:1] if settings.quick else folds
    if not all(0 <= fold < len(cases) for fold in folds):
        raise UserError(f"--folds must be 0 to {len(cases) - 1}: there are {len(cases)} patients")
    facts = {
        "data": [fingerprint(path) for case in cases for path in case.images],
        "recipe": asdict(settings.recipe),
        **{name: getattr(settings, name) for name in ("quick", "threads", "repeats", "clock")},
    }
    sections = Sections(settings.target, _as_json(facts), say=say)
    if "stages" in settings.parts:
        sections.run("stages", partial(_stages, cases[0], settings))
    if "memory" in settings.parts:
        for name in CONTESTANTS:
            sections.run(f"memory of {name}", partial(_memory, name, settings))
    if "break_even" in settings.parts:
        for what in WHAT:
            sections.run(f"break-even, {what}", partial(_break_even, what, cases[0], settings))
    if "volumes" in settings.parts:
        _volumes(sections, cases, folds, settings)
    report = sections.finish()
    print_report(report)
    return report


def _volumes(sections: Sections, cases: Sequence[Case], folds: Sequence[int], settings: Settings) -> None:
    folder = cache_folder("medical_segment", settings.cache)
    ready, _ = prepare_cases(cases, make_plan("dense-unet", settings.recipe), folder / "cases", sections.say)
    sections.run("patches", partial(_patches, ready, settings.recipe))
    rows: list[Row] = []
    for fold in folds:
        for group in GROUPS:
            name = f"{cases[fold].name}, {group}"
            measure = partial(_group, cases, ready, fold, group, settings, folder, sections.say)
            rows += sections.run(name, measure).rows
    sections.done.pop("means", None)
    sections.run("means", lambda: volumes.summarise(rows))


def _group(
    cases: Sequence[Case],
    ready: Sequence[TrainingCase],
    fold: int,
    group: str,
    settings: Settings,
    folder: Path,
    say: Any,
) -> Section:
    """The networks of one fold are trained, if they are not, and segment the patient that was held out."""
    recipe, contestants = settings.recipe, {}
    for name in volumes.names_of(group):
        one = CONTESTANTS[name]
        weights = trained(one.weights or one.network, fold, ready, recipe, folder, say)
        network = with_weights(one.network, weights, recipe)
        contestants[name] = one.segment(network, make_plan(one.network, recipe))
    prepared = prepared_volume(cases[fold], make_plan("dense-unet", recipe), quick=settings.quick)
    return volumes.measure(
        cases[fold].name,
        group,
        contestants,
        prepared,
        truth(cases[fold], quick=settings.quick),
        repeats=settings.repeats,
        clock=CLOCKS[settings.clock],
    )


def _stages(case: Case, settings: Settings) -> Section:
    plan = make_plan("sparse-unet", settings.recipe)
    network = network_of(plan, load_engine("native")).eval()
    assert isinstance(network, VoxelUNet)
    whole: Segment = CONTESTANTS[SPARSE].segment(network, plan)
    prepared = prepared_volume(case, plan, quick=settings.quick)
    rounds = max(ROUNDS, settings.repeats)
    return stages.measure(network, prepared, whole, repeats=rounds, clock=CLOCKS[settings.clock])


def _memory(name: str, settings: Settings) -> Section:
    peak = memory.measure(name, settings.data, quick=settings.quick, threads=settings.threads)
    key = name.lower().replace(", ", "_").replace(" ", "_")
    return Section([{"contestant": name, "peak_mib": peak / MIB}], {f"peak_mib_{key}": peak / MIB})


def _break_even(what: str, case: Case, settings: Settings) -> Section:
    plans = [make_plan(name, settings.recipe) for name in ("sparse-unet", "dense-unet")]
    sparse, dense = (network_of(plan, load_engine("native")) for plan in plans)
    prepared = prepared_volume(case, plans[0], quick=settings.quick)
    return break_even.measure(
        what,
        sparse,
        dense,
        prepared,
        32 if settings.quick else SIDE,
        repeats=max(ROUNDS, settings.repeats),
        clock=CLOCKS[settings.clock],
    )


def _patches(cases: Sequence[TrainingCase], recipe: Recipe) -> Section:
    """How much of the volumes, and of the patches that are trained on, is active."""
    patches = Patches(cases, make_plan("sparse-unet", recipe), training(recipe))
    rng = np.random.default_rng(recipe.seed)
    drawn = [patches.batch(rng)[2] for _ in range(DRAWN)]
    shares = [float(active.float().mean()) for active in drawn if active is not None]
    whole = [float(case.active.mean()) for case in cases if case.active is not None]
    row: Row = {"occupancy_of_volumes": float(np.mean(whole)), "occupancy_of_patches": float(np.mean(shares))}
    return Section([row], dict(row))


def _as_json(facts: dict[str, Any]) -> dict[str, Any]:
    """As they come back from a file, so that a partial run is known again."""
    import json

    found: dict[str, Any] = json.loads(json.dumps(facts))
    return found

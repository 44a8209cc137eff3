"""The sections of `python -m benchmarks.wafer`, in their order."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.cache import cache_folder, fingerprint
from benchmarks.common import Section, Sections, print_report
from benchmarks.wafer import accuracy, novelty, peer, scaling, speed
from benchmarks.wafer.contestants import Contestants
from benchmarks.wafer.dense_cnn import Peer, Recipe, trained
from benchmarks.wafer.inputs import some_of, speed_inputs
from pipelines.common.hardware import package_version
from pipelines.common.models import find_model, load_model
from pipelines.wafer.model.trained import TASK


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    commands: how many inputs the whole command is run on. novelty_maps: per pattern.
    train_maps, val_maps: None takes all.
    """

    recipe: Recipe
    die_maps: int
    files: int
    full_maps: int
    commands: int
    command_repeats: int
    novelty_maps: int
    train_maps: int | None = None
    val_maps: int | None = None
    defects: tuple[int, ...] = (100, 1_000, 10_000, 20_000, 50_000, 100_000)
    sides: tuple[int, ...] = (2_000, 5_000, 10_000, 20_000, 40_000)


FULL = Sizes(
    Recipe(), die_maps=4096, files=208, full_maps=520, commands=3, command_repeats=3, novelty_maps=120
)
QUICK = Sizes(
    Recipe(epochs=2),
    die_maps=256,
    files=13,
    full_maps=26,
    commands=1,
    command_repeats=1,
    novelty_maps=5,
    train_maps=512,
    val_maps=512,
    defects=(100, 10_000, 20_000, 100_000),
    sides=(2_000, 40_000),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """data: folder of `train.npz` and `val.npz`. target: the JSON. models: name or folder by kind of map.

    cache: where the peer's training and the inputs are kept; None is `.cache/benchmarks/wafer`. only: the
    sections to measure, None for all; those that an earlier run has measured are kept.
    """

    data: Path
    target: Path
    quick: bool
    threads: int
    repeats: int
    models: dict[str, str]
    cache: Path | None = None
    only: tuple[str, ...] | None = None


def run(settings: Settings, sizes: Sizes | None = None) -> dict[str, Any]:
    """Measure everything, print it, write it; goes on where an earlier run of the same settings broke off.

    Raises UserError if a model cannot be found or read.
    """
    sizes = sizes or (QUICK if settings.quick else FULL)
    torch.set_num_threads(settings.threads)
    cache = settings.cache or cache_folder("wafer")
    scratch = cache / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    models = {kind: str(find_model(TASK, name)) for kind, name in settings.models.items()}
    engines = ["native", "minkowski"] if package_version("MinkowskiEngine") else ["native"]
    say = partial(print, file=sys.stderr, flush=True)
    sections = Sections(
        settings.target,
        {
            "quick": settings.quick,
            "threads": settings.threads,
            "repeats": settings.repeats,
            "engines": engines,
            "models": settings.models,
            "model_sha256": {kind: load_model(Path(path), task=TASK).sha256 for kind, path in models.items()},
            "data": str(settings.data),
        },
        say=say,
    )
    data = subset(settings.data, cache, sizes)
    dense = trained(data, sizes.recipe, cache, say=say)
    weights = cache / "peer.safetensors"
    peer.save(weights, dense.model, dense.labels)
    contestants = Contestants(engines, models, weights, scratch)

    def section(name: str, measure: Callable[[], Section]) -> None:
        if settings.only is None or name in settings.only:
            sections.run(name, measure)

    section("training_of_peer", lambda: training(dense))
    native = partial(contestants.predictor, "dies", "native")
    section("accuracy", lambda: accuracy.measure(data / "val.npz", dense, native(), cache))
    full = partial(contestants.model, "coordinates", "native")
    section("novelty", lambda: novelty.measure(full(), scratch, maps_per_class=sizes.novelty_maps))
    inputs = speed_inputs(
        settings.data, cache, die_maps=sizes.die_maps, files=sizes.files, full_maps=sizes.full_maps
    )
    for item in inputs:
        section(f"speed_{item.name}", partial(speed.measure, item, contestants, repeats=settings.repeats))
    section(
        "commands",
        lambda: speed.memory(
            inputs[: sizes.commands], contestants, repeats=sizes.command_repeats, threads=settings.threads
        ),
    )
    section("defects", lambda: scaling.defects(contestants, sizes.defects, repeats=settings.repeats))
    section("resolution", lambda: scaling.resolution(contestants, sizes.sides, repeats=settings.repeats))
    shutil.rmtree(scratch, ignore_errors=True)
    report = sections.finish()
    print_report(report)
    return report


def training(dense: Peer) -> Section:
    """What the training of the peer took, whenever it was; speed is compared by `training_step` instead."""
    seconds = dense.seconds_per_epoch
    row = {
        "parameters": dense.parameters,
        "epochs": len(seconds),
        "seed": dense.recipe.seed,
        "seconds_per_epoch": sorted(seconds)[len(seconds) // 2],
        "seconds": sum(seconds),
    }
    return Section([row], {})


def subset(data: Path, cache: Path, sizes: Sizes) -> Path:
    """A folder of as many maps of `train.npz` and `val.npz` as the sizes say."""
    if sizes.train_maps is None or sizes.val_maps is None:
        return data
    folder = cache / f"subset-{sizes.train_maps}-{sizes.val_maps}-{fingerprint(data / 'train.npz')}"
    folder.mkdir(exist_ok=True)
    some_of(data / "train.npz", folder / "train.npz", sizes.train_maps)
    some_of(data / "val.npz", folder / "val.npz", sizes.val_maps)
    return folder

"""The whole benchmark: what is trained is kept, each part is measured once, and a run broken off goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.cache import contents
from benchmarks.common import Row, Section, Sections, print_report
from benchmarks.crowd import memory, speed
from benchmarks.crowd.recipe import recipe
from benchmarks.crowd.trained import Images, read_images, trained
from pipelines.common.models import METRICS

MIB = 2**20
QUICK_IMAGES = 12
PHOTOGRAPHS, FRAMES = 5, 20  # that are timed
SCORES = (
    "mae",
    "rmse",
    "nae",
    "bias",
    *(f"game_{level}" for level in range(4)),
    "coverage",
    "relative_width",
)
OURS = ("sparse-counter", "dense-counter")


@dataclass(frozen=True, slots=True)
class Settings:
    """folders: of each data set, by its short name. parts: of those of the command line; none only trains.
    cache: where trained networks are kept, if not in the checkout."""

    target: Path
    folders: Mapping[str, Path]
    networks: tuple[str, ...]
    parts: tuple[str, ...]
    quick: bool = False
    seed: int = 0
    threads: int = 2
    training_threads: int = 1
    repeats: int = 7
    cache: Path | None = None


def run(settings: Settings) -> dict[str, Any]:
    """Train what is missing, then measure, print and write everything."""
    say = partial(print, file=sys.stderr, flush=True)
    torch.set_num_threads(settings.training_threads)
    models: dict[str, dict[str, Path]] = {}
    images: dict[str, dict[str, Images]] = {}
    for name, folder in settings.folders.items():
        models[name], images[name] = {}, {}
        for network in settings.networks:
            config = recipe(
                network, name, quick=settings.quick, seed=settings.seed, threads=settings.training_threads
            )
            limit = QUICK_IMAGES if settings.quick else None
            images[name][network] = read_images(name, folder, config, limit, say, settings.cache)
            models[name][network] = trained(images[name][network], config, say, settings.cache)
    if not settings.parts:
        return {}
    torch.set_num_threads(settings.threads)
    facts = {
        "data": {name: contents(folder) for name, folder in settings.folders.items()},
        "models": {name: {key: path.name for key, path in one.items()} for name, one in models.items()},
        **{name: getattr(settings, name) for name in ("quick", "seed", "threads", "repeats")},
    }
    sections = Sections(settings.target, json.loads(json.dumps(facts)), say=say)
    for name in settings.folders:
        _measure(sections, name, models[name], images[name], settings)
    report = sections.finish()
    print_report(report)
    return report


def _measure(
    sections: Sections,
    name: str,
    models: Mapping[str, Path],
    images: Mapping[str, Images],
    settings: Settings,
) -> None:
    """images: of each network, in the size that it is trained on; the same ones are held out for all."""
    if "accuracy" in settings.parts:
        sections.run(f"{name}, accuracy", lambda: _accuracy(name, models))
    last = images[settings.networks[-1]]
    if name == "sha" and "speed" in settings.parts:
        chosen = last.held_out[:PHOTOGRAPHS]
        sections.run("speed", lambda: speed.measure(models, chosen, repeats=settings.repeats))
    if name == "sha" and "memory" in settings.parts:
        for network, folder in models.items():
            sections.run(f"memory of {network}", partial(_memory, network, folder, last, settings.threads))
    if "decoder" in settings.parts and OURS[0] in models:
        ours = images[OURS[0]]
        frames = ours.held_out[:FRAMES]
        sections.run(
            f"{name}, decoder", lambda: _decoder(name, models[OURS[0]], ours, frames, settings.repeats)
        )


def _accuracy(name: str, models: Mapping[str, Path]) -> Section:
    """The scores that the trainings ended with, on images that no network has seen."""
    rows: list[Row] = []
    summary: dict[str, Any] = {}
    for network, folder in models.items():
        record = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        scores = record["scores"]["metrics"]
        row: Row = {"network": network, "minutes": record["seconds"] / 60}
        row |= {score: scores[score]["value"] for score in SCORES if score in scores}
        row |= {"mae_low": scores["mae"]["low"], "mae_high": scores["mae"]["high"]}
        row |= {key: record["scores"][key] for key in ("gate_recall", "refined") if key in record["scores"]}
        rows.append(row)
        summary[f"{name}_mae_{network}"] = scores["mae"]["value"]
    others = [row["mae"] for row in rows if row["network"] not in OURS]
    ours = [row["mae"] for row in rows if row["network"] == OURS[0]]
    if others and ours:
        summary[f"{name}_mae_of_best_other"] = min(others)
        summary[f"{name}_mae_ratio"] = ours[0] / min(others)
    return Section(rows, summary)


def _memory(network: str, folder: Path, images: Images, threads: int) -> Section:
    image = next(path for path in _files(images.folder) if path.stem == Path(images.held_out[0].name).stem)
    peak = memory.measure(folder, image, threads) / MIB
    return Section([{"network": network, "peak_mib": peak}], {f"peak_mib_{network}": peak})


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))


def _decoder(name: str, model: Path, images: Images, frames: Any, repeats: int) -> Section:
    """How much faster the decoder is on active blocks, and what that does to the counts."""
    timed = speed.decoders(model, frames, repeats=repeats)
    counted = speed.errors(model, images.held_out)
    summary = {f"{name}_{key}": value for key, value in {**timed.summary, **counted.summary}.items()}
    return Section([*timed.rows, *counted.rows], summary)

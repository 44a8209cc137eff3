"""The whole benchmark: what is rendered and trained is kept, each contestant is measured once."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cache import cache_folder
from benchmarks.common import Row, Section, Sections, interleaved, print_report
from benchmarks.polyp.baselines import apparent_sizes, measured_sizes, median_sizes
from benchmarks.polyp.data import TEST, TRAINING, rendered
from benchmarks.polyp.depth import trained_depth
from benchmarks.polyp.recipe import Contestant, recipe
from pipelines.common.models import METRICS, model_hash
from pipelines.polyp.aggregate import PolypSize, Scale, size_polyp
from pipelines.polyp.data import Polyp
from pipelines.polyp.data.splits import hold_out
from pipelines.polyp.depth.config import TASK as DEPTH_TASK
from pipelines.polyp.depth.estimate import Estimator, load_estimator
from pipelines.polyp.depth.fit import depth_errors
from pipelines.polyp.depth.frames import depth_frames
from pipelines.polyp.depth.network import TURNS
from pipelines.polyp.metrics import Sized, summarise
from pipelines.polyp.model.network import Seen, as_images
from pipelines.polyp.model.resnet import ResNet18
from pipelines.polyp.model.trained import TrainedModel, load_trained
from pipelines.polyp.train.batches import seen
from pipelines.polyp.train.measure import frame_sizes
from pipelines.polyp.train.run import metrics_of, prepare, train_one, write_model
from pipelines.polyp.train.store import StoredPolyp, store_polyps

COMMAND = "python -m benchmarks.polyp --json FILE"
CPU = torch.device("cpu")
SHOWN = ("macro_f1", "accuracy", "kappa", "mae", "median_error", "bias", "loa_low", "loa_high", "coverage")
TIMED = 16  # frames
FULL_FRAME = "resnet18, full frame"
ESTIMATING = "estimating depths"
WITH_DEPTH = ("sparse-resnet",)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """size: px of a frame. depth_polyps, depth_steps, depth_size: of the estimator of depths, with frames of
    its own. open_gates: whether networks whose gates begin nearly open are trained, too. measure: False
    renders and trains only. cache: where, if not in the checkout."""

    target: Path
    networks: tuple[str, ...]
    seeds: int = 3
    polyps: int = 400
    test_polyps: int = 150
    steps: int = 600
    depth_polyps: int = 1200
    depth_steps: int = 12000
    depth_size: int = 192
    frames: int = 8
    size: int = 384
    threads: int = 1
    workers: int = 1
    open_gates: bool = False
    measure: bool = True
    cache: Path | None = None


def run(settings: Settings) -> dict[str, Any]:
    """Render and train what is missing, then measure, print and write everything."""
    say = partial(print, file=sys.stderr, flush=True)
    torch.set_num_threads(settings.threads)
    look = partial(
        rendered,
        frames=settings.frames,
        size=settings.size,
        workers=settings.workers,
        say=say,
        cache=settings.cache,
    )
    training = look(*TRAINING, settings.polyps)
    test = look(*TEST, settings.test_polyps)
    contestants = [
        one
        for name in settings.networks
        for one in (Contestant(name, "gates"), Contestant(name, "open gates"), Contestant(name))
        if settings.open_gates or one.gates != "open gates"
    ]
    seeing = [name for name in WITH_DEPTH if name in settings.networks]
    contestants += [Contestant(name, "gates", "depth") for name in seeing]
    contestants += [Contestant(name, "gates", "estimated depth") for name in seeing]
    depth_model = _depth_model(settings, say) if seeing else None
    models = {
        one.name: [
            _trained(one, seed, training, settings, say, depth_model) for seed in range(settings.seeds)
        ]
        for one in contestants
    }
    if not settings.measure:
        return {}
    estimator = None if depth_model is None else load_estimator(depth_model, device="cpu")
    stored = _stored(test, settings, say, estimator)
    facts = {
        name: getattr(settings, name)
        for name in ("polyps", "test_polyps", "steps", "seeds", "size", "threads")
    }
    facts["models"] = {name: [one.name for one in folders] for name, folders in models.items()}
    sections = Sections(settings.target, json.loads(json.dumps(facts)), say=say)
    sections.run("baselines", lambda: _baselines(_trained_on(training, settings, say), stored))
    if estimator is not None:
        sections.run("depths", partial(_depths, estimator, stored))
    for one in contestants:
        sections.run(one.name, partial(_accuracy, one.name, models[one.name], stored, one.scale))
        if one.estimated:
            name = f"{one.name}, shown true depth"
            sections.run(name, partial(_accuracy, name, models[one.name], stored, "map"))
    first = {name: one[0] for name, one in models.items()}
    sections.run("speed", lambda: _speed(first, stored, estimator))
    report = sections.finish()
    print_report(report)
    return report


def _depth_model(settings: Settings, say: Say) -> Path:
    """The folder of the model that estimates depths; it learns from clips of its own."""
    return trained_depth(
        polyps=settings.depth_polyps,
        steps=settings.depth_steps,
        size=settings.depth_size,
        threads=settings.threads,
        workers=settings.workers,
        say=say,
        cache=settings.cache,
    )


def _trained(
    contestant: Contestant,
    seed: int,
    polyps: Sequence[Polyp],
    settings: Settings,
    say: Say,
    depth_model: Path | None,
) -> Path:
    """The model folder of a contestant, trained now or in an earlier run."""
    config = recipe(contestant, steps=settings.steps, seed=seed, threads=settings.threads)
    facts = [len(polyps), settings.frames, settings.size, config.model_dump(mode="json", exclude_unset=True)]
    if contestant.estimated and depth_model is not None:
        facts.append(model_hash(depth_model, task=DEPTH_TASK))
        config = config.model_copy(update={"depth_model": str(depth_model)})
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    cache = cache_folder("polyp", settings.cache)
    folder = cache / f"{contestant.name.replace(', ', '-')}-{seed}-{key}"
    if (folder / METRICS).is_file():
        return folder
    fold = hold_out(polyps, config.held_out, seed=0)
    training, held_out, left_out = prepare(fold, config, _frames_folder(settings, contestant.frames), say)
    scratch = folder.with_name(f".{folder.name}.training")
    done = train_one(
        training,
        held_out,
        config,
        scratch,
        device=CPU,
        progress=lambda text: say(f"{contestant.name}, seed {seed}: {text}"),
    )
    metrics = metrics_of(done, left_out, COMMAND)
    write_model(folder, done, metrics, config, training, name="rendered polyps")
    shutil.rmtree(scratch)
    return folder


def _frames_folder(settings: Settings, name: str) -> Path:
    return cache_folder("polyp", settings.cache) / f"{name}-{settings.frames}x{settings.size}"


def _stored(
    polyps: Sequence[Polyp], settings: Settings, say: Say, estimator: Estimator | None
) -> list[StoredPolyp]:
    """With the true depths, and those of an estimator."""
    folder = _frames_folder(settings, "test" if estimator is None else "test-estimated")
    return store_polyps(polyps, 512, 64, folder, say, depth=True, estimator=estimator)[0]


def _trained_on(polyps: Sequence[Polyp], settings: Settings, say: Say) -> list[StoredPolyp]:
    config = recipe(Contestant("resnet18"), steps=settings.steps, seed=0, threads=settings.threads)
    fold = hold_out(polyps, config.held_out, seed=0)
    return prepare(fold, config, _frames_folder(settings, "training"), say)[0]


def _baselines(training: Sequence[StoredPolyp], test: Sequence[StoredPolyp]) -> Section:
    found: dict[str, Sequence[float | None]] = {
        "median": median_sizes(training, test),
        "apparent size": apparent_sizes(training, test),
        "measured by depth": measured_sizes(test),
    }
    if any(frame.estimated is not None for one in test for frame in one.frames):
        found["measured by estimated depth"] = measured_sizes(test, estimated=True)
    rows: list[Row] = []
    for name, sizes in found.items():
        items = [Sized(one.id, one.mm, mm, one.id, one.patient) for one, mm in zip(test, sizes, strict=True)]
        rows.append({"predictor": name, **_shown(items)})
    return Section(rows, {f"mae_{row['predictor'].replace(' ', '_')}": row["mae"] for row in rows})


def _depths(estimator: Estimator, test: Sequence[StoredPolyp]) -> Section:
    """How far off estimated depths are on the test polyps: mean absolute logarithms, see `DepthError`.

    As they are in use, from all quarter turns, and from one view alone.
    """
    frames = depth_frames(test, estimator.side)
    rows: list[Row] = []
    for views in (TURNS, 1):
        errors = depth_errors(estimator.network, frames, device=CPU, precision="float32", views=views)
        lesions = [one.lesion for one in errors if one.lesion is not None]
        rows.append(
            {
                "views": views,
                "frames": len(errors),
                "lesion": float(np.mean(np.abs(lesions))),
                "lesion_bias": float(np.mean(lesions)),
                "frame": float(np.mean([one.frame for one in errors])),
            }
        )
    return Section(rows, {"depth_log_error_lesion": rows[0]["lesion"]})


def _accuracy(name: str, folders: Sequence[Path], test: Sequence[StoredPolyp], scale: Scale) -> Section:
    """One row for each seed; means over seeds in the summary.

    Scores are of all polyps, those too of which the model abstains: it is asked all the same, as the
    baselines never abstain. What it does say is in `mae_sized` and `macro_f1_sized`. scale: what it is told.
    """
    rows: list[Row] = []
    for seed, folder in enumerate(folders):
        model = load_trained(folder)
        ask = partial(frame_sizes, model.network, device=CPU, precision="float32", scale=scale)
        frames = [ask(one) for one in test]
        sizes = [size_polyp(one, model.calibration) for one in frames]
        asked = [size_polyp(one).mm for one in frames]
        sized = _shown([_item(one, size.mm, size) for one, size in zip(test, sizes, strict=True)])
        rows.append(
            {
                "network": name,
                "seed": seed,
                "parameters": sum(one.numel() for one in model.network.parameters()),
                **_shown([_item(*one) for one in zip(test, asked, sizes, strict=True)]),
                "abstained": sum(one.mm is None for one in sizes),
                "indeterminate": sum(one.mm is not None and one.near is not None for one in sizes),
                "mae_sized": sized.get("mae"),
                "macro_f1_sized": sized.get("macro_f1"),
            }
        )
    means = {
        f"{score}_{name.replace(', ', '_')}": float(np.mean([row[score] for row in rows]))
        for score in ("mae", "macro_f1", "f1_10mm", "coverage", "mae_sized", "abstained")
        if all(row.get(score) is not None for row in rows)
    }
    return Section(rows, means)


def _item(polyp: StoredPolyp, mm: float | None, size: PolypSize) -> Sized:
    return Sized(polyp.id, polyp.mm, mm, polyp.id, polyp.patient, False, size.low, size.high)


def _shown(items: Sequence[Sized]) -> Row:
    found = summarise(items, "polyp", draws=200)
    row: Row = {score: found["metrics"][score]["value"] for score in SHOWN if score in found["metrics"]}
    row["f1_10mm"] = binary_f1(items, 10.0)
    return row


def binary_f1(items: Sequence[Sized], mm: float) -> float | None:
    """F1 of telling polyps of `mm` and more; None if there is none in truth or prediction."""
    pairs = [
        (one.true_mm >= mm, one.predicted_mm >= mm)
        for one in items
        if one.true_mm is not None and one.predicted_mm is not None
    ]
    hits = sum(true and said for true, said in pairs)
    wrong = sum(true != said for true, said in pairs)
    return 2 * hits / (2 * hits + wrong) if hits + wrong else None


def _speed(models: dict[str, Path], test: Sequence[StoredPolyp], estimator: Estimator | None) -> Section:
    """Milliseconds a frame, from stored pixels to a distribution, one frame at a time, networks in turns."""
    frames = [seen(one.usable[0]) for one in test[:TIMED]]
    calls = {name: _calls(load_trained(folder), frames) for name, folder in models.items()}
    if estimator is not None:
        calls[ESTIMATING] = _estimating(estimator, frames)
    full = _full_frame(models, frames)
    if full is not None:
        calls[FULL_FRAME] = full
    timings = interleaved(calls, repeats=5)
    rows: list[Row] = [
        {"network": name, "ms": 1e3 * one.median / len(frames), "repeats": one.repeats}
        for name, one in timings.items()
    ]
    summary: dict[str, Any] = {}
    if "sparse-resnet, gates" in timings and FULL_FRAME in timings:
        ours = timings["sparse-resnet, gates"].median
        summary["times_faster_than_full_frame"] = timings[FULL_FRAME].median / ours
        summary["times_faster_than_streams"] = timings["resnet18, gates"].median / ours
    return Section(rows, summary)


def _calls(model: TrainedModel, frames: Sequence[Seen]) -> Callable[[], None]:
    def call() -> None:
        with torch.inference_mode():
            for one in frames:
                model.network([model.network.encode(one)])

    return call


def _estimating(estimator: Estimator, frames: Sequence[Seen]) -> Callable[[], None]:
    """Depths of frames: what comes on top where a network sees estimated ones."""

    def call() -> None:
        for one in frames:
            if one.camera is not None:
                estimator.estimate(one.pixels, one.camera, one.mask)

    return call


def _full_frame(models: dict[str, Path], frames: Sequence[Seen]) -> Callable[[], None] | None:
    """ResNet-18 on the whole frame at its full size, with untrained weights: only its time is asked for."""
    if "resnet18, gates" not in models:
        return None
    network = ResNet18(gated=True).eval()

    def call() -> None:
        with torch.inference_mode():
            for one in frames:
                network(as_images(np.array(one.pixels)[None]))

    return call

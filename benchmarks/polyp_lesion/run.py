"""The whole benchmark: what is trained is kept, with its scores; then they are put beside each other."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cache import cache_folder, fingerprint
from benchmarks.common import Row, Section, Sections, interleaved, print_report
from benchmarks.polyp_lesion.baseline import usual_place
from benchmarks.polyp_lesion.recipe import PRETRAINED, SCRATCH, SPLIT, STARTS, recipe
from pipelines.common.media.record import Pixels
from pipelines.common.models import METRICS
from pipelines.common.tables import plain
from pipelines.polyp.data import find_field, read_dataset, read_frame
from pipelines.polyp.lesion.config import LesionConfig
from pipelines.polyp.lesion.evaluate import evaluate
from pipelines.polyp.lesion.measure import FrameScore, summary
from pipelines.polyp.lesion.predict import load_finder
from pipelines.polyp.lesion.run import (
    ALL,
    Parts,
    metrics_of,
    prepare,
    scores_of,
    train_one,
    write_model,
)
from pipelines.polyp.lesion.trained import Tuning
from pipelines.polyp.metrics.bootstrap import draw, ends

COMMAND = "python -m benchmarks.polyp_lesion --json FILE"
CPU = torch.device("cpu")
HELD_OUT = "held_out.csv"
TIMED = 12  # frames
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """polypgen, kvasir, unlabelled: folders. starts: what is trained.
    measure: False trains only. cache: where, if not in the
    checkout."""

    target: Path
    polypgen: Path
    kvasir: Path
    unlabelled: Path
    seeds: int = 3
    steps: int = 4_000
    pretraining_steps: int = 1_000
    threads: int = 1
    starts: tuple[str, ...] = STARTS
    measure: bool = True
    cache: Path | None = None


def run(settings: Settings) -> dict[str, Any]:
    """Train what is missing, then measure, print and write everything."""
    say = partial(print, file=sys.stderr, flush=True)
    torch.set_num_threads(settings.threads)
    parts = read_parts(settings, say)
    models = {
        start: [trained(start, seed, parts, settings, say) for seed in range(settings.seeds)]
        for start in settings.starts
    }
    if not settings.measure:
        return {}
    facts = {name: getattr(settings, name) for name in ("seeds", "steps", "pretraining_steps", "threads")}
    facts["models"] = {start: [one.name for one in folders] for start, folders in models.items()}
    facts["frames"] = {
        "training": len(parts.training),
        "tuned_on": len(parts.tuning),
        "held_out": len(parts.held_out),
        "pretraining_besides": len(parts.unlabelled),
        "groups": len(set(parts.grouping.group)),
        "groups_of_near_duplicates": parts.grouping.near,
        "sequences": parts.grouping.sequences,
    }
    sections = Sections(settings.target, json.loads(json.dumps(facts)), say=say)
    sections.run("baseline", lambda: _baseline(parts))
    scores = {start: [read_scores(one / HELD_OUT) for one in folders] for start, folders in models.items()}
    sections.run("held out", lambda: _held_out(scores, models))
    sections.run("each training", lambda: _each(scores, models))
    if set(settings.starts) == set(STARTS):
        sections.run("difference", lambda: _difference(scores))
        sections.run("untuned", lambda: _untuned(models, parts, say))
    sections.run("speed", lambda: _speed(models[settings.starts[0]][0], parts))
    report = sections.finish()
    print_report(report)
    return report


def read_parts(settings: Settings, say: Say) -> Parts:
    """The frames, split the same way for all trainings."""
    config = recipe_of(PRETRAINED, 0, settings)
    return prepare(
        {
            "PolypGen": read_dataset(settings.polypgen).polyps,
            "Kvasir-SEG": read_dataset(settings.kvasir).polyps,
        },
        config,
        cache_folder("polyp_lesion", settings.cache) / f"frames-{config.network.side}",
        say,
        unlabelled={settings.unlabelled.name: read_dataset(settings.unlabelled).polyps},
        split_seed=SPLIT,
    )


def trained(start: str, seed: int, parts: Parts, settings: Settings, say: Say) -> Path:
    """The model folder of a training, done now or in an earlier run."""
    config = recipe_of(start, seed, settings)
    facts = [
        SPLIT,
        fingerprint(settings.polypgen),
        fingerprint(settings.kvasir),
        fingerprint(settings.unlabelled) if start == PRETRAINED else "",
        # What the recipe sets, and not what it leaves to defaults: a training outlives a new setting.
        config.model_dump(mode="json", exclude={"threads"}, exclude_unset=True),
    ]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    folder = cache_folder("polyp_lesion", settings.cache) / f"{start.replace(' ', '-')}-{seed}-{key}"
    if (folder / METRICS).is_file():
        return folder
    scratch = folder.with_name(f".{folder.name}.training")
    done = train_one(
        parts, config, scratch, device=CPU, progress=lambda text: say(f"{start}, seed {seed}: {text}")
    )
    write_model(folder, done, metrics_of(done, parts, COMMAND), config, parts)
    shutil.rmtree(scratch)
    return folder


def recipe_of(start: str, seed: int, settings: Settings) -> LesionConfig:
    """The settings of one training."""
    return recipe(
        start,
        steps=settings.steps,
        pretraining_steps=settings.pretraining_steps,
        seed=seed,
        threads=settings.threads,
    )


def read_scores(path: Path) -> list[FrameScore]:
    """The scores of held-out frames that a training wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            FrameScore(
                plain(row["frame"]),
                plain(row["data"]),
                plain(row["group"]),
                float(row["dice"]),
                float(row["iou"]),
                row["empty"] == "1",
                row["in_part"] == "1" if row["in_part"] else None,
            )
            for row in csv.DictReader(file)
        ]


def averaged(trainings: Sequence[Sequence[FrameScore]]) -> list[FrameScore]:
    """The mean of each frame's Dice and IoU over several trainings."""
    return [
        replace(
            same[0],
            dice=float(np.mean([one.dice for one in same])),
            iou=float(np.mean([one.iou for one in same])),
        )
        for same in zip(*trainings, strict=True)
    ]


def _baseline(parts: Parts) -> Section:
    scores = usual_place(parts)
    rows: list[Row] = [
        {"finder": "usual place", "data": name, **one} for name, one in scores_of(scores).items()
    ]
    return Section(rows, {"dice_usual_place": rows[-1]["dice"]})


def _held_out(
    scores: Mapping[str, Sequence[Sequence[FrameScore]]], models: Mapping[str, Sequence[Path]]
) -> Section:
    """A row for each start and data set: means over seeds, with an interval over groups of frames."""
    rows: list[Row] = []
    for start, trainings in scores.items():
        of_seeds = [scores_of(one) for one in trainings]
        means = scores_of(averaged(trainings))
        parameters = json.loads((models[start][0] / METRICS).read_text(encoding="utf-8"))["parameters"]
        for name, one in means.items():
            same = [each[name] for each in of_seeds]
            rows.append(
                {
                    "start": start,
                    "data": name,
                    **one,
                    "missed": float(np.mean([each["missed"] for each in same])),
                    "false": float(np.mean([each["false"] for each in same])),
                    "false_parts": float(np.mean([each["false_parts"] for each in same])),
                    "parameters": parameters,
                }
            )
    return Section(
        rows, {f"dice_{row['start'].replace(' ', '_')}": row["dice"] for row in rows if row["data"] == ALL}
    )


def _each(
    scores: Mapping[str, Sequence[Sequence[FrameScore]]], models: Mapping[str, Sequence[Path]]
) -> Section:
    rows: list[Row] = []
    for start, trainings in scores.items():
        for seed, (one, folder) in enumerate(zip(trainings, models[start], strict=True)):
            metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
            found = summary(one)
            rows.append(
                {
                    "start": start,
                    "seed": seed,
                    **{
                        name: found[name]
                        for name in ("dice", "iou", "dice_all", "missed", "false", "false_parts")
                    },
                    **{name: metrics["tuning"][name] for name in ("threshold", "smallest", "sure")},
                    "pretraining_s": metrics.get("pretraining", {}).get("seconds"),
                    "training_s": metrics["seconds"],
                }
            )
    return Section(rows, {})


def _difference(scores: Mapping[str, Sequence[Sequence[FrameScore]]]) -> Section:
    """Dice after pretraining minus that from scratch, frame by frame, over frames with a lesion."""
    row = _gain(scores)
    return Section([row], {"dice_gained_by_pretraining": row["gain"]})


def _untuned(models: Mapping[str, Sequence[Path]], parts: Parts, say: Say) -> Section:
    """All with the defaults of `Tuning`, since tuning to few frames adds chance of its own."""
    scores = {
        start: [_with_defaults(one, parts, say) for one in folders] for start, folders in models.items()
    }
    rows: list[Row] = [
        {"start": start, **{name: summary(averaged(some))[name] for name in ("dice", "iou")}}
        for start, some in scores.items()
    ]
    for row, some in zip(rows, scores.values(), strict=True):
        row["false_parts"] = float(np.mean([summary(one)["false_parts"] for one in some]))
    gain = _gain(scores)
    return Section([*rows, gain], {"dice_gained_untuned": gain["gain"]})


def _with_defaults(folder: Path, parts: Parts, say: Say) -> list[FrameScore]:
    say(f"measuring {folder.name} untuned")
    return evaluate(replace(load_finder(folder, device=CPU), tuning=Tuning()), parts.held_out, parts.clusters)


def _gain(scores: Mapping[str, Sequence[Sequence[FrameScore]]]) -> Row:
    first, second = (
        [one for one in averaged(scores[start]) if not one.empty] for start in (SCRATCH, PRETRAINED)
    )
    gain = np.array([b.dice - a.dice for a, b in zip(first, second, strict=True)])
    draws = draw([one.cluster for one in first])
    sums = draws.sums(np.stack([gain, np.ones_like(gain)], 1), np.ones(len(gain), np.bool_))
    interval = ends(sums[:, 0] / sums[:, 1])
    row: Row = {"frames": len(gain), "gain": float(gain.mean()), "better_on": int((gain > 0).sum())}
    if interval is not None:
        row |= {"low": interval.low, "high": interval.high}
    return row


def _speed(folder: Path, parts: Parts) -> Section:
    """Milliseconds a frame, from decoded pixels at their full size, one frame at a time."""
    finder = load_finder(folder, device=CPU)
    frames = [read_frame(one.ref).pixels for one in parts.held_out[:TIMED]]
    fields = [find_field(one) for one in frames]
    single = replace(finder, tuning=finder.tuning.model_copy(update={"views": 1}))

    def over(call: Callable[[int, Pixels], object]) -> Callable[[], None]:
        def go() -> None:
            for number, pixels in enumerate(frames):
                call(number, pixels)

        return go

    calls = {
        "the optical field": over(lambda number, pixels: find_field(pixels)),
        "lesions, one view": over(lambda number, pixels: single.find(pixels, field=fields[number])),
        f"lesions, {finder.tuning.views} views": over(
            lambda number, pixels: finder.find(pixels, field=fields[number])
        ),
    }
    timings = interleaved(calls, repeats=5)
    rows: list[Row] = [
        {"part": name, "ms": 1e3 * one.median / len(frames), "repeats": one.repeats}
        for name, one in timings.items()
    ]
    return Section(rows, {"ms_a_frame": rows[0]["ms"] + rows[-1]["ms"]})

"""The loop, verb by verb: train without some classes, classify, review, refit in both ways, evaluate."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from apps.store import Store, Verdict
from benchmarks.cache import cache_folder, fingerprint
from benchmarks.common import Row, Section, Sections, print_report
from benchmarks.wafer.wm811k import FILES, load
from benchmarks.wafer_openset.splits import split_name
from benchmarks.wafer_refit.files import Files, write_files
from pipelines.common.models import SCHEMA_VERSION
from pipelines.common.runs import ROWS
from pipelines.wafer.class_mixture import ClassMixture
from pipelines.wafer.classify import classify
from pipelines.wafer.data import read_labelled
from pipelines.wafer.evaluate import metrics
from pipelines.wafer.mixture import Mixture
from pipelines.wafer.novelty import Novelty
from pipelines.wafer.predict import Predictor
from pipelines.wafer.refit import refit
from pipelines.wafer.shape import SHAPE_FEATURES
from pipelines.wafer.train import train
from pipelines.wafer.train_config import TrainConfig

Say = Callable[[str], None]
# As the recipe of the bundled model, pipelines/wafer/recipes/wm811k.yaml.
ARCHITECTURE = {"channels": [48, 80, 128]}


@dataclass(frozen=True, slots=True)
class Settings:
    """data: folder of `train.npz` and `val.npz`. maps, reviewed: see `write_files`. epochs: of the first
    training, each of as many maps as it has. cache: where the models are kept between runs.
    """

    data: Path
    target: Path
    splits: Sequence[tuple[str, ...]]
    maps: int | None = 4_000
    reviewed: int = 40
    epochs: int = 8
    seed: int = 0
    threads: int = 1
    cache: Path | None = None


def run(settings: Settings) -> dict[str, Any]:
    """Measure, print and write everything. Raises ValueError if the data lacks a class that is left out."""
    torch.set_num_threads(settings.threads)
    measured = {
        "data": [fingerprint(settings.data / name) for name in FILES],
        "model_format": model_format(),
        "splits": [split_name(each) for each in settings.splits],
        "maps": settings.maps,
        "reviewed": settings.reviewed,
        "epochs": settings.epochs,
        "seed": settings.seed,
        "threads": settings.threads,
    }
    sections = Sections(settings.target, measured)
    for left_out in settings.splits:
        name = split_name(left_out)
        sections.run(f"without {name}", partial(loop, settings, left_out, sections.say))
    report = sections.finish()
    print_report(report)
    return report


def loop(settings: Settings, left_out: tuple[str, ...], say: Say) -> Section:
    """One loop: a row for the model before, and for the refits with and without its training data."""
    sizes = (settings.maps or "all", settings.reviewed, settings.epochs, settings.seed)
    made_of = (fingerprint(settings.data / FILES[0]), model_format())
    name = "-".join([split_name(left_out), *map(str, sizes), *made_of])
    folder = (settings.cache or cache_folder("wafer_refit")) / name
    files = write_files(
        settings.data,
        folder,
        left_out,
        seed=settings.seed,
        maps=settings.maps,
        reviewed=settings.reviewed,
    )
    first = folder / "first"
    if not (first / "metrics.json").exists():
        config = TrainConfig(
            kind="dies",
            device="cpu",
            epochs=settings.epochs,
            batch_size=64,
            threads=settings.threads,
            seed=settings.seed,
            architecture=ARCHITECTURE,
        )
        train(files.base, first, config, resume=True, progress=say)
    review = write_review(first, files, folder / "run")
    rows = [{"model": "before", **figures(first, files), "seconds": None}]
    for way, data in (("refit with its data", files.base), ("refit without", None)):
        out = folder / way.replace(" ", "-")
        started = time.perf_counter()
        refit(
            str(first),
            review,
            out,
            data=data,
            settings=TrainConfig(device="cpu", threads=settings.threads),
            overwrite=out.exists(),
            progress=say,
        )
        seconds = time.perf_counter() - started
        rows.append({"model": way, **figures(out, files), "seconds": seconds})
    left = split_name(left_out)
    rows = [{"left_out": left, "base_maps": len(files.split.train), **row} for row in rows]
    return Section(rows, _summary(left, rows))


def model_format() -> str:
    """A short name for what a model folder holds: models of another format are no use to this version."""
    parts = [field.name for part in (Mixture, ClassMixture, Novelty) for field in fields(part)]
    return blake2b(repr((SCHEMA_VERSION, SHAPE_FEATURES, parts)).encode(), digest_size=4).hexdigest()


def write_review(model: Path, files: Files, run: Path) -> Path:
    """Classify the maps to review, judge each by its true label as a reviewer would, and export that."""
    shutil.rmtree(run, ignore_errors=True)
    classify([files.reviewed], predictor=Predictor.load(str(model), device="cpu"), out=run)
    truth = load(files.reviewed).labels
    store = Store(run)
    among = set()
    for line in (run / ROWS).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        label, found = str(truth[row["map"]]), row["class"]
        verdict = Verdict(
            source=row["source"],
            map=str(row["map"]),
            item=row["item"],
            model=row["model"],
            prediction=found,
            novelty=row["novelty"],
            verdict="accept" if label == found else "relabel",
            label=label,
        )
        store.add(verdict)
        among.add(verdict.id)
    review = run / "reviewed.csv"
    store.export(review, among)
    return review


def figures(model: Path, files: Files) -> Row:
    """Scores on the test maps, the old and the new classes apart.

    macro_f1: over all classes. old_: of the classes that the first model knew, new_: of the others; recall is
    the mean over classes. novel: the share of maps that is called novel.
    """
    pairs = list(read_labelled(files.test))
    truth = [label for _, label in pairs]
    predictions = Predictor.load(str(model), device="cpu").predict([wafer for wafer, _ in pairs])
    found = metrics(truth, predictions)
    per_class, left_out = found["per_class"], files.split.left_out
    new = np.isin(truth, left_out)
    is_novel = np.array([one.decision == "novel" for one in predictions])
    old = [name for name in files.split.labels if name in per_class]

    def mean(names: Sequence[str], score: str) -> float:
        return float(np.mean([per_class[name][score] for name in names]))

    def novel(of: NDArray[np.bool_]) -> float:
        return float(is_novel[of].mean())

    return {
        "macro_f1": found["macro_f1"],
        "old_macro_f1": mean(old, "f1"),
        "old_recall": mean(old, "recall"),
        "new_recall": mean(left_out, "recall"),
        "new_precision": mean(left_out, "precision"),
        "old_novel": novel(~new),
        "new_novel": novel(new),
        "ece": found["ece"],
    }


def _summary(left: str, rows: Sequence[Row]) -> Row:
    names = ("macro_f1", "old_recall", "new_recall", "seconds")
    keys = {"before": "before", "refit with its data": "with_data", "refit without": "without_data"}
    return {
        f"{name}_{keys[row['model']]}_{left}": row[name]
        for row in rows
        for name in names
        if row[name] is not None
    }

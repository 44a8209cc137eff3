"""Networks trained once and kept in the cache, as model folders with their scores on held-out images."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.cache import cache_folder, contents
from pipelines.common.models import METRICS
from pipelines.crowd.data import read_dataset
from pipelines.crowd.train.config import TrainConfig
from pipelines.crowd.train.images import TrainingImage
from pipelines.crowd.train.run import metrics_of, train_one, write_model
from pipelines.crowd.train.run import read_images as prepared

Say = Callable[[str], None]
COMMAND = "python -m benchmarks.crowd --json FILE"


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """The images of a data set, decoded: those to train on, and those held out."""

    name: str
    folder: Path
    training: list[TrainingImage]
    held_out: list[TrainingImage]


def read_images(
    name: str, data: Path, config: TrainConfig, limit: int | None, say: Say, cache: Path | None = None
) -> Images:
    """The data set `data`, split as the config says. limit: the first so many cases only."""
    larger = "" if config.enlarge == 1 else f"-{config.enlarge:g}"
    first = "" if limit is None else f"-{limit}"
    folder = cache_folder("crowd", cache) / f"{name}-images-{config.seed}{larger}{first}"
    training, held_out, _ = prepared({name: read_dataset(data).cases[:limit]}, config, folder, say)
    return Images(name, data, training, held_out)


def trained(images: Images, config: TrainConfig, say: Say, cache: Path | None = None) -> Path:
    """The model folder of a network trained by this config, now or in an earlier run."""
    # What the recipe sets, and not what it leaves to defaults: hours of training outlive a new setting.
    settings = config.model_dump(mode="json", exclude={"threads"}, exclude_unset=True)
    content = json.dumps([contents(images.folder), len(images.training), settings], sort_keys=True)
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    name = f"{images.name}-{config.network.name}-{key}"
    folder = cache_folder("crowd", cache) / name
    if (folder / METRICS).is_file():
        return folder
    scratch = folder.with_name(f".{name}.training")
    found = train_one(
        images.training,
        images.held_out,
        config,
        scratch,
        device=torch.device("cpu"),
        progress=lambda text: say(f"{images.name}, {config.network.name}: {text}"),
    )
    metrics = metrics_of(found, [], COMMAND)
    write_model(folder, found, metrics, config, images.training, name=images.folder.name)
    shutil.rmtree(scratch)
    return folder

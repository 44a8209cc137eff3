"""From labelled maps to a model folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import nn

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import check_model_target
from pipelines.common.training.spread.world import ALONE, World
from pipelines.wafer.config import ReadLimits
from pipelines.wafer.data import Limits, WaferFileError, WaferMap, read_labelled
from pipelines.wafer.finish import LabelledMaps, finish
from pipelines.wafer.fit import TrainingSet, drawing_chances, fit
from pipelines.wafer.model.kinds import Coordinates, Dies, Kind
from pipelines.wafer.train_config import TrainConfig

NORMAL_LABELS = ("None", "none", "normal", "Normal")
MIN_PER_CLASS = 4
# Settings that leave the weights as they are: with others, a training that was stopped still goes on.
WITHOUT_EFFECT = frozenset({"device", "threads", "examples", "data_terms", "notes", *ReadLimits.model_fields})


def train(
    data: Path,
    out: Path,
    config: TrainConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Callable[[str], None] = lambda text: None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train a model on the labelled data set `data` and write the model folder `out`; returns its metrics.

    Held-out maps set temperature and novelty threshold. Checkpoints lie beside `out` in `.<name>.training`
    until the model is written. world: the processes that train together, of which the first writes. Raises
    UserError.
    """
    world.first(lambda: check_model_target(out, overwrite=overwrite))
    device = world.device or resolve_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    maps, names = read_data(data, progress, config.limits)
    labels, classes = np.unique(names, return_inverse=True)
    kind = _kind(maps, config)
    normal = _normal(labels, config)
    train_rows, held_rows = split(classes, labels, config)
    chance, shift = drawing_chances(classes[train_rows], len(labels), config.sampling_power)

    torch.manual_seed(config.seed)
    network = _build(kind, len(labels), config)
    scratch = out.with_name(f".{out.name}.training")
    if not resume:
        world.first(lambda: shutil.rmtree(scratch, ignore_errors=True))
    seconds = fit(
        network,
        kind,
        TrainingSet([maps[i] for i in train_rows], classes[train_rows], chance),
        config,
        device=device,
        checkpoint=scratch / "checkpoint.safetensors",
        fingerprint=_fingerprint(data, config),
        progress=progress,
        world=world,
    )

    metrics = world.first(
        lambda: finish(
            out,
            network,
            kind,
            LabelledMaps(maps, classes, labels.tolist(), train_rows, held_rows),
            config,
            shift=torch.from_numpy(shift),
            normal=normal,
            data=data.name,
            seconds=seconds,
            command=command,
            overwrite=overwrite,
            progress=progress,
        )
    )
    if world.is_first:
        shutil.rmtree(scratch, ignore_errors=True)
    return metrics


def read_data(
    data: Path, progress: Callable[[str], None], limits: Limits
) -> tuple[list[WaferMap], list[str]]:
    """The maps of a labelled data set and their labels. Raises UserError."""
    progress(f"reading {data}")
    try:
        pairs = list(read_labelled(data, limits=limits))
    except WaferFileError as error:
        raise UserError(str(error)) from error
    if not pairs:
        raise UserError(f"{data} holds no labelled map")
    return [wafer for wafer, _ in pairs], [label for _, label in pairs]


def _kind(maps: list[WaferMap], config: TrainConfig) -> Kind:
    name = config.kind
    if name == "auto":
        name = "dies" if all(wafer.die_level for wafer in maps) else "coordinates"
    if name == "coordinates":
        return Coordinates(config.resolution)
    missing = sum(wafer.dies is None for wafer in maps)
    if missing:
        raise UserError(f"kind=dies needs die results, which {missing} of {len(maps)} maps do not have")
    return Dies(config.cells)


def _normal(labels: NDArray[np.str_], config: TrainConfig) -> str | None:
    """The label that means nothing is wrong, if there is one."""
    if config.normal_label is None:
        return next((name for name in NORMAL_LABELS if name in labels), None)
    if config.normal_label not in labels:
        raise UserError(
            f"normal_label {config.normal_label!r} is no class of the data: {', '.join(labels.tolist())}"
        )
    return config.normal_label


def _build(kind: Kind, num_classes: int, config: TrainConfig) -> nn.Module:
    engine = load_engine(config.engine)
    try:
        return kind.build(engine, num_classes, config.architecture)
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no network can be built from the architecture {config.architecture}: {error};"
            f" a network for {kind.name} takes {', '.join(kind.sizes())}"
        ) from error


def split(
    classes: NDArray[np.int64], labels: NDArray[np.str_], config: TrainConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that train and rows that are held out, by class; the same for the same data. Raises UserError."""
    counts = np.bincount(classes)
    if len(labels) < 2:
        raise UserError(f"training needs at least two classes; all maps are labelled {str(labels[0])!r}")
    if counts.min() < MIN_PER_CLASS:
        raise UserError(
            f"class {str(labels[counts.argmin()])!r} has {counts.min()} maps; "
            f"each class needs at least {MIN_PER_CLASS}"
        )
    held = max(round(config.held_out * len(classes)), len(labels))
    if held > len(classes) - len(labels):
        raise UserError(
            f"held_out={config.held_out:g} leaves too few of the {len(classes)} maps to train on;"
            f" at least {len(labels)} are needed, one of each class"
        )
    train_rows, held_rows = train_test_split(
        np.arange(len(classes)), test_size=held, stratify=classes, random_state=config.seed
    )
    missing = np.setdiff1d(np.arange(len(labels)), classes[train_rows])
    if len(missing):
        raise UserError(
            f"held_out={config.held_out:g} leaves no map of class {str(labels[missing[0]])!r} to train on;"
            " hold out less, or label more maps of it"
        )
    return np.sort(train_rows), np.sort(held_rows)


def _fingerprint(data: Path, config: TrainConfig) -> str:
    files = sorted(path for path in ([data] if data.is_file() else data.rglob("*")) if path.is_file())
    state = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    settings = config.model_dump(mode="json", exclude=set(WITHOUT_EFFECT))
    return hashlib.sha256(json.dumps([state, settings], sort_keys=True).encode()).hexdigest()

"""The whole refit, from a review to a model folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import check_model_target, find_model, load_model
from pipelines.wafer.examples import Examples, read_examples
from pipelines.wafer.mixture import Fit
from pipelines.wafer.model.trained import TASK, load_trained
from pipelines.wafer.refit.compare import compare
from pipelines.wafer.refit.examples import examples_of, refitted_examples
from pipelines.wafer.refit.folder import write_folder
from pipelines.wafer.refit.head import grown, refit_head
from pipelines.wafer.refit.lesson import read_lesson
from pipelines.wafer.refit.settings import refit_config
from pipelines.wafer.refit.whole import refit_whole
from pipelines.wafer.reviewed import LeftOut
from pipelines.wafer.train_config import TrainConfig

WITHOUT_DATA: Final = (
    "without --data only the last layer is tuned, on the reviewed maps alone: what the model knew before may"
    " suffer, and is not measured"
)


@dataclass(frozen=True, slots=True)
class Refitted:
    """What `refit` made. left_out: reviewed rows that were not learnt from; unsure: how many were left."""

    out: Path
    metrics: dict[str, Any]
    new_classes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    unsure: int
    warnings: tuple[str, ...]


def refit(
    model: str,
    review: Path,
    out: Path,
    *,
    data: Path | None = None,
    root: Path | None = None,
    settings: TrainConfig | None = None,
    diameter_mm: float = 300.0,
    overwrite: bool = False,
    command: str = "",
    progress: Callable[[str], None] = lambda text: None,
) -> Refitted:
    """Refit `model` to the labels in `review` and write the model folder `out`.

    With the training set `data` the whole network is tuned on it and on the reviewed maps together, and
    mixture, temperature and thresholds are fitted anew. Without it only the classifier's last layer is tuned,
    so that the latents, and with them the old mixture, stay valid; it gets components for what was reviewed.

    One map in five of the reviewed ones, chosen by its hash and so the same in every round, trains nothing;
    of `data` the same share is held out as in the first training. Both versions are scored on them.

    root: the folder that the sources in `review` are relative to. settings: those that are set explicitly
    replace the ones that the model was trained with. Raises UserError.
    """
    settings = settings or TrainConfig()
    folder = find_model(TASK, model)
    if out.resolve() == folder.resolve():
        raise UserError(f"--out {out} is the model that is refitted; give it a folder of its own")
    check_model_target(out, overwrite=overwrite)
    stored = load_model(folder, task=TASK)
    config = refit_config(stored, settings)
    old = load_trained(folder, engine=config.engine, device=resolve_device(settings.device))
    if config.threads:
        torch.set_num_threads(config.threads)
    lesson = read_lesson(
        review,
        data,
        kind=old.kind,
        old_labels=old.labels,
        config=config,
        root=root,
        diameter_mm=diameter_mm,
        progress=progress,
    )
    network = grown(old, lesson.labels, stored.config["architecture"], config.engine)
    mixtures: list[Fit] = []
    ece, warnings = None, []
    started = time.monotonic()
    if data:
        scratch = out.with_name(f".{out.name}.refitting")
        tuned = refit_whole(old, network, lesson, config, scratch, progress)
        new, mixtures, ece = tuned.model, tuned.mixtures, tuned.ece
        examples: Examples | None = examples_of(new, lesson.train.maps, lesson.train.classes, config)
    else:
        warnings.append(WITHOUT_DATA)
        trained_on = int(stored.metrics.get("maps", {}).get("train", 0))
        new = refit_head(
            old, network, lesson, config, progress, examples=read_examples(folder), trained_on=trained_on
        )
        examples = refitted_examples(folder, old, new, lesson.train.maps, lesson.train.classes, config)
    seconds = time.monotonic() - started
    if lesson.unmeasured:
        warnings.append(f"no map was held out of {', '.join(lesson.unmeasured)}, so nothing measures them")
    progress("comparing on held-out maps")
    metrics = write_folder(
        out,
        new,
        stored=stored,
        config=config,
        lesson=lesson,
        data=data,
        compared=compare(old, new, lesson),
        mixtures=mixtures,
        ece=ece,
        examples=examples,
        warnings=warnings,
        seconds=seconds,
        command=command,
        overwrite=overwrite,
    )
    return Refitted(out, metrics, lesson.new_classes, lesson.left_out, lesson.unsure, tuple(warnings))

"""The bundled models: five networks that segment together, and the encoder that such networks start from."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from safetensors.torch import load_file

from benchmarks.medical_labels.recipe import FOLDS, hippocampus_plan, pretraining, training
from benchmarks.medical_labels.run import Settings, prepare, split, steps_of, train_fold
from pipelines.medical.pretrain.run import run as pretrain
from pipelines.medical.train.run import Trained, metrics_of, write_model

DATA_NAME = "Task04_Hippocampus of the Medical Segmentation Decathlon"
TERMS = "CC BY-SA 4.0; Vanderbilt University Medical Center, by way of the Decathlon (Antonelli et al., 2022)"
BEGAN = """**Pretraining**: each network began from an encoder that was pretrained on the images of its own
training cases, as `hippocampus-encoder` was on those of all cases. The Dice above averages the flips of the
training."""
NOTES = """**Data**: T1-weighted MPRAGE of healthy adults and of adults with a non-affective psychotic
disorder, cropped to the region of the hippocampus. The model takes a crop like these, about 35 x 50 x 36 mm
around one hippocampus, and not a whole head: there it finds things that are none."""


def bundle_encoder(settings: Settings, out: Path, command: str) -> None:
    """Pretrain an encoder on all images and write its model folder."""
    say = partial(print, file=sys.stderr, flush=True)
    config = pretraining(settings.pretraining_steps, settings.seed)
    config = config.model_copy(update={"data_terms": TERMS, "notes": NOTES})
    pretrain(
        [settings.data],
        out,
        config,
        plan=hippocampus_plan(),
        resume=True,
        overwrite=True,
        command=command,
        progress=say,
    )


def bundle_segmenter(settings: Settings, out: Path, command: str) -> None:
    """Write the model folder of the networks of all folds, each measured on the cases that it never saw."""
    say = partial(print, file=sys.stderr, flush=True)
    ground, plan = prepare(settings, say), hippocampus_plan()
    config = training(steps_of(1.0, settings), settings.seed)
    trained = Trained()
    for fold in range(FOLDS):
        row, weights = train_fold(ground, fold, 1.0, "pretrained", settings, say)
        trained.members.append(load_file(weights))
        inside, held_out = split(ground.cases, fold, settings)
        trained.folds.append(
            {
                "fold": fold,
                "held_out": sorted(case.case.name for case in held_out),
                "cases": len(inside),
                "epochs": config.epochs,
                "seconds": row["seconds"],
                "dice": {name: round(row[f"dice_{name}"], 4) for name in plan.labels},
            }
        )
    told = {"data_terms": TERMS, "notes": f"{BEGAN}\n\n{NOTES}", "fold": "all"}
    config = config.model_copy(update=told)
    metrics = metrics_of(trained, plan, [], command)
    write_model(out, trained, metrics, plan, config, ground.cases, name=DATA_NAME, overwrite=True)

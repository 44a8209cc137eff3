"""`suite medical pretrain`: find volumes, prepare them, pretrain, measure, write the model folder."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, resolve_device, suite_version
from pipelines.common.models import check_model_target, save_model
from pipelines.common.training.spread.world import ALONE, World
from pipelines.medical.config import TASK, Plan, ReadLimits
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.model.networks import ENCODER, build_encoder
from pipelines.medical.model.trained import ENCODER_MODEL
from pipelines.medical.pretrain.card import card
from pipelines.medical.pretrain.config import PretrainConfig
from pipelines.medical.pretrain.fit import fit
from pipelines.medical.pretrain.inputs import Images, find_images
from pipelines.medical.pretrain.look import check_measurable, measure, picture
from pipelines.medical.pretrain.simple_plan import chosen_channels, simple_plan
from pipelines.medical.pretrain.volumes import Prepared, prepare_volumes
from sparse_backbones.masked import MaskedAutoencoder, Teacher

MIN_CELLS = 8
PICTURE, LOG = "reconstruction.png", "log.csv"
# Settings that leave the weights as they are: with others, a pretraining that was stopped still goes on.
WITHOUT_EFFECT = {"device", "threads", "notes", "data_terms", *ReadLimits.model_fields}


def run(
    images: Sequence[Path],
    out: Path,
    config: PretrainConfig | None = None,
    *,
    plan: Plan | None = None,
    channels: Sequence[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Callable[[str], None] = lambda text: None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Pretrain an encoder on volumes without labels and write the model folder `out`; returns its metrics.

    images: files and folders. plan: how volumes are prepared, and the sizes of the network; by default a
    simple one that follows from the volumes. channels: names of a case's images, by default those of the
    plan. What cannot be read is left out and named in the metrics. Prepared volumes and checkpoints lie
    beside `out` in `.<name>.pretraining` until the model is written. world: the processes that train
    together, of which the first measures and writes. Raises UserError.
    """
    config = config or PretrainConfig()
    world.first(lambda: check_model_target(out, overwrite=overwrite))
    device = world.device or resolve_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    scratch = out.with_name(f".{out.name}.pretraining")
    if not resume:
        world.first(lambda: shutil.rmtree(scratch, ignore_errors=True))
    cases, left_out = find_images(images, chosen_channels(plan, channels))
    most = config.max_voxels
    chosen = plan or world.after_first(
        lambda: chosen_plan(cases, channels, scratch, progress, max_voxels=most)
    )
    engine = load_engine(config.engine)
    model = build(chosen, config, engine)
    volumes, unread = world.after_first(
        lambda: prepare_volumes(cases, chosen, scratch / "volumes", progress, max_voxels=most)
    )
    held_out, training = split(volumes, config)
    measured = held_out or training
    check_measurable(model, measured, chosen.patch, config)
    teacher = (
        Teacher(model, build(chosen, config, engine), decay=config.teacher_decay)
        if config.hard_share
        else None
    )
    state = fit(
        model,
        teacher,
        training,
        chosen,
        config,
        device=device,
        scratch=scratch,
        fingerprint=_fingerprint(training, chosen, config),
        progress=progress,
        world=world,
    )

    def write() -> dict[str, Any]:
        progress("measuring the held-out volumes")
        metrics = {
            "held_out": {"volumes": len(held_out), **measure(model, measured, chosen.patch, config, device)},
            "left_out": [
                {"case": one.name, "reason": one.reason, "failed": one.failed} for one in (*left_out, *unread)
            ],
            "seconds": round(state.seconds, 1),
            "parameters": sum(p.numel() for p in model.encoder.parameters()),
            "suite": suite_version(),
            "environment": environment(),
            "command": command,
        }
        pretraining = {
            **config.model_dump(mode="json"),
            "cell": list(model.cell),
            "data": ", ".join(path.resolve().name for path in images),
            "volumes": len(training),
            "held_out_volumes": [volume.name for volume in held_out],
        }
        save_model(
            out,
            tensors={f"{ENCODER}{name}": value for name, value in model.encoder.state_dict().items()},
            config={
                "task": TASK,
                "kind": ENCODER_MODEL,
                "plan": chosen.model_dump(mode="json"),
                "pretraining": pretraining,
            },
            metrics=metrics,
            card=card(out.name, chosen, pretraining, metrics),
            files={
                PICTURE: picture(model, measured[0], chosen.patch, config, device),
                LOG: (scratch / LOG).read_bytes(),
            },
            overwrite=overwrite,
        )
        shutil.rmtree(scratch, ignore_errors=True)
        return metrics

    return world.first(write)


def chosen_plan(
    cases: Sequence[Images],
    channels: Sequence[str] | None,
    scratch: Path,
    progress: Callable[[str], None],
    *,
    max_voxels: int = MAX_VOXELS,
) -> Plan:
    """The simple plan for the cases, kept in `scratch` so that a run that goes on has the same."""
    kept = scratch / "plan.json"
    if kept.is_file():
        return Plan.model_validate_json(kept.read_text(encoding="utf-8"))
    found = simple_plan(cases, tuple(channels or ("image",)), progress, max_voxels=max_voxels)
    scratch.mkdir(parents=True, exist_ok=True)
    kept.write_text(found.model_dump_json(), encoding="utf-8")
    return found


def build(plan: Plan, config: PretrainConfig, engine: ModuleType) -> MaskedAutoencoder:
    """The untrained model, the same for the same seed. Raises UserError for sizes that do not fit."""
    torch.manual_seed(config.seed)
    encoder = build_encoder(plan.network, in_channels=len(plan.channels), engine=engine)
    try:
        model = MaskedAutoencoder(
            engine, encoder, cell=config.cell, width=config.width, normalised=config.targets == "normalised"
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    wrong = [side % step for side, step in zip(plan.patch, model.cell, strict=True)]
    cells = math.prod(side // step for side, step in zip(plan.patch, model.cell, strict=True))
    if any(wrong) or cells < MIN_CELLS:
        raise UserError(
            f"the patch {plan.patch} must be made of at least {MIN_CELLS} whole cells of {model.cell} voxels:"
            " change patch or strides in the plan, or cell"
        )
    return model


def split(volumes: Sequence[Prepared], config: PretrainConfig) -> tuple[list[Prepared], list[Prepared]]:
    """Held-out volumes and those that train; a single one only trains."""
    if len(volumes) < 2:
        return [], list(volumes)
    count = min(max(1, round(config.held_out * len(volumes))), len(volumes) - 1)
    order = np.random.default_rng(config.seed).permutation(len(volumes))
    held = set(order[:count].tolist())
    return [volumes[i] for i in sorted(held)], [one for i, one in enumerate(volumes) if i not in held]


def _fingerprint(volumes: Sequence[Prepared], plan: Plan, config: PretrainConfig) -> str:
    settings = config.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    content = [[one.name for one in volumes], plan.model_dump(mode="json"), settings]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

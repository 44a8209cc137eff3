"""From frames with masks to a model folder that finds lesions."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.common.engines import load_engine
from pipelines.common.hardware import environment, resolve_device, suite_version
from pipelines.common.models import check_model_target, halved, single
from pipelines.common.tables import Table
from pipelines.polyp.config import ReadLimits
from pipelines.polyp.data import Polyp
from pipelines.polyp.lesion.card import card
from pipelines.polyp.lesion.config import LesionConfig
from pipelines.polyp.lesion.evaluate import evaluate
from pipelines.polyp.lesion.fit import fit, pretrain
from pipelines.polyp.lesion.frames import LesionFrame, state_of, store_frames
from pipelines.polyp.lesion.groups import Grouping, group_frames, near_pairs, parted, prints_of
from pipelines.polyp.lesion.measure import FrameScore, summary
from pipelines.polyp.lesion.network import LesionNetwork, build_encoder
from pipelines.polyp.lesion.predict import Finder
from pipelines.polyp.lesion.trained import Tuning, save_trained
from pipelines.polyp.lesion.tune import told, tuned
from pipelines.polyp.train.store import LeftOut
from sparse_backbones.masked import MaskedAutoencoder

Say = Callable[[str], None]
ALL = "all"
HELD_OUT_COLUMNS = ("frame", "data", "group", "empty", "dice", "iou", "missed", "false", "in_part")
# Settings that leave the weights as they are: with others, a training that was stopped still goes on.
WITHOUT_EFFECT = {"device", "threads", "notes", "data_terms", *ReadLimits.model_fields}


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Frames to train on, to tune on, and held out; those that only an encoder is pretrained on; groups of
    the held-out ones; what was left out; how frames are grouped."""

    training: list[LesionFrame]
    tuning: list[LesionFrame]
    held_out: list[LesionFrame]
    unlabelled: list[LesionFrame]
    clusters: list[int]
    left_out: list[LeftOut]
    grouping: Grouping


@dataclass(frozen=True, slots=True, eq=False)
class TrainedLesion:
    """A trained finder: its weights, its tuning, what is said of it, and files of its folder."""

    weights: dict[str, Tensor]
    tuning: Tuning
    record: dict[str, Any]
    files: dict[str, bytes]


def train_lesion(
    data: Mapping[str, Sequence[Polyp]],
    out: Path,
    config: LesionConfig | None = None,
    *,
    unlabelled: Mapping[str, Sequence[Polyp]] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Say = lambda text: None,
) -> dict[str, Any]:
    """Train on frames with masks and write the model folder `out`; returns its metrics.

    data: polyps by the name of their data set; frames whose mask is empty show no lesion, those without a
    mask are left out. unlabelled: more frames to pretrain the encoder on, whose labels are not looked at.
    Frames made ready and checkpoints lie beside `out` in `.<name>.training` until the model is written.
    Raises UserError.
    """
    config = config or LesionConfig()
    check_model_target(out, overwrite=overwrite)
    device = resolve_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    scratch = out.with_name(f".{out.name}.training")
    if not resume:
        shutil.rmtree(scratch, ignore_errors=True)
    parts = prepare(data, config, scratch / "frames", progress, unlabelled=unlabelled)
    done = train_one(parts, config, scratch, device=device, progress=progress)
    metrics = metrics_of(done, parts, command)
    write_model(out, done, metrics, config, parts, overwrite=overwrite)
    shutil.rmtree(scratch, ignore_errors=True)
    return metrics


def prepare(
    data: Mapping[str, Sequence[Polyp]],
    config: LesionConfig,
    folder: Path,
    progress: Say,
    *,
    unlabelled: Mapping[str, Sequence[Polyp]] | None = None,
    split_seed: int = 0,
) -> Parts:
    """Make frames ready in `folder` and part them by groups; the parts follow from the frames, the shares and
    `split_seed` alone. Unlabelled frames that are nearly the same as a held-out one are left out."""
    side, most = config.network.side, config.frames_per_polyp
    limit = config.max_pixels
    frames, left_out = store_frames(data, side, most, folder / "labelled", progress, max_pixels=limit)
    progress("comparing frames")
    grouping = group_frames(frames)
    group = grouping.group
    rest, held = list(range(len(frames))), list[int]()
    if config.held_out:
        rest, held = parted(frames, group, config.held_out, split_seed)
    kept, tuning = parted([frames[i] for i in rest], [group[i] for i in rest], config.tuned_on, split_seed)
    others: list[LesionFrame] = []
    if unlabelled and config.pretraining is not None:
        others, more = store_frames(
            unlabelled, side, most, folder / "unlabelled", progress, labelled=False, max_pixels=limit
        )
        left_out += more
        outside = prints_of(frames[i].pixels for i in held)
        near = {number for number, _ in near_pairs(prints_of(one.pixels for one in others), outside)}
        left_out += [LeftOut(others[i].id, "it is nearly the same as a held-out frame") for i in sorted(near)]
        others = [one for number, one in enumerate(others) if number not in near]
    return Parts(
        [frames[rest[i]] for i in kept],
        [frames[rest[i]] for i in tuning],
        [frames[i] for i in held],
        others,
        [group[i] for i in held],
        left_out,
        grouping,
    )


def train_one(
    parts: Parts, config: LesionConfig, scratch: Path, *, device: torch.device, progress: Say
) -> TrainedLesion:
    """Train one finder, resumable in the folder `scratch`, tune it, and measure it on all held-out frames."""
    engine = load_engine(config.engine)
    record: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    torch.manual_seed(config.seed)
    network = LesionNetwork(engine, config.network)
    fingerprint = _fingerprint(parts, config)
    if config.pretraining is not None:
        # Tuning frames too: no label is looked at.
        pool = [*parts.training, *parts.tuning, *parts.unlabelled]
        model = MaskedAutoencoder(
            engine,
            build_encoder(engine, config.network),
            normalised=config.pretraining.targets == "normalised",
        )
        state = pretrain(
            model, pool, config, config.pretraining,
            device=device, scratch=scratch, fingerprint=fingerprint, progress=progress,
        )  # fmt: skip
        network.load_encoder({name: one.cpu() for name, one in model.encoder.state_dict().items()})
        record["pretraining"] = {
            "frames": len(pool),
            "seconds": round(state.seconds, 1),
            "loss": state.log[-1]["loss"],
        }
        files["pretraining.csv"] = (scratch / "encoder" / "log.csv").read_bytes()
    state = fit(
        network, parts.training, config,
        device=device, scratch=scratch, fingerprint=fingerprint, progress=progress,
    )  # fmt: skip
    # As the folder keeps them, so that what is measured is what is used.
    weights = {name: halved(one).clone() for name, one in network.cpu().shared_weights().items()}
    network.load_shared({name: single(one) for name, one in weights.items()})
    tuning, scores = tune_and_measure(network.to(device), parts, config, device=device, progress=progress)
    record |= {
        "frames": len(parts.training),
        "tuned_on": len(parts.tuning),
        "held_out": len(parts.held_out),
        "groups": len(set(parts.grouping.group)),
        "near_duplicates": parts.grouping.near,
        "sequences": parts.grouping.sequences,
        "parameters": sum(one.numel() for one in network.parameters()),
        "steps": config.epochs * config.steps_per_epoch,
        "seconds": round(state.seconds, 1),
        "tuning": tuning.model_dump(mode="json"),
        "scores": scores_of(scores),
    }
    files |= {"held_out.csv": table(scores), "log.csv": (scratch / "finder" / "log.csv").read_bytes()}
    return TrainedLesion(weights, tuning, record, files)


def tune_and_measure(
    network: LesionNetwork, parts: Parts, config: LesionConfig, *, device: torch.device, progress: Say
) -> tuple[Tuning, list[FrameScore]]:
    """How probabilities become lesions, and the scores of the held-out frames then."""
    finder = Finder("", network, config.network.side, Tuning(), device, precision=config.precision)
    progress(f"tuning on {len(parts.tuning)} frames")
    limit = config.max_pixels
    tuning = tuned(told(finder, parts.tuning, max_pixels=limit), finder.tuning.views)
    progress(f"measuring {len(parts.held_out)} held-out frames")
    finder = replace(finder, tuning=tuning)
    return tuning, evaluate(finder, parts.held_out, parts.clusters, max_pixels=limit)


def scores_of(scores: Sequence[FrameScore]) -> dict[str, dict[str, Any]]:
    """The summary of each data set, then of all; empty without scores."""
    if not scores:
        return {}
    names = dict.fromkeys(one.data for one in scores)
    found = {name: summary([one for one in scores if one.data == name]) for name in names}
    return found if len(names) == 1 else found | {ALL: summary(scores)}


def table(scores: Sequence[FrameScore]) -> bytes:
    """CSV: the score of each held-out frame."""
    text = io.StringIO(newline="")
    found = Table(text, HELD_OUT_COLUMNS)
    for one in scores:
        numbers = (int(one.empty), f"{one.dice:.4f}", f"{one.iou:.4f}", int(one.missed), int(one.false))
        part = "" if one.in_part is None else int(one.in_part)
        cells = (one.id, one.data, one.cluster, *numbers, part)
        found.writerow(dict(zip(HELD_OUT_COLUMNS, cells, strict=True)))
    return text.getvalue().encode()


def write_model(
    out: Path,
    trained: TrainedLesion,
    metrics: Mapping[str, Any],
    config: LesionConfig,
    parts: Parts,
    *,
    overwrite: bool = False,
) -> None:
    """Write the model folder `out` with its card. metrics: of `metrics_of`."""
    names = list(dict.fromkeys(one.data for one in parts.training))
    facts = {
        **config.model_dump(mode="json", exclude={"network"}),
        "data": names,
        "frames": [one.id for one in parts.training],
        "tuned_on_frames": [one.id for one in parts.tuning],
        "held_out_frames": [one.id for one in parts.held_out],
    }
    save_trained(
        out,
        plan=config.network,
        weights=trained.weights,
        tuning=trained.tuning,
        training=facts,
        metrics=metrics,
        card=card(out.name, config, trained.tuning, " and ".join(names), metrics),
        files=trained.files,
        overwrite=overwrite,
    )


def metrics_of(trained: TrainedLesion, parts: Parts, command: str) -> dict[str, Any]:
    """The record of the training, what was left out, and where it ran."""
    return {
        **trained.record,
        "left_out": [{"name": one.name, "reason": one.reason} for one in parts.left_out],
        "suite": suite_version(),
        "environment": environment(),
        "command": command,
    }


def _fingerprint(parts: Parts, config: LesionConfig) -> str:
    """Data and settings, but for those that change nothing in the result."""
    settings = config.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    content = [
        [[one.id, *state_of(one.ref)] for one in part]
        for part in (parts.training, parts.tuning, parts.unlabelled)
    ]
    return hashlib.sha256(json.dumps([content, settings], sort_keys=True).encode()).hexdigest()

"""A model that has learnt from a review: new classes, corrected labels, fresh thresholds; in a folder of its
own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional

from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, resolve_device
from pipelines.common.models import ModelFolder, check_model_target, find_model, load_model, save_model
from pipelines.wafer.add_examples import examples_of, refitted_examples
from pipelines.wafer.calibrate import expected_calibration_error, fit_temperature
from pipelines.wafer.card import model_card
from pipelines.wafer.data import WaferMap
from pipelines.wafer.evaluate import scores
from pipelines.wafer.examples import EXAMPLES, Examples, encode
from pipelines.wafer.fit import TrainingSet, drawing_chances, fit
from pipelines.wafer.model.kinds import Kind
from pipelines.wafer.model.trained import TASK, TrainedModel, load_engine, load_trained, run_network
from pipelines.wafer.novelty import Mixture, fit_mixture, with_components, with_known
from pipelines.wafer.reviewed import LeftOut, find_maps, read_review
from pipelines.wafer.rows import item_hash
from pipelines.wafer.train import MIXTURE_MAPS, read_data, split
from pipelines.wafer.train_config import TrainConfig

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]

HELD_OUT: Final = 0.2  # share of the reviewed maps that trains nothing
REVIEW_WEIGHT: Final = 4.0  # maps of the training set that a reviewed one stands for
EPOCHS, MAPS_PER_EPOCH, SLOWER = (
    6,
    6_000,
    4,
)  # of a refit with replay; the learning rate is divided by the last
FIXED: Final = ("kind", "cells", "resolution", "architecture", "normal_label")
HEAD = "body.classifier"
VIEWS, STEPS, HEAD_RATE, PULL = 8, 200, 5e-3, 1e-2  # training of the head alone


@dataclass(frozen=True, slots=True)
class Refitted:
    """What `refit` made. left_out: reviewed rows that were not learnt from; unsure: how many were left."""

    out: Path
    metrics: dict[str, Any]
    new_classes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    unsure: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Maps with their classes (N,); reviewed: bool (N,)."""

    maps: list[WaferMap]
    classes: Classes
    reviewed: NDArray[np.bool_]


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
    on the reviewed maps alone, so that the latents, and with them the old mixture, stay valid; it gets
    components for what was reviewed. Either way the last layer keeps its weights for the old classes to start
    from.

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
    device = resolve_device(settings.device)
    stored = load_model(folder, task=TASK)
    old = load_trained(folder, engine=settings.engine, device=device)
    config = _config(stored, settings)
    if config.threads:
        torch.set_num_threads(config.threads)

    progress(f"reading {review}")
    verdicts, left_out, unsure = read_review(review)
    pairs, gone = find_maps(verdicts, review, root, diameter_mm)
    pairs, unsuitable = _suitable(pairs, old.kind)
    left_out += [*gone, *unsuitable]
    if not pairs:
        first = f", such as {left_out[0].source}#{left_out[0].map}: {left_out[0].reason}" if left_out else ""
        raise UserError(
            f"{review} leaves nothing to learn: {unsure} are unsure, {len(left_out)} cannot be used{first}"
        )
    maps = [wafer for wafer, _ in pairs]
    spelled = {label.casefold(): label for label in old.labels}
    names = [spelled.get(verdict.label.casefold(), verdict.label) for _, verdict in pairs]
    replay_maps, replay_names = read_data(data, progress) if data else ([], [])
    new = sorted({*names, *replay_names} - set(old.labels))
    labels = (*old.labels, *new)
    place = {label: number for number, label in enumerate(labels)}
    held = _held_by_hash([verdict.item for _, verdict in pairs], names)
    train_part, held_part = _parts(maps, [place[name] for name in names], held)
    if data:
        replay = _replay(replay_maps, replay_names, place, old.kind, config, {v.item for _, v in pairs})
        train_part, held_part = _joined(replay[0], train_part), _joined(replay[1], held_part)

    network = _grown(old, stored, labels, config)
    warnings: list[str] = []
    if data:
        new_model, tried, seconds, before_temperature = _with_replay(
            old, network, labels, train_part, held_part, config, device, out, progress
        )
        examples: Examples | None = examples_of(new_model, train_part.maps, train_part.classes, config)
    else:
        warnings.append(
            "without --data only the last layer is tuned, on the reviewed maps alone: what the model knew"
            " before may suffer, and is not measured"
        )
        progress("tuning the last layer")
        new_model, seconds = _head_alone(old, network, labels, train_part, stored, config, device)
        tried, before_temperature = [], None
        examples = refitted_examples(folder, old, new_model, train_part.maps, train_part.classes, config)
    unmeasured = sorted(
        {labels[c] for c in train_part.classes[train_part.reviewed]} - {labels[c] for c in held_part.classes}
    )
    if unmeasured:
        warnings.append(f"no map was held out of {', '.join(unmeasured)}, so nothing measures them")
    progress("comparing on held-out maps")
    before, after = _score(old, held_part, labels), _score(new_model, held_part, labels)
    refitted_from = {
        "name": old.name,
        "sha256": old.sha256,
        "reviewed": int(train_part.reviewed.sum() + held_part.reviewed.sum()),
        "new_classes": new,
        "data": data.name if data else None,
    }
    written = _write(
        out,
        stored,
        new_model,
        network,
        config,
        tried,
        before_temperature,
        refitted_from,
        overwrite,
        {
            "before": before,
            "after": after,
            "unsure": unsure,
            "left_out": [asdict(one) for one in left_out],
            "warnings": warnings,
        },
        train_part,
        held_part,
        seconds,
        command,
        examples,
    )
    return Refitted(out, written, tuple(new), tuple(left_out), unsure, tuple(warnings))


def _config(stored: ModelFolder, settings: TrainConfig) -> TrainConfig:
    """The settings of the first training, what a refit does otherwise, and what was asked for."""
    fixed = sorted(settings.model_fields_set & set(FIXED))
    if fixed:
        raise UserError(f"{', '.join(fixed)} cannot change in a refit; train a new model for that")
    known = {
        name: value
        for name, value in stored.config.get("training", {}).items()
        if name in TrainConfig.model_fields
    }
    base = TrainConfig.model_validate(known)
    changed = {
        "epochs": EPOCHS,
        "maps_per_epoch": MAPS_PER_EPOCH,
        "learning_rate": base.learning_rate / SLOWER,
    }
    asked = {name: getattr(settings, name) for name in settings.model_fields_set}
    return base.model_copy(update={**changed, **asked})


def _suitable(pairs: Sequence[Any], kind: Kind) -> tuple[list[Any], list[LeftOut]]:
    good = [pair for pair in pairs if kind.name != "dies" or pair[0].dies is not None]
    why = "the model classifies die results, and the file does not say which dies there are"
    bad = [
        LeftOut(v.source, str(v.map), why) for wafer, v in pairs if kind.name == "dies" and wafer.dies is None
    ]
    return good, bad


def _held_by_hash(items: Sequence[str], names: Sequence[str]) -> NDArray[np.bool_]:
    """Which maps are held out: by their hash, so that a later round holds out the same; one of each class
    trains.
    """
    chance = np.array([int(item[:8], 16) / 2**32 for item in items])
    held = chance < HELD_OUT
    labels = np.array(names)
    for name in set(names):
        of = np.flatnonzero(labels == name)
        if held[of].all():
            held[of[chance[of].argmax()]] = False
    return held


def _parts(maps: Sequence[WaferMap], classes: Sequence[int], held: NDArray[np.bool_]) -> tuple[_Part, _Part]:
    numbers = np.array(classes, np.int64)

    def part(rows: NDArray[np.int64]) -> _Part:
        return _Part([maps[row] for row in rows], numbers[rows], np.ones(len(rows), bool))

    return part(np.flatnonzero(~held)), part(np.flatnonzero(held))


def _replay(
    maps: list[WaferMap],
    names: list[str],
    place: dict[str, int],
    kind: Kind,
    config: TrainConfig,
    reviewed: set[str],
) -> tuple[_Part, _Part]:
    """The training and the held-out part of the replayed data, without maps that were reviewed."""
    if kind.name == "dies" and any(wafer.dies is None for wafer in maps):
        raise UserError("the model classifies die results, which some maps of --data do not have")
    labels, numbers = np.unique(names, return_inverse=True)
    rows = split(numbers, labels, config)
    classes = np.array([place[name] for name in names], np.int64)
    parts = []
    for part in rows:
        kept = [int(row) for row in part if item_hash(maps[row]) not in reviewed]
        parts.append(_Part([maps[row] for row in kept], classes[kept], np.zeros(len(kept), bool)))
    return parts[0], parts[1]


def _joined(first: _Part, second: _Part) -> _Part:
    return _Part(
        first.maps + second.maps,
        np.concatenate([first.classes, second.classes]),
        np.concatenate([first.reviewed, second.reviewed]),
    )


def _grown(old: TrainedModel, stored: ModelFolder, labels: Sequence[str], config: TrainConfig) -> nn.Module:
    """The network with a row of the last layer for each new class, the mean of the old rows; all else is
    kept.
    """
    network = old.kind.build(load_engine(config.engine), len(labels), stored.config["architecture"])
    state: dict[str, Tensor] = dict(old.network.state_dict())
    more = len(labels) - len(old.labels)
    for name in (f"{HEAD}.weight", f"{HEAD}.bias"):
        value = state[name]
        state[name] = torch.cat([value, value.mean(0, keepdim=True).expand(more, *value.shape[1:])])
    network.load_state_dict(state)
    return network.to(old.device)


def _with_replay(
    old: TrainedModel,
    network: nn.Module,
    labels: Sequence[str],
    train_part: _Part,
    held_part: _Part,
    config: TrainConfig,
    device: torch.device,
    out: Path,
    progress: Callable[[str], None],
) -> tuple[TrainedModel, list[dict[str, Any]], float, float]:
    weights = np.where(train_part.reviewed, REVIEW_WEIGHT, 1.0)
    present = np.bincount(train_part.classes, minlength=len(labels)) > 0
    if not present.all():
        missing = ", ".join(label for label, there in zip(labels, present, strict=True) if not there)
        raise UserError(f"--data and the review have no map of {missing}, which the model knows")
    chance, shift = drawing_chances(train_part.classes, len(labels), config.sampling_power, weights)
    scratch = out.with_name(f".{out.name}.refitting")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        seconds = fit(
            network,
            old.kind,
            TrainingSet(train_part.maps, train_part.classes, chance),
            config,
            device=device,
            checkpoint=scratch / "checkpoint.safetensors",
            fingerprint=old.sha256,
            progress=progress,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    progress("calibrating on held-out maps")
    logits, held_latent = run_network(network, old.kind, held_part.maps, device=device)
    shifted = logits.astype(np.float64) + shift
    temperature = fit_temperature(shifted, held_part.classes)
    progress("fitting the Gaussian mixture")
    rng = np.random.default_rng(config.seed)
    rows = np.union1d(
        rng.permutation(len(train_part.maps))[:MIXTURE_MAPS], np.flatnonzero(train_part.reviewed)
    )
    _, latent = run_network(network, old.kind, [train_part.maps[row] for row in rows], device=device)
    mixture, tried = fit_mixture(
        latent,
        held_latent,
        components=config.components,
        covariances=config.covariances,
        dimension=config.novelty_dimension,
        seed=config.seed,
    )
    reviewed = train_part.reviewed[rows]
    groups = _groups(latent[reviewed], train_part.classes[rows][reviewed])
    mixture = with_known(with_components(mixture, groups, len(rows)), held_latent)
    model = _model(old, network, labels, torch.from_numpy(shift), temperature, mixture)
    probability = softmax(shifted, axis=1)
    ece = expected_calibration_error(probability.max(1), probability.argmax(1) == held_part.classes)
    return model, [asdict(each) for each in tried], seconds, ece


def _head_alone(
    old: TrainedModel,
    network: nn.Module,
    labels: Sequence[str],
    part: _Part,
    stored: ModelFolder,
    config: TrainConfig,
    device: torch.device,
) -> tuple[TrainedModel, float]:
    """Tune the last layer on latents of the reviewed maps, each seen as it is and turned at random."""
    network.eval()
    rng = np.random.default_rng(config.seed)
    _, plain = run_network(network, old.kind, part.maps, device=device)
    views = [torch.from_numpy(plain).to(device)]
    with torch.no_grad():
        for _ in range(VIEWS):
            for start in range(0, len(part.maps), 64):
                views.append(network(old.kind.encode(part.maps[start : start + 64], rng).to(device))[1])
    latent, truth = torch.cat(views).clone(), torch.from_numpy(np.tile(part.classes, VIEWS + 1)).to(device)
    shift = torch.cat([old.prior_shift, old.prior_shift.new_zeros(len(labels) - len(old.labels))])
    layer = network.get_submodule(HEAD)
    first = [parameter.detach().clone() for parameter in layer.parameters()]
    optimizer = torch.optim.Adam(layer.parameters(), lr=HEAD_RATE)
    balance = 1 / torch.bincount(truth, minlength=len(labels)).clamp(min=1).float()
    for _ in range(STEPS):
        loss = functional.cross_entropy(layer(latent) + shift.float(), truth, weight=balance)
        moved = sum((now - was).square().sum() for now, was in zip(layer.parameters(), first, strict=True))
        optimizer.zero_grad()
        (loss + PULL * moved).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    total = max(len(part.maps), int(stored.metrics.get("maps", {}).get("train", 0)))
    mixture = with_components(old.novelty.to(torch.device("cpu")), _groups(plain, part.classes), total)
    return _model(old, network, labels, shift, old.temperature, mixture), 0.0


def _groups(latent: NDArray[np.float32], classes: Classes) -> list[NDArray[np.float32]]:
    return [latent[classes == number] for number in np.unique(classes)]


def _model(
    old: TrainedModel,
    network: nn.Module,
    labels: Sequence[str],
    shift: Tensor,
    temperature: float,
    mixture: Mixture,
) -> TrainedModel:
    return replace(
        old,
        network=network.eval(),
        labels=tuple(labels),
        prior_shift=shift.double().to(old.device),
        temperature=temperature,
        novelty=mixture.to(old.device),
    )


def _score(model: TrainedModel, held: _Part, labels: Sequence[str]) -> dict[str, Any]:
    """Scores on the held-out maps, with the share that is called novel; empty if there are none."""
    if not held.maps:
        return {}
    seen = model.measure(held.maps)
    truth = [labels[number] for number in held.classes]
    predicted = [model.labels[number] for number in seen.probabilities.argmax(1)]
    novel = seen.novelty > model.novelty.threshold(model.false_alarm_rate)
    right = np.array([a == b for a, b in zip(truth, predicted, strict=True)])
    reviewed = held.reviewed
    return {
        "maps": len(truth),
        "novel": float(novel.mean()),
        "reviewed_maps": int(reviewed.sum()),
        "reviewed_accuracy": float(right[reviewed].mean()) if reviewed.any() else None,
        "reviewed_novel": float(novel[reviewed].mean()) if reviewed.any() else None,
        **scores(truth, predicted, seen.probabilities.max(1)),
    }


def _write(
    out: Path,
    stored: ModelFolder,
    model: TrainedModel,
    network: nn.Module,
    config: TrainConfig,
    tried: list[dict[str, Any]],
    ece: float | None,
    refitted_from: dict[str, Any],
    overwrite: bool,
    review: dict[str, Any],
    train_part: _Part,
    held_part: _Part,
    seconds: float,
    command: str,
    examples: Examples | None,
) -> dict[str, Any]:
    counts = np.bincount(np.concatenate([train_part.classes, held_part.classes]), minlength=len(model.labels))
    after = review["after"]
    count, dimension, _ = model.novelty.precisions.shape
    kept = {"components": count, "covariance": "full", "dimension": dimension, "bic": None}
    written = {
        **stored.config,
        "labels": list(model.labels),
        "temperature": model.temperature,
        "training": config.model_dump(mode="json"),
        "refitted_from": refitted_from,
    }
    metrics = {
        "held_out": {name: after[name] for name in ("accuracy", "macro_f1", "ece", "per_class", "confusion")}
        if after
        else {},
        "held_out_ece_before_temperature": ece if ece is not None else after.get("ece"),
        "mixtures": tried or [kept],
        "threshold": model.novelty.threshold(model.false_alarm_rate),
        "maps": {"train": len(train_part.maps), "held_out": len(held_part.maps)},
        "examples": len(examples.drawings) if examples else 0,
        "maps_per_class": dict(zip(model.labels, counts.tolist(), strict=True)),
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds": round(seconds, 1),
        "environment": environment(),
        "command": command,
        "refit": review,
    }
    tensors = {f"network.{name}": value.cpu() for name, value in network.state_dict().items()}
    tensors |= {"prior_shift": model.prior_shift.cpu()} | model.novelty.to(torch.device("cpu")).tensors()
    data = " and ".join(filter(None, [refitted_from["data"], "a review"]))
    card = model_card(out.name, written, metrics, data=data, terms=config.data_terms, notes=config.notes)
    files = {EXAMPLES: encode(examples)} if examples and examples.drawings else {}
    save_model(
        out, tensors=tensors, config=written, metrics=metrics, card=card, files=files, overwrite=overwrite
    )
    return metrics

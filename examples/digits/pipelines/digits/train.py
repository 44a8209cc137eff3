"""From labelled pictures to a model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from torch import nn

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import check_model_target, save_model
from pipelines.digits.config import TASK, TrainConfig
from pipelines.digits.data import Picture, PictureError, read_labelled, read_picture
from pipelines.digits.network import build
from pipelines.digits.predict import Predictor

CARD = """# {name}

Which handwritten digit a sparse picture shows. Trained on {pictures} pictures of {data}; accuracy on
{held_out} that were held out: {accuracy:.3f}. The terms of the data are those of whoever made it.
"""


def train(
    data: Path, out: Path, config: TrainConfig, *, overwrite: bool, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Train on the folders of `data`, which are named by their label, and write the model folder `out`.

    Returns the metrics on held-out pictures. Raises UserError.
    """
    check_model_target(out, overwrite=overwrite)
    pictures, names = _read(data)
    labels, classes = np.unique(names, return_inverse=True)
    if len(labels) < 2 or np.bincount(classes).min() < 2:
        raise UserError(f"{data} needs two labels or more, and two pictures or more of each")
    fit, held_out = train_test_split(
        np.arange(len(pictures)), test_size=config.held_out, stratify=classes, random_state=config.seed
    )
    torch.manual_seed(config.seed)
    device, engine = resolve_device(config.device), load_engine(config.engine)
    network = build(engine, len(labels)).to(device)
    predictor = Predictor(network, engine, labels.tolist(), device)
    _optimise(predictor, [pictures[i] for i in fit], classes[fit], config, progress)
    said = predictor.probabilities([pictures[i] for i in held_out]).argmax(1)
    metrics = {
        "accuracy": float(accuracy_score(classes[held_out], said)),
        "macro_f1": float(f1_score(classes[held_out], said, average="macro")),
        "pictures": len(fit),
        "held_out": len(held_out),
    }
    save_model(
        out,
        tensors=network.state_dict(),
        config={"task": TASK, "labels": labels.tolist(), "training": config.model_dump(mode="json")},
        metrics=metrics,
        card=CARD.format(name=out.name, data=data.name, **metrics),
        overwrite=overwrite,
    )
    return metrics


def _read(data: Path) -> tuple[list[Picture], list[str]]:
    found = read_labelled(data)
    if not found:
        raise UserError(f"{data} holds no folder with pictures; a folder is named by its label")
    try:
        return [read_picture(path) for path, _ in found], [label for _, label in found]
    except PictureError as error:
        raise UserError(f"a picture of {data} {error}") from error


def _optimise(
    predictor: Predictor,
    pictures: Sequence[Picture],
    classes: NDArray[np.int64],
    config: TrainConfig,
    progress: Callable[[str], None],
) -> None:
    network = predictor.network
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate)
    rng = np.random.default_rng(config.seed)
    network.train()
    for epoch in range(config.epochs):
        order = rng.permutation(len(pictures))
        total = 0.0
        for chosen in np.array_split(order, max(1, len(order) // config.batch_size)):
            logits = predictor.logits([pictures[i] for i in chosen])
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(classes[chosen]).to(logits.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(chosen)
        progress(f"epoch {epoch + 1} of {config.epochs}: loss {total / len(order):.3f}")
    network.eval()

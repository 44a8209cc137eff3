"""The peer: a plain dense CNN on maps binned to 64x64, trained on the same split as the suite's model.

`python -m benchmarks.wafer.dense_cnn` trains it alone; `python -m benchmarks.wafer` trains it if need be.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.cache import cache_folder, fingerprint, replace_file
from benchmarks.wafer import wm811k
from benchmarks.wafer.binning import CHANNELS, SIDE, bin_dies
from benchmarks.wafer.metrics import accuracy, macro_f1

# Output channels of the convolutions of each stage; a 2x2 maximum stands between stages.
STAGES = ((16,), (32, 32), (64, 64), (96, 96))
# More would not fit the cache of a core.
EVALUATION_BATCH = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the outcome of a training; two trainings of the same recipe and data are the same.

    bfloat16: train under autocast, in half the time where the processor multiplies bfloat16; weights and
    updates stay float32, and so does all that comes after the training.
    """

    epochs: int = 16
    batch: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    dropout: float = 0.2
    warm_up: float = 0.1
    seed: int = 0
    max_maps: int | None = None
    bfloat16: bool = True


def network(classes: int, dropout: float = 0.0) -> nn.Sequential:
    """3x3 convolutions with batch normalisation and ReLU, global average, one linear layer.

    Input float (B, 2, 64, 64), output logits (B, classes); 209,321 parameters at 9 classes.
    """
    layers: list[nn.Module] = []
    width = CHANNELS
    for number, stage in enumerate(STAGES):
        if number:
            layers.append(nn.MaxPool2d(2))
        for wide in stage:
            layers += [nn.Conv2d(width, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
            width = wide
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, classes)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def as_input(images: NDArray[np.uint8]) -> Tensor:
    """Images uint8 (B, 64, 64, 2) as float32 (B, 2, 64, 64), 0 to 1, in channels-last order."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


@torch.inference_mode()
def probabilities(model: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Class probabilities (N, classes) of images uint8 (N, 64, 64, 2)."""
    model.eval()
    parts = [
        model(as_input(images[start : start + EVALUATION_BATCH])).softmax(1).numpy()
        for start in range(0, len(images), EVALUATION_BATCH)
    ]
    return np.concatenate(parts)


def turned(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Each image (B, S, S, C) in one of its eight turns and mirrorings, chosen at random."""
    out = np.empty_like(images)
    choice = rng.integers(8, size=len(images))
    for number in range(8):
        chosen = choice == number
        some = np.rot90(images[chosen], number % 4, axes=(1, 2))
        out[chosen] = some[:, :, ::-1] if number >= 4 else some
    return out


def binned(path: Path, cache: Path) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """The binned maps of a labelled file and their labels; binned once and kept."""
    kept = cache / f"{path.stem}-{SIDE}-{fingerprint(path)}.safetensors"
    maps = wm811k.load(path)
    if kept.exists():
        return load_tensors(kept.read_bytes())["images"].numpy(), maps.labels
    images = bin_dies(maps.grids)
    replace_file(kept, save_tensors({"images": torch.from_numpy(images)}))
    return images, maps.labels


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to nothing."""
    warm = max(1, round(recipe.warm_up * steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return float(recipe.learning_rate * 0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, steps - warm))))


def train(
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    classes: int,
    recipe: Recipe,
    checkpoint: Path,
    *,
    say: Callable[[str], None] = print,
    after_epoch: Callable[[nn.Module], str] = lambda model: "",
) -> tuple[nn.Module, list[float]]:
    """The trained network and the seconds of each epoch; goes on from the checkpoint if there is one.

    images: uint8 (N, 64, 64, 2). targets: (N,). Every map is seen once an epoch. What is random in an epoch
    follows from the seed and its number alone, so a training that was broken off ends as it would have.
    """
    torch.manual_seed(recipe.seed)
    model = network(classes, recipe.dropout)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    seconds = _restore(checkpoint, model, optimizer) if checkpoint.exists() else []
    per_epoch = len(images) // recipe.batch or 1
    for epoch in range(len(seconds), recipe.epochs):
        started = time.perf_counter()
        rng = np.random.default_rng((recipe.seed, epoch))
        torch.manual_seed(recipe.seed * 10_007 + epoch)
        order = rng.permutation(len(images))
        model.train()
        total = 0.0
        for number in range(per_epoch):
            chosen = order[number * recipe.batch : (number + 1) * recipe.batch]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, epoch * per_epoch + number, recipe.epochs * per_epoch)
            optimizer.zero_grad(set_to_none=True)
            inputs = as_input(turned(images[chosen], rng))
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                logits = model(inputs)
            loss = cross_entropy(logits.float(), torch.from_numpy(targets[chosen]))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
        seconds.append(time.perf_counter() - started)
        _store(checkpoint, model, optimizer, seconds)
        note = after_epoch(model)
        say(f"epoch {epoch + 1}/{recipe.epochs}: loss {total / per_epoch:.4f}, {seconds[-1]:.0f} s {note}")
    return model, seconds


def _store(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, seconds: list[float]) -> None:
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor.contiguous() for name, tensor in state.items()}
    tensors["seconds"] = torch.tensor(seconds, dtype=torch.float64)
    replace_file(path, save_tensors(tensors))


def _restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[float]:
    tensors = load_tensors(path.read_bytes())
    load_weights(model, tensors)
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".")
            state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return tensors["seconds"].tolist()


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Take the network's weights out of a checkpoint's tensors."""
    weights = {
        name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")
    }
    model.load_state_dict(weights)


@dataclass(frozen=True, slots=True)
class Peer:
    """The trained peer. labels: the classes in the order of the network's outputs."""

    model: nn.Module
    labels: list[str]
    recipe: Recipe
    seconds_per_epoch: list[float]

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


def trained(data: Path, recipe: Recipe, cache: Path, *, say: Callable[[str], None] = print) -> Peer:
    """Train on `data`/train.npz, or go on with, or take, what the cache holds of this recipe and this data.

    After each epoch the log gets the macro-F1 on `data`/val.npz; nothing is chosen by it.
    """
    images, text = binned(data / "train.npz", cache)
    if recipe.max_maps is not None:
        images, text = images[: recipe.max_maps], text[: recipe.max_maps]
    labels = sorted(set(text.tolist()))
    targets = np.searchsorted(labels, text).astype(np.int64)
    validation, truth = binned(data / "val.npz", cache)
    facts = json.dumps(
        [asdict(recipe), STAGES, labels, len(images), int(images[:: max(1, len(images) // 64)].sum())]
    )
    key = blake2b(facts.encode(), digest_size=6).hexdigest()

    def judge(model: nn.Module) -> str:
        guess = np.array(labels)[probabilities(model, validation).argmax(1)]
        return f"accuracy {accuracy(truth, guess):.4f}, macro-F1 {macro_f1(truth, guess):.4f}"

    model, seconds = train(
        images,
        targets,
        len(labels),
        recipe,
        cache / f"dense-{key}.safetensors",
        say=say,
        after_epoch=judge,
    )
    return Peer(model, labels, recipe, seconds)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wafer.dense_cnn", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=wm811k.DEFAULT_FOLDER, help="folder of train.npz and val.npz"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default 2)")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    recipe = Recipe(epochs=given.epochs, seed=given.seed)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    cache = cache_folder("wafer")
    facts: dict[str, Any] = {"started": started, "threads": given.threads, **asdict(recipe)}
    with (cache / "dense_cnn.log").open("a", encoding="utf-8") as log:

        def say(text: str) -> None:
            print(text, flush=True)
            log.write(text + "\n")
            log.flush()

        say(json.dumps(facts))
        peer = trained(given.data, recipe, cache, say=say)
        say(f"{peer.parameters:,} parameters, {sum(peer.seconds_per_epoch):.0f} s in all")


if __name__ == "__main__":
    main()

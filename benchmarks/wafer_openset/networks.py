"""The suite's die network and the dense peer, trained without some classes, behind one interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.wafer import dense_cnn
from benchmarks.wafer.binning import bin_dies
from benchmarks.wafer_openset.splits import Split
from pipelines.wafer.data.record import DieGrid, WaferMap
from pipelines.wafer.fit import TrainingSet, drawing_chances, fit
from pipelines.wafer.model.kinds import Dies
from pipelines.wafer.train_config import TrainConfig
from sparse_backbones import engines
from sparse_backbones.blocks import PooledRows

Grid = NDArray[np.uint8]
Floats = NDArray[np.float32]
Say = Callable[[str], None]
BATCH = 64
LATENT = "latent"
# As the recipe of the bundled model, pipelines/wafer/recipes/wm811k.yaml.
ARCHITECTURE = {"channels": [48, 80, 128]}


@dataclass(frozen=True, slots=True)
class Recipes:
    """How both networks are trained; `maps_per_epoch` is of the suite's, which draws with replacement.

    By default the suite's sees 48,000 maps, and the dense one all that there are twice, 67,000 at most.
    """

    suite_epochs: int = 4
    maps_per_epoch: int | None = 12_000
    dense_epochs: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network.

    weight (K, L), bias (K,): the head; logits are latent @ weight.T + bias. The suite's bias holds the shift
    from the classes' share in what training draws to that in the data.
    layers: grids to a dict of float32 (N, width), `latent` last.
    inputs: grids to the input whose gradient ODIN takes, and what gives logits (B, K) of that input.
    """

    weight: Floats
    bias: Floats
    layers: Callable[[Sequence[Grid]], dict[str, Floats]]
    inputs: Callable[[Sequence[Grid]], tuple[Tensor, Callable[[Tensor], Tensor]]]


def suite(
    grids: Sequence[Grid],
    classes: NDArray[np.int64],
    split: Split,
    recipes: Recipes,
    cache: Path,
    *,
    say: Say,
) -> Network:
    """Train the suite's network as `suite wafer train` does, or take it from the cache, or go on with it."""
    config = TrainConfig(
        kind="dies",
        engine="native",
        device="cpu",
        seed=split.seed,
        epochs=recipes.suite_epochs,
        maps_per_epoch=recipes.maps_per_epoch,
        architecture=ARCHITECTURE,
    )
    name = key(config.model_dump(mode="json"), split, grids)
    chance, shift = drawing_chances(classes, len(split.labels), config.sampling_power)
    torch.manual_seed(split.seed)
    network = Dies().build(engines.load("native"), len(split.labels), ARCHITECTURE)
    fit(
        network,
        Dies(),
        TrainingSet([as_map(grid) for grid in grids], classes, chance),
        config,
        device=torch.device("cpu"),
        checkpoint=cache / f"suite-{name}.safetensors",
        fingerprint=name,
        progress=say,
    )
    return of_die_network(network, shift)


def of_die_network(network: nn.Module, shift: NDArray[np.float64]) -> Network:
    """A trained `DieNetwork` behind the interface. shift (K,): added to its logits."""
    network.eval()
    head: Any = network.body.classifier  # type: ignore[union-attr]
    offset = torch.from_numpy(shift.astype(np.float32))

    def inputs(grids: Sequence[Grid]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        batch = Dies().encode([as_map(grid) for grid in grids])
        return batch.features, lambda features: network(replace(batch, features=features))[0] + offset

    return Network(
        head.weight.detach().numpy(),
        head.bias.detach().numpy() + offset.numpy(),
        partial(_die_layers, network),
        inputs,
    )


@torch.inference_mode()
def _die_layers(network: nn.Module, grids: Sequence[Grid]) -> dict[str, Floats]:
    """Mean and maximum over the sites after the part on native dies and after each stage, then the latent."""
    pool = PooledRows()
    named: dict[str, nn.Module] = {"native": network.native}  # type: ignore[dict-item]
    named |= {f"stage{i}": stage for i, stage in enumerate(network.body.stages)}  # type: ignore[union-attr, arg-type]
    found: dict[str, list[Floats]] = {name: [] for name in (*named, LATENT)}
    rows = 0
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, out, name=name: found[name].append(pool(out, rows).numpy())
        )
        for name, module in named.items()
    ]
    try:
        for start in range(0, len(grids), BATCH):
            chosen = grids[start : start + BATCH]
            batch = Dies().encode([as_map(grid) for grid in chosen])
            # A batch without any site is given one more map inside the network: its row is cut off below.
            rows = len(chosen) + (not len(batch.dies))
            found[LATENT].append(network(batch)[1].numpy())
            for name in named:
                found[name][-1] = found[name][-1][: len(chosen)]
    finally:
        for hook in hooks:
            hook.remove()
    return {name: np.concatenate(parts) for name, parts in found.items()}


def dense(
    grids: Sequence[Grid],
    classes: NDArray[np.int64],
    split: Split,
    recipes: Recipes,
    cache: Path,
    *,
    say: Say,
) -> Network:
    """Train the dense CNN on maps binned to 64x64, or take it from the cache, or go on with it."""
    recipe = dense_cnn.Recipe(epochs=recipes.dense_epochs, seed=split.seed)
    name = key(asdict(recipe), split, grids)
    model, _ = dense_cnn.train(
        bin_dies(grids),
        classes,
        len(split.labels),
        recipe,
        cache / f"dense-{name}.safetensors",
        say=say,
    )
    model.eval()
    *body, head = model.children()
    trunk = nn.Sequential(*body)

    @torch.inference_mode()
    def layers(some: Sequence[Grid]) -> dict[str, Floats]:
        parts = [
            trunk(dense_cnn.as_input(bin_dies(some[start : start + BATCH]))).numpy()
            for start in range(0, len(some), BATCH)
        ]
        return {LATENT: np.concatenate(parts)}

    return Network(
        head.get_parameter("weight").detach().numpy(),
        head.get_parameter("bias").detach().numpy(),
        layers,
        lambda some: (dense_cnn.as_input(bin_dies(some)), model),
    )


def as_map(grid: Grid) -> WaferMap:
    """A die grid as the record that the suite's encoder takes; positions in mm are not looked at."""
    return WaferMap(
        source=Path("maps.npz"),
        position=0,
        defects=np.empty((0, 2)),
        source_rows=np.empty(0, dtype=np.int64),
        diameter_mm=300.0,
        die_level=True,
        dies=DieGrid(grid, (1.0, 1.0), (0.0, 0.0)),
    )


def key(recipe: dict[str, Any], split: Split, grids: Sequence[Grid]) -> str:
    """A short name for a training: its recipe, what is left out, the seed, and the maps that train."""
    digest = blake2b(digest_size=8)
    digest.update(json.dumps([recipe, ARCHITECTURE, split.labels, split.seed], sort_keys=True).encode())
    for grid in grids:
        digest.update(np.array(grid.shape).tobytes() + grid.tobytes())
    digest.update(split.train.tobytes())
    return digest.hexdigest()

"""What a network says of the maps of a split: all that scores are made of, kept in the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from benchmarks.cache import replace_file
from benchmarks.wafer_openset.networks import LATENT, Floats, Grid, Network
from pipelines.wafer.model.dies import crop
from pipelines.wafer.shape import shapes

Floats64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """A network's head, weight (K, L) and bias (K,), and its layers on each set of maps.

    layers: by set (`train`, `held`, `known`, `novel`, perhaps `outliers`) and layer, float32 (N, width); the
    layer `latent` (N, L) is the head's input. shape: by set, `pipelines.wafer.shape` of the maps, (N, S).
    odin: by set, its score (N,), for those it was asked for.
    """

    weight: Floats
    bias: Floats
    layers: dict[str, dict[str, Floats]]
    shape: dict[str, Floats]
    odin: dict[str, Floats64]

    def latent(self, name: str) -> Floats64:
        """The latents (N, L) of a set."""
        return self.layers[name][LATENT].astype(np.float64)

    def logits(self, name: str) -> Floats64:
        """The logits (N, K) of a set."""
        return self.latent(name) @ self.weight.T.astype(np.float64) + self.bias


def outputs_of(
    network: Network,
    sets: Mapping[str, Sequence[Grid]],
    odin: Mapping[str, Floats64] | None = None,
    *,
    latent_only: bool = False,
) -> Outputs:
    """Run a network on sets of maps. latent_only: leave the earlier layers out, which take far more space."""
    layers = {name: network.layers(grids) for name, grids in sets.items()}
    if latent_only:
        layers = {name: {LATENT: found[LATENT]} for name, found in layers.items()}
    shape = {name: shapes([crop(grid) for grid in grids]) for name, grids in sets.items()}
    return Outputs(network.weight, network.bias, layers, shape, dict(odin or {}))


def store(path: Path, outputs: Outputs) -> None:
    """Write to a safetensors file."""
    arrays = {"weight": outputs.weight, "bias": outputs.bias}
    for name, layers in outputs.layers.items():
        arrays |= {f"layers.{name}.{layer}": values for layer, values in layers.items()}
    arrays |= {f"shape.{name}": values for name, values in outputs.shape.items()}
    odin = {f"odin.{name}": values for name, values in outputs.odin.items()}
    replace_file(path, save_arrays({key: np.ascontiguousarray(v) for key, v in {**arrays, **odin}.items()}))


def restore(path: Path) -> Outputs:
    """What `store` wrote."""
    arrays = load_arrays(path.read_bytes())
    layers: dict[str, dict[str, Floats]] = {}
    shape: dict[str, Floats] = {}
    odin: dict[str, Floats64] = {}
    for key, values in arrays.items():
        kind, _, rest = key.partition(".")
        if kind == "layers":
            name, layer = rest.split(".")
            layers.setdefault(name, {})[layer] = values
        elif kind == "shape":
            shape[rest] = values
        elif kind == "odin":
            odin[rest] = values
    return Outputs(arrays["weight"], arrays["bias"], layers, shape, odin)

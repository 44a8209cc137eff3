"""Examples that a model carries: a few spread-out training maps of each class, to show what it compares with.

They lie beside the weights in `examples.safetensors`, all as arrays:

    latent    float32 (N, D), standardised as in `pipelines.wafer.latents`
    network   float16 (N, L), the network's own latents, for a refit to go by
    label     int64 (N,), the place of the map's class among the model's labels
    drawings  uint8 (M,), the packed maps (`pipelines.wafer.drawing`), ASCII, one after the other
    ends      int64 (N,), where each of them ends

The file is optional and changes no result, so it is no part of the model's hash. Nothing here imports torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.models import ModelError, bundled_models, model_hash, read_config
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.drawing import pack
from pipelines.wafer.report import fewer

EXAMPLES: Final = "examples.safetensors"
MOST: Final = 400  # of all classes together: the file stays below 1 MB
MAX_DIES, MAX_POINTS = 6_000, 300  # of one drawing
MAX_BYTES: Final = 16 * 2**20

Latents = NDArray[np.float32]
Classes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """latent (N, D), classes (N,): places among the model's labels, drawings: N packed maps.

    network (N, L): the network's own latents; (0, 0) if they were not kept.
    """

    latent: Latents
    classes: Classes
    drawings: tuple[str, ...]
    network: Latents = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def nearest(self, point: Latents, count: int) -> list[tuple[int, float]]:
        """The places of the examples nearest to the latent `point` (D,), with their distances."""
        if self.latent.shape[1:] != point.shape:
            return []
        distance = np.linalg.norm(self.latent - point, axis=1)
        best = np.argsort(distance, kind="stable")[:count]
        return [(int(place), float(distance[place])) for place in best]


def gather(
    maps: Sequence[WaferMap], classes: Classes, latent: Latents, network: Latents, per_class: int
) -> Examples:
    """Up to `per_class` examples of each class, chosen among training maps with their latents (N, D).

    network (N, L): the network's own.
    """
    rows = choose(latent, classes, per_class)
    drawings = tuple(_drawing(maps[row]) for row in rows)
    return Examples(latent[rows], classes[rows], drawings, network[rows])


def extended(old: Examples, new: Examples, per_class: int) -> Examples:
    """Both together, thinned to `per_class` of each class."""
    latent, classes = np.concatenate([old.latent, new.latent]), np.concatenate([old.classes, new.classes])
    drawings = old.drawings + new.drawings
    rows = choose(latent, classes, per_class)
    both = len(old.network) == len(old.drawings) and len(new.network) == len(new.drawings)
    network = np.concatenate([old.network, new.network])[rows] if both else np.empty((0, 0), np.float32)
    return Examples(latent[rows], classes[rows], tuple(drawings[row] for row in rows), network)


def choose(latent: Latents, classes: Classes, per_class: int) -> Classes:
    """The rows of maps that stand for all the others of their class: those nearest to the centres of k-means.

    The farthest maps would be spread wider, but they are those with a wrong label.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    present = np.unique(classes)
    count = min(per_class, MOST // max(len(present), 1))
    chosen = []
    for number in present:
        rows = np.flatnonzero(classes == number)
        if len(rows) > count > 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct maps than centres
                distance = KMeans(count, random_state=0).fit_transform(latent[rows])
            rows = rows[np.unique(distance.argmin(0))]
        chosen.append(rows[:count])
    return np.concatenate([*chosen, np.empty(0, np.int64)])


def encode(examples: Examples) -> bytes:
    """The contents of the file."""
    from safetensors.numpy import save

    texts = [drawing.encode("ascii") for drawing in examples.drawings]
    arrays: dict[str, NDArray[Any]] = {
        "latent": np.ascontiguousarray(examples.latent, np.float32),
        "network": np.ascontiguousarray(examples.network, np.float16),
        "label": np.ascontiguousarray(examples.classes, np.int64),
        "drawings": np.frombuffer(b"".join(texts), np.uint8),
        "ends": np.cumsum([len(text) for text in texts], dtype=np.int64),
    }
    return save(arrays)


def read_examples(folder: Path) -> Examples | None:
    """The examples of a model folder, or None if it has none. Raises ModelError if they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / EXAMPLES
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        arrays = load(path.read_bytes())
        return _checked(arrays, len(read_config(folder, task="wafer")["labels"]))
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def folder_of(name: str, sha256: str, folders: Iterable[Path]) -> Path | None:
    """The folder of the very model that has this hash, among `folders` and the bundled ones of this name.

    None if it is gone or has changed since: latents of another model do not compare.
    """
    bundled = [folder for folder in bundled_models("wafer") if folder.name == name]
    for folder in dict.fromkeys([*folders, *bundled]):
        try:
            if folder.is_dir() and model_hash(folder, task="wafer") == sha256:
                return folder
        except ModelError:
            continue  # what cannot be read is as good as gone
    return None


def _checked(arrays: dict[str, NDArray[Any]], labels: int) -> Examples:
    latent, network = (arrays[name].astype(np.float32) for name in ("latent", "network"))
    classes, ends = arrays["label"].astype(np.int64), arrays["ends"].astype(np.int64)
    text = arrays["drawings"].astype(np.uint8).tobytes().decode("ascii")
    if latent.ndim != 2 or classes.shape != ends.shape or classes.shape != latent.shape[:1]:
        raise ValueError("its arrays do not go together")
    if network.ndim != 2 or len(network) not in (0, len(latent)):
        raise ValueError("its arrays do not go together")
    if (
        not (np.isfinite(latent).all() and np.isfinite(network).all())
        or ((classes < 0) | (classes >= labels)).any()
    ):
        raise ValueError("it holds a latent or a label that cannot be")
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    if (ends < starts).any() or (starts < 0).any() or (len(ends) and ends[-1] != len(text)):
        raise ValueError("its drawings are cut short")
    drawings = tuple(text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return Examples(latent, classes, drawings, network)


def _drawing(wafer: WaferMap) -> str:
    """The packed map, made small: of defects, and of the failing dies of large grids, a sample."""
    if wafer.die_level and wafer.dies is not None and wafer.dies.status.size <= MAX_DIES:
        return pack(wafer)
    return fewer(pack(replace(wafer, die_level=False, dies=None)), MAX_POINTS)

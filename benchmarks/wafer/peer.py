"""The dense peer from files to rows: `python -m benchmarks.wafer.peer PATH --weights FILE --out CSV`."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.wafer import wm811k
from benchmarks.wafer.binning import bin_defects, bin_dies
from benchmarks.wafer.dense_cnn import network, probabilities
from pipelines.wafer.data import WaferMap, iter_maps

BATCH_MAPS = 256


def save(path: Path, model: nn.Module, labels: list[str]) -> None:
    """The weights with the labels of the outputs."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, {"labels": json.dumps(labels)})


def load(path: Path) -> tuple[nn.Module, list[str]]:
    """What `save` wrote."""
    with safe_open(path, framework="pt") as stored:
        labels: list[str] = json.loads(stored.metadata()["labels"])
    model = network(len(labels))
    model.load_state_dict(load_file(path))
    return model.eval(), labels


def images_of(path: Path) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
    """Batches of names and binned images of a WM-811K npz, or of the defects in files of coordinates.

    Die maps are read without a record per map, the fastest way there is for the peer.
    """
    if _holds_dies(path):
        grids = wm811k.load(path).grids
        for start in range(0, len(grids), BATCH_MAPS):
            batch = grids[start : start + BATCH_MAPS]
            yield [f"{path}#{start + number}" for number in range(len(batch))], bin_dies(batch)
        return
    maps: list[WaferMap] = []
    for item in iter_maps([path]):
        if isinstance(item, WaferMap):
            maps.append(item)
        if len(maps) == BATCH_MAPS:
            yield _binned(maps)
            maps = []
    if maps:
        yield _binned(maps)


def _holds_dies(path: Path) -> bool:
    if path.suffix != ".npz":
        return False
    with np.load(path, allow_pickle=False) as stored:
        return "shapes" in stored.files


def _binned(maps: list[WaferMap]) -> tuple[list[str], NDArray[np.uint8]]:
    names = [f"{wafer.source}#{wafer.position}" for wafer in maps]
    return names, bin_defects([wafer.defects for wafer in maps], [wafer.diameter_mm for wafer in maps])


def classify(path: Path, model: nn.Module, labels: list[str], out: Path) -> int:
    """Read, bin, classify, and write a row (name, class, probability) per map; returns the number of maps."""
    total = 0
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["map", "class", "probability"])
        for names, images in images_of(path):
            chances = probabilities(model, images)
            best = chances.argmax(1)
            sure = chances.max(1)
            table.writerows(
                (name, labels[place], float(value))
                for name, place, value in zip(names, best.tolist(), sure.tolist(), strict=True)
            )
            total += len(names)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wafer.peer", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model, labels = load(given.weights)
    classify(given.path, model, labels, given.out)


if __name__ == "__main__":
    main()

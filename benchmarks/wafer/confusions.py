"""`python -m benchmarks.wafer.confusions --json FILE [--sheet PNG]`: what a model confuses.

Confident learning (Northcutt, Jiang and Chuang, Journal of Artificial Intelligence Research 70, 2021) on maps
that trained nothing: a map counts as labelled wrong where the model is as sure of another class as it is, on
average, on the maps that carry that class's label. The sheet shows the surest confusions, pair by pair, to be
judged by eye.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.wafer import wm811k
from benchmarks.wafer.wm811k import DieMaps, add_data_option, check_data

BATCH = 1024
SIDE, HEAD, EDGE = 110, 18, 4  # pixels of a picture, of the line above it, of the border
PAIRS, COLUMNS = 14, 10


def confident_joint(truth: NDArray[np.int64], probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many maps (K, K) that are labelled as the row are confidently of the column.

    truth (N,): labels as places among the K classes. probability (N, K): of maps that trained nothing. A map
    is confidently of a class if its probability is at least the mean of that among the maps labelled so; of
    several such classes it is of the most probable. None is confidently of a class that no map is labelled.
    """
    count = probability.shape[1]
    bounds = np.full(count, np.inf)
    for number in np.unique(truth):
        bounds[number] = probability[truth == number, number].mean()
    sure = np.where(probability >= bounds, probability, -1.0)
    some = sure.max(axis=1) >= 0
    joint = np.zeros((count, count), dtype=np.int64)
    np.add.at(joint, (truth[some], sure[some].argmax(axis=1)), 1)
    return joint


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a model with K classes, `labels`, says of N maps.

    truth (N,): their labels as places among the classes. probability: (N, K).
    """

    labels: list[str]
    truth: NDArray[np.int64]
    probability: NDArray[np.float64]


def measure(maps: DieMaps, model: str) -> tuple[dict[str, Any], Said]:
    """The report, and what it is made from."""
    from benchmarks.wafer_openset.networks import as_map
    from pipelines.common.hardware import environment, suite_version
    from pipelines.common.models import find_model
    from pipelines.wafer.model.trained import TASK, load_trained

    trained = load_trained(find_model(TASK, model))
    labels = list(trained.labels)
    unknown = sorted(set(maps.labels.tolist()) - set(labels))
    if unknown:
        raise ValueError(f"the model {model} does not know the classes {', '.join(unknown)} of the data")
    truth = np.array([labels.index(name) for name in maps.labels])
    parts = [
        trained.run([as_map(grid) for grid in maps.grids[start : start + BATCH]])[0]
        for start in range(0, len(maps.grids), BATCH)
    ]
    probability = np.concatenate(parts)
    joint = confident_joint(truth, probability)
    guess = probability.argmax(axis=1)
    confusion = np.zeros_like(joint)
    np.add.at(confusion, (truth, guess), 1)
    off = ~np.eye(len(labels), dtype=bool)
    rows = [
        {"label": labels[a], "class": labels[b], "maps": int(confusion[a, b]), "confident": int(joint[a, b])}
        for a, b in sorted(
            np.argwhere(off & (confusion > 0)).tolist(), key=lambda pair: -confusion[tuple(pair)]
        )
    ]
    summary = {
        "maps": len(truth),
        "confused": int((truth != guess).sum()),
        "confidently_mislabelled": int(joint[off].sum()),
        "share_confidently_mislabelled": float(joint[off].sum() / joint.sum()),
    }
    about = {**environment(), "suite": suite_version(), "model": trained.sha256}
    return {"environment": about, "rows": rows, "summary": summary}, Said(labels, truth, probability)


def sheet(maps: DieMaps, said: Said) -> NDArray[np.uint8]:
    """A picture: a row for each of the most frequent confusions, the surest maps first."""
    labels, truth = said.labels, said.truth
    guess, top = said.probability.argmax(axis=1), said.probability.max(axis=1)
    wrong = np.flatnonzero(truth != guess)
    if not len(wrong):
        return np.zeros((HEAD + SIDE + EDGE, COLUMNS * (SIDE + 2 * EDGE)), np.uint8)
    pairs, sizes = np.unique(np.stack([truth[wrong], guess[wrong]]), axis=1, return_counts=True)
    rows = []
    for label, found in pairs[:, np.argsort(-sizes, kind="stable")[:PAIRS]].T:
        own = wrong[(truth[wrong] == label) & (guess[wrong] == found)]
        own = own[np.argsort(-top[own])][:COLUMNS]
        text = f"{labels[label][:7]}>{labels[found][:7]}"
        tiles = [_tile(maps.grids[row], f"{text} {top[row]:.2f}") for row in own]
        tiles += [np.zeros((HEAD + SIDE + EDGE, SIDE + 2 * EDGE), np.uint8)] * (COLUMNS - len(tiles))
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


def _tile(grid: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    picture = cv2.resize(grid * np.uint8(127), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    framed = cv2.copyMakeBorder(picture, HEAD, EDGE, EDGE, EDGE, cv2.BORDER_CONSTANT, value=[30])
    cv2.putText(framed, text, (3, HEAD - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.36, [255], 1)
    return framed.astype(np.uint8)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wafer.confusions", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--sheet", type=Path, metavar="PNG", help="where the picture goes; without it none is made"
    )
    parser.add_argument("--model", default="wm811k", help="a model for die results (default wm811k)")
    add_data_option(parser)
    given = parser.parse_args(arguments)
    check_data(parser, given.data)
    maps = wm811k.load(given.data / "val.npz")
    try:
        report, said = measure(maps, given.model)
    except ValueError as error:
        parser.error(str(error))
    given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report["summary"], indent=2))
    if given.sheet:
        cv2.imwrite(str(given.sheet), sheet(maps, said))


if __name__ == "__main__":
    main()

"""`python -m benchmarks.wafer_openset.study --json FILE`: what lifts the recognition of unknown classes.

A reduced protocol: few maps, few epochs, one seed, three splits. It tells variants apart, not how good they
become; `python -m benchmarks.wafer_openset` measures that.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.cache import cache_folder, fingerprint
from benchmarks.common import Row, Section, Sections, print_report
from benchmarks.wafer import wm811k
from benchmarks.wafer_openset.candidates import candidates
from benchmarks.wafer_openset.judge import judge
from benchmarks.wafer_openset.networks import Say, key
from benchmarks.wafer_openset.outputs import Outputs, outputs_of, restore, store
from benchmarks.wafer_openset.run import answers_of, log
from benchmarks.wafer_openset.splits import Split, make_split, split_name
from benchmarks.wafer_openset.variants import VARIANTS, Variant, outlier_source, train

SPLITS = (("Donut", "Scratch"), ("Center",), ("Edge-Loc",))
OUTLIERS = 600
MAPS = 4_000
EPOCHS = 6
FIGURES = ("auroc", "aupr", "fpr_at_95_tpr", "found")


def outputs(
    files: tuple[wm811k.DieMaps, wm811k.DieMaps],
    split: Split,
    variant: Variant,
    cache: Path,
    *,
    epochs: int,
    say: Say,
) -> Outputs:
    """What the network of a variant says of all sets, trained unless the cache holds it.

    Beside the sets of the split: `outliers`, half of them synthetic patterns on held-out maps, half two
    held-out maps in one, to weigh scores by without any map of a class that is left out.
    """
    grids = [files[0].grids[i] for i in split.train]
    path = cache / f"study-{key({**asdict(variant), 'epochs': epochs}, split, grids)}.outputs.safetensors"
    if path.exists():
        return restore(path)
    say(f"{variant.name}, without {split.name}, seed {split.seed}")
    network = train(
        grids, split.classes(files[0].labels[split.train]), split, variant, epochs=epochs, say=say
    )
    held = [files[0].grids[i] for i in split.held]
    draw = outlier_source(held, split.classes(files[0].labels[split.held]), split, "both")
    rng = np.random.default_rng([split.seed, 17])
    found = outputs_of(
        network,
        {
            "train": grids,
            "held": held,
            "known": [files[1].grids[i] for i in split.known],
            "novel": [files[1].grids[i] for i in split.novel],
            "outliers": [draw(rng) for _ in range(OUTLIERS)],
        },
    )
    store(path, found)
    return found


def measure(
    files: tuple[wm811k.DieMaps, wm811k.DieMaps],
    variant: Variant,
    split: Split,
    cache: Path,
    *,
    epochs: int,
    say: Say,
) -> Section:
    """Every score of a variant's network on one split."""
    found = outputs(files, split, variant, cache, epochs=epochs, say=say)
    answers = answers_of(found, split, files[1].labels)
    classes = split.classes(files[0].labels[split.train])
    rows: list[Row] = [
        {
            "variant": variant.name,
            "left_out": split.name,
            "score": name,
            **judge(score("held"), score("known"), score("novel"), answers),
        }
        for name, score in candidates(found, classes, split.seed).items()
    ]
    return Section(rows, {})


def means(rows: Sequence[Row]) -> Section:
    """The mean over splits of each figure, by variant and score, the best AUROC first; and AUROC by split."""
    table: list[Row] = []
    for variant, score in dict.fromkeys((row["variant"], row["score"]) for row in rows):
        own = [row for row in rows if (row["variant"], row["score"]) == (variant, score)]
        line: Row = {"variant": variant, "score": score}
        line |= {figure: float(np.mean([row[figure] for row in own])) for figure in FIGURES}
        line |= {f"auroc {row['left_out']}": row["auroc"] for row in own}
        table.append(line)
    table.sort(key=lambda line: -line["auroc"])
    return Section(table, {})


def main(arguments: list[str] | None = None) -> None:
    names = [variant.name for variant in VARIANTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wafer_openset.study", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--data", type=Path, default=wm811k.DEFAULT_FOLDER, metavar="DIR")
    parser.add_argument("--variants", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--maps", type=int, default=MAPS, help=f"training maps (default {MAPS})")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"default {EPOCHS}")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cache = cache_folder("wafer_openset")
    files = wm811k.load(given.data / "train.npz"), wm811k.load(given.data / "val.npz")
    settings = {
        "data": fingerprint(given.data / "train.npz"),
        "maps": given.maps,
        "epochs": given.epochs,
        "seed": given.seed,
    }
    sections = Sections(given.json, settings, say=partial(log, cache / "study.log"))
    rows: list[Row] = []
    for variant in (each for each in VARIANTS if each.name in given.variants):
        for left_out in SPLITS:
            split = make_split(files[0].labels, files[1].labels, left_out, seed=given.seed, maps=given.maps)
            one = partial(measure, files, variant, split, cache, epochs=given.epochs, say=sections.say)
            rows += sections.run(f"{variant.name}, without {split_name(left_out)}", one).rows
    sections.done.pop("means", None)
    sections.run("means", partial(means, rows))
    print_report(sections.finish())


if __name__ == "__main__":
    # The engine takes its number of threads from here, once, when a network is first built.
    os.environ["OMP_NUM_THREADS"] = "1"
    main()

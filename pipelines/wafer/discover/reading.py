"""The classified maps of runs with their latents, and the training maps that their models carry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError
from pipelines.wafer.discover.found import Map
from pipelines.wafer.examples import Examples, folder_of, read_examples
from pipelines.wafer.latents import Vector, read_latents
from pipelines.wafer.past import PastRun, Row, distinct_rows, timestamp


def read_maps(runs: Sequence[PastRun], notes: list[str]) -> tuple[list[Map], list[Vector], int]:
    """The maps that have a latent, their latents, and how many maps were classified in all.

    Raises UserError if there are novel maps, and none of them has a latent.
    """
    latents = [read_latents(run.path) for run in runs]
    maps: list[Map] = []
    vectors: list[Vector] = []
    widths: dict[str, int] = {}
    missing = count = 0
    for number, place, row in distinct_rows(runs):
        if row["status"] != "ok" or not row["decision"]:
            continue
        count += 1
        item, vector = latents[number].get((row["source"], int(row["map"])), ("", None))
        model = runs[number].space(row)
        if vector is None or item != row.get("item") or widths.setdefault(model, len(vector)) != len(vector):
            missing += row["decision"] == "novel"
            continue
        maps.append(_map(number, place, row, model))
        vectors.append(vector)
    if missing and not any(each.novel for each in maps):
        raise UserError(
            f"none of the {missing:,} novel maps has a latent beside it; classify them again"
            " with this version of the suite"
        )
    if missing:
        noun = "novel map has" if missing == 1 else "novel maps have"
        notes.append(f"{missing:,} {noun} no latent and cannot be clustered")
    return maps, vectors, count


def training_maps(runs: Sequence[PastRun], model: str) -> tuple[Examples, list[str]] | None:
    """The examples of the model `name@hash` and its labels, if the model is still where it was, and the same.

    Latents of another model would not compare.
    """
    name, _, sha256 = model.partition("@")
    given = (run.record.get("model_folder") for run in runs)
    folder = folder_of(name, sha256, [Path(one) for one in given if one])
    try:
        examples = read_examples(folder) if folder else None
    except ModelError:
        return None  # what cannot be read is as good as gone: the runs' own maps are shown instead
    return (examples, _labels(runs, sha256)) if examples else None


def _labels(runs: Sequence[PastRun], sha256: str) -> list[str]:
    models = [one for run in runs for one in run.record["model"]["models"].values()]
    return next(list(one["labels"]) for one in models if one.get("sha256") == sha256)


def _map(number: int, place: int, row: Row, model: str) -> Map:
    return Map(
        run=number,
        place=place,
        source=row["source"],
        map=int(row["map"]),
        item=row["item"],
        lot=row["lot"],
        wafer=row.get("wafer") or "",
        step=row["step"],
        tool=row["tool"],
        time=timestamp(row),
        label=row["class"],
        novel=row["decision"] == "novel",
        model=model,
    )

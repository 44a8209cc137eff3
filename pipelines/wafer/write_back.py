"""The results of a run as KLARF, for the systems that the maps came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import UserError
from pipelines.common.runs import ROWS
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.data import WaferMap, iter_maps
from pipelines.wafer.data.klarf import write


@dataclass(frozen=True, slots=True)
class Result:
    """What was found on one wafer."""

    label: str
    decision: str
    probability: float


def write_back(run: Path, paths: Sequence[Path], file: Path, config: ClassifyConfig) -> int:
    """Write every classified map of the finished run `run` to the new KLARF 1.2 file `file`.

    The maps are read again from `paths`, the inputs of the run, as its `config` says, and all are held in
    memory at once, as the one file holds them all. Returns how many there are; raises UserError if `file`
    exists or there are none.
    """
    results = dict(_results(run))
    maps: dict[tuple[str, int], WaferMap] = {}
    for item in iter_maps(paths, assumed_diameter_mm=config.diameter_mm, limits=config.limits):
        if isinstance(item, WaferMap) and (str(item.source), item.position) in results:
            maps[str(item.source), item.position] = item
    if not maps:
        raise UserError(f"no map was classified, so {file} is not written")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(list(maps.values()), file, classes=[results[key] for key in maps])
    except FileExistsError:
        raise UserError(f"{file} exists; results are written to a new file only") from None
    return len(maps)


def _results(run: Path) -> Iterator[tuple[tuple[str, int], Result]]:
    with (run / ROWS).open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["status"] == "ok" and row["decision"]:  # else it was read but has no positions
                found = Result(row["class"], row["decision"], row["probability"] or 0.0)
                yield (row["source"], row["map"]), found

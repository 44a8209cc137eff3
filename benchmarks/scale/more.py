"""More workers than this machine has cores for, by simulation from measured constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.common import Row, Section

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of a core per map. first: what only the first process does for each map of a local run, that is
    to find, take over and append it; driver: the same on a cluster, with Ray's own work."""

    read: float
    model: float
    first: float
    driver: float

    @classmethod
    def of(cls, parts: Mapping[str, float], ray_us: float) -> Costs:
        """From the summary of `parts.measure`. ray_us: microseconds of Ray in the driver for each map."""
        us = {name: value / 1e6 for name, value in parts.items() if name.startswith("us_")}
        before = us["us_find_files"] + us["us_append_rows"]
        return cls(
            us["us_read"],
            us["us_model_and_rows"],
            before + us["us_hand_to_another_process"],
            before + ray_us / 1e6,
        )


def local_rate(costs: Costs, readers: int) -> float:
    """Maps per second of one model with so many processes that read, each with a core; 0 reads in between.

    A steady pipeline is as fast as its slowest stage; the model and what the first process does besides are
    one stage.
    """
    here = costs.model + costs.first
    return 1 / max(here, costs.read / readers) if readers else 1 / (here + costs.read)


def ray_rate(costs: Costs, actors: int) -> float:
    """Maps per second of so many actors, each with a core, and one driver."""
    return 1 / max((costs.read + costs.model) / actors, costs.driver)


def simulate(costs: Costs) -> Section:
    """Both rates for more and more workers, and where each stops to grow."""
    rows: list[Row] = [
        {
            "workers": number,
            "local_maps_per_second": local_rate(costs, number),
            "ray_maps_per_second": ray_rate(costs, number),
        }
        for number in WORKERS
    ]
    summary = {
        "simulated_actors_at_the_drivers_limit": (costs.read + costs.model) / costs.driver,
        "simulated_maps_per_second_at_the_drivers_limit": 1 / costs.driver,
        "simulated_readers_for_one_model": costs.read / (costs.model + costs.first),
    }
    return Section(rows, summary)

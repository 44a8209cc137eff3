"""The same work on a Ray cluster: order, errors, actors that die."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.errors import UserError
from pipelines.common.runner import IN_PROCESS, Runner, on_ray, run
from tests.pipelines.common.runner.toys import HAS_A_BUG, KILLS, REFUSES, Doubling, work

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]
TWO = Runner("ray", 2)


def results(items: list[int], **options: Any) -> list[tuple[int, int, int]]:
    return list(run(work(**options), items, Doubling(), TWO))


@pytest.mark.parametrize("block", [1, 4])
def test_results_are_those_of_the_local_runner(block: int) -> None:
    items = [3, 0, 1, 5, 2, 2, 4, 1, 0, 7]
    local = run(work(), items, Doubling(), IN_PROCESS)
    found = results(items, block=block)
    assert [one[:2] for one in found] == [one[:2] for one in local]
    assert os.getpid() not in {one[2] for one in found}


def test_no_item_gives_nothing() -> None:
    assert results([]) == []


def test_an_item_that_kills_its_actor_is_lost_alone() -> None:
    items = [2, 1, KILLS, 2, 1, 3, 1, KILLS]
    found = results(items, block=2)
    assert sorted(one[:2] for one in found) == sorted(
        (i, 2 * p) for i in items for p in (range(i) if i > 0 else [0])
    )
    assert [one[0] for one in found if one[2] == 0] == [KILLS] * 2


def test_a_model_that_dies_of_an_item_loses_that_item() -> None:
    found = list(run(work(kills=4), [2, 4, 1], Doubling(), TWO))
    assert [one for one in found if one[2] == 0] == [(4, 0, 0)]
    assert sorted({one[0] for one in found}) == [1, 2, 4]


WITH_A_GPU = """
import logging, os
from dataclasses import replace
from pipelines.common.runner import Runner, on_ray, run
os.environ.update(on_ray.SETTINGS)
import ray
from tests.pipelines.common.runner.toys import KILLS, Doubling, work

ray.init("local", num_cpus=2, num_gpus=1, object_store_memory=on_ray.STORE_BYTES,
         include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
found = run(replace(work(), device="auto"), [2, KILLS, 3], Doubling(), Runner("ray"))
print(sorted(one[0] for one in found))
"""


def test_each_actor_has_a_gpu_of_its_own_where_there_are_some(project_root: Path) -> None:
    """Ray takes our word for the GPU. In a process of its own, as this one has a cluster without."""
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_GPU], cwd=project_root, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines()[-1:] == [str(sorted([2, 2, KILLS, 3, 3, 3]))], done.stderr


def test_an_error_for_the_user_arrives_as_it_is() -> None:
    with pytest.raises(UserError, match=r"^this item has changed$"):
        results([1, REFUSES, 1])


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="there is a bug"):
        results([1, HAS_A_BUG])


def test_a_model_that_cannot_be_loaded_ends_the_run() -> None:
    with pytest.raises(RuntimeError, match="unexpected keyword argument 'colour'"):
        results([1, 2], colour="red")


def test_items_are_not_computed_by_more_actors_than_asked_for() -> None:
    found = list(run(work(pause=0.05), [1] * 12, Doubling(), Runner("ray", 1)))
    assert len({one[2] for one in found}) == 1


def test_nothing_is_reported_to_anybody() -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_ray_that_is_not_installed_is_said_with_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs Ray: pip install 'sparse-suite\[ray\]'"):
        results([1])

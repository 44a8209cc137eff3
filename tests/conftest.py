"""Fixtures that every test may use."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parents[1]
NEED_RAY = ("test_ray.py", "test_runners.py")


class FilesTogether(LoadFileScheduling):
    """Tests of a file run in one process, as they share what is costly to set up; those that
    need Ray share a cluster."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "ray" if file.endswith(NEED_RAY) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesTogether:
    config.option.loadscopereorder = False  # files of few tests would come last: the slow ones
    return FilesTogether(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, those with Ray before them, so that no process is left with one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not item.path.name.endswith(NEED_RAY), item.path not in slow))


@pytest.fixture(scope="session", autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests, and the processes that they kill, leave among temporary files is gone in the end."""
    tmp_path_factory.getbasetemp()  # stays where pytest puts it, as it is looked at after a failure
    with (
        tempfile.TemporaryDirectory(prefix="suite-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def project_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout. CI must have it; elsewhere the test is skipped."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} is missing, and CI is meant to have it")
        pytest.skip(f"the real data is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A cluster of two cores on this machine, which takes some seconds to start. CI must have Ray."""
    from pipelines.common.runner import on_ray

    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    with on_ray.cluster(cores=2):
        yield

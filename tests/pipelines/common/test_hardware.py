from __future__ import annotations

import json
import platform

import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, package_version, resolve_device


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda:-1", "cpu:0"])
def test_an_unknown_device_says_what_is_allowed(name: str) -> None:
    with pytest.raises(UserError, match="auto, cpu, cuda or cuda:N"):
        resolve_device(name)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="torch sees no GPU"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UserError, match="the last GPU is cuda:1"):
        resolve_device("cuda:2")


def test_the_environment_names_versions_and_is_json() -> None:
    about = environment()
    assert about["python"] == platform.python_version()
    assert about["torch"] == package_version("torch")
    assert about["cores"] >= 1  # type: ignore[operator]
    assert json.loads(json.dumps(about)) == about
    assert package_version("there-is-no-such-package") is None

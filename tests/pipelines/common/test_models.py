from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pipelines.common import models
from pipelines.common.models import ModelError, find_model, load_model, read_config, save_model


def save(folder: Path, *, overwrite: bool = False, value: float = 1.0) -> None:
    weight = torch.full((2, 3), value)
    save_model(
        folder,
        tensors={"weight": weight, "tied": weight, "view": torch.arange(6).reshape(2, 3).T},
        config={"task": "wafer", "labels": ["a", "b"]},
        metrics={"accuracy": 0.5},
        card="# A model\n",
        overwrite=overwrite,
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "deep" / "model")
    model = load_model(tmp_path / "deep" / "model", task="wafer")
    assert model.name == "model"
    assert model.config == {"schema_version": 1, "task": "wafer", "labels": ["a", "b"]}
    assert model.metrics == {"accuracy": 0.5}
    assert torch.equal(model.tensors["tied"], torch.ones(2, 3))
    assert torch.equal(model.tensors["view"], torch.arange(6).reshape(2, 3).T)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]


def test_the_hash_follows_the_weights_and_the_config(tmp_path: Path) -> None:
    save(tmp_path / "a")
    save(tmp_path / "b")
    save(tmp_path / "c", value=2.0)
    hashes = [load_model(tmp_path / name, task="wafer").sha256 for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    (tmp_path / "b" / "config.json").write_text(json.dumps(config | {"threshold": 2}))
    assert load_model(tmp_path / "b", task="wafer").sha256 != hashes[1]


def test_an_existing_model_is_replaced_only_when_asked(tmp_path: Path) -> None:
    save(tmp_path / "model")
    with pytest.raises(ModelError, match="--overwrite"):
        save(tmp_path / "model")
    save(tmp_path / "model", overwrite=True, value=3.0)
    assert load_model(tmp_path / "model", task="wafer").tensors["weight"][0, 0] == 3.0
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_is_no_model_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    with pytest.raises(ModelError, match="not a model folder"):
        save(tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter").read_text() == "years of work"


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save_model(tmp_path / "m", tensors={}, config={"task": "wafer", "x": object()}, metrics={}, card="")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", None, "no config.json"),
        ("config.json", b"{", "cannot be read"),
        ("config.json", b"[]", "JSON object"),
        ("config.json", b"\xff\xfe", "cannot be read"),
        ("config.json", b'{"task": "wafer"}', "schema_version"),
        ("config.json", b'{"task": "wafer", "schema_version": "1"}', "whole number"),
        ("config.json", b'{"task": "wafer", "schema_version": 2}', "newer than this suite reads"),
        ("config.json", b'{"task": "crowd", "schema_version": 1}', "for the task 'crowd'"),
        ("model.safetensors", None, "no model.safetensors"),
        ("model.safetensors", b"", "cannot be read"),
        ("model.safetensors", b"\x80\x04N.", "cannot be read"),
        ("metrics.json", b"nonsense", "cannot be read"),
    ],
)
def test_a_broken_model_folder_is_explained(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    save(tmp_path / "model")
    path = tmp_path / "model" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=says):
        load_model(tmp_path / "model", task="wafer")


def test_no_such_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model folder"):
        load_model(tmp_path / "nothing", task="wafer")


def test_models_are_found_by_name_and_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_PIPELINES", tmp_path)
    save(tmp_path / "wafer" / "models" / "bundled")
    save(tmp_path / "mine")
    assert find_model("wafer", "bundled") == tmp_path / "wafer" / "models" / "bundled"
    assert find_model("wafer", str(tmp_path / "mine")) == tmp_path / "mine"
    with pytest.raises(ModelError, match=r"'bundles'.*\(bundled\)"):
        find_model("wafer", "bundles")
    assert models.bundled_models("crowd") == []


def test_a_config_of_endless_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"schema_version": 1, "task": "wafer"}')
    monkeypatch.setattr(models, "MAX_JSON_BYTES", 10)
    with pytest.raises(ModelError, match="larger than the config of a model can be"):
        read_config(tmp_path, task="wafer")

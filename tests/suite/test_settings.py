from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.common.errors import UserError
from pipelines.wafer.config import ClassifyConfig
from suite.settings import resolve


def test_options_win_over_sets_and_sets_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("seed: 1\nbatch_maps: 8\ndiameter_mm: 150\nfalse_alarm_rate: 1e-3\n")
    config = resolve(
        ClassifyConfig, file, ["batch_maps=16", "diameter_mm=200"], {"diameter_mm": 300, "seed": None}
    )
    assert (config.seed, config.batch_maps, config.diameter_mm) == (1, 16, 300)
    assert config.false_alarm_rate == 0.001


def test_a_config_may_be_json_and_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"alarm_on": ["novel"]}')
    assert resolve(ClassifyConfig, tmp_path / "a.json", (), {}).alarm_on == ("novel",)
    (tmp_path / "b.yaml").write_text("# nothing yet\n")
    assert resolve(ClassifyConfig, tmp_path / "b.yaml", (), {}) == ClassifyConfig()


@pytest.mark.parametrize("text", ["alarm_on=novel", "alarm_on=[novel]"])
def test_a_list_of_one_needs_no_brackets(text: str) -> None:
    assert resolve(ClassifyConfig, None, [text], {}).alarm_on == ("novel",)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (
            ["false_alarm_rat=0.1"],
            r"no field false_alarm_rat: did you mean false_alarm_rate\? allowed are model, eng",
        ),
        (["x.y=1"], "there is no field x: allowed are"),
        (["false_alarm_rate=2"], "false_alarm_rate: should be less than 1, not 2"),
        (["engine=cuda"], "engine: should be 'auto', 'native' or 'minkowski', not 'cuda'"),
        (["batch_maps=many"], "batch_maps: should be a valid integer.*not 'many'"),
        (["device=gpu"], "device: .*not 'gpu'"),
        (["seed"], "key=value, not 'seed'"),
        (["=1"], "key=value"),
        (["seed=1", "seed.deep=2"], "seed is no group"),
        (["seed=-1", "diameter_mm=0"], "seed: .*\ndiameter_mm: "),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(sets: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        resolve(ClassifyConfig, None, sets, {})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"- a\n- b\n", "must hold fields and values"),
        (b"just text", "must hold fields and values"),
        (b"a: [1, 2", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"!!python/object/apply:os.system ['true']", "cannot be read"),
        (b"x" * 1_000_001, "larger than a config file can be"),
    ],
)
def test_a_bad_config_file_is_explained(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=says):
        resolve(ClassifyConfig, tmp_path / "config.yaml", (), {})


def test_a_config_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        resolve(ClassifyConfig, tmp_path / "nothing.yaml", (), {})

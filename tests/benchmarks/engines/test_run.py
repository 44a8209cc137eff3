"""The whole benchmark on next to nothing: its sections, its JSON, and how it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.common import Section
from benchmarks.engines import memory, networks
from benchmarks.engines import run as benchmark
from benchmarks.engines.__main__ import main
from benchmarks.engines.cases import NETWORK, OPERATIONS, Layer
from benchmarks.engines.rounds import TooSlow
from benchmarks.engines.workloads import Workload, drawn
from sparse_backbones import engines

TINY = {"box": Workload(3, lambda data, quick: drawn(36, 3, 60))}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    network = networks.Network("box", lambda e, d, q: networks.unet(e, "box", d, quick=q, variant="14"))
    for module in (benchmark, networks):
        monkeypatch.setattr(module, "WORKLOADS", TINY)
    monkeypatch.setattr(benchmark, "NETWORKS", {"unet": network})
    monkeypatch.setattr(benchmark, "QUICK_SPARE", 0.0)
    monkeypatch.setattr(memory, "measure", lambda engine, *given, **more: 3 * 2**20)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def settings(folder: Path, **given: object) -> benchmark.Settings:
    plain = {"quick": True, "threads": 1, "rounds": 1, "channels": (2, 3), "engines": ("native",)}
    return benchmark.Settings(folder, folder / "figures.json", **{**plain, **given})  # type: ignore[arg-type]


def test_one_run_reports_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = benchmark.run(settings(tmp_path))
    assert json.loads((tmp_path / "figures.json").read_text()) == report
    assert not (tmp_path / "figures.json.partial").exists()
    rows = report["rows"]
    assert {row["operation"] for row in rows} == set(OPERATIONS)
    cached = [(row["case"], row["operation"], row["engine"]) for row in rows if row["operation"] == "forward"]
    cases = [f"box_{layer}" for layer in ("k3_c2", "k3_c3", "k5_c2", "k5_c3")]
    assert cached == [(case, "forward", name) for case in cases for name in ("native", "floor")]
    timed = [row for row in rows if row["operation"] != "memory"]
    assert all(0 < row["seconds_min"] <= row["seconds"] <= row["seconds_max"] for row in timed)
    assert {row["peak_mib"] for row in rows if row["operation"] == "memory"} == {3}
    assert {row["over_native"] for row in rows if row["engine"] == "native"} == {1}
    steps = [row["operation"] for row in rows if row["case"] == "unet"]
    assert steps == list(NETWORK)
    # A network's memory is not that of a quick run.
    assert [row["of"] for row in rows if row["operation"] == "memory"] == ["forward_backward"]
    summary = report["summary"]
    assert {f"{case}_{operation}_native_over_floor" for case in cases for operation in ("forward",)} <= set(
        summary
    )
    assert summary["forward_native_over_floor"] > 0
    assert "| box | k3 | forward |" in capsys.readouterr().out


def test_both_engines_are_compared(tmp_path: Path) -> None:
    try:
        report = benchmark.run(settings(tmp_path, engines=("native", "minkowski"), channels=(2,)))
    except ImportError as error:
        pytest.skip(str(error))
    summary = report["summary"]
    wanted = {f"{name}_native_over_minkowski" for name in (*OPERATIONS, "networks") if name != "memory"}
    assert {*wanted, "memory_minkowski_over_native", "box_k3_c1_map_native_over_minkowski"} <= set(summary)
    apart = [row["disagreement"] for row in report["rows"] if "disagreement" in row]
    assert apart and all(value < 1e-4 for value in apart)


def test_a_part_may_be_chosen(tmp_path: Path) -> None:
    chosen = settings(tmp_path, only=("unet",), operations=("forward", "inference"))
    assert {row["operation"] for row in benchmark.run(chosen)["rows"]} == {"inference"}
    chosen = settings(tmp_path, only=("box",), operations=("forward", "inference"))
    assert {row["operation"] for row in benchmark.run(chosen)["rows"]} == {"forward"}


def test_a_run_that_broke_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    cached, network = benchmark.Measure.cached, benchmark.Measure.network

    def note(self: benchmark.Measure, workload: str, layer: Layer) -> Section:
        made.append(layer.name)
        return cached(self, workload, layer)

    def fail(*given: object) -> Section:
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark.Measure, "cached", note)
    monkeypatch.setattr(benchmark.Measure, "network", fail)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run(settings(tmp_path))
    assert len(made) == 4
    monkeypatch.setattr(benchmark.Measure, "network", network)
    report = benchmark.run(settings(tmp_path))
    assert len(made) == 4
    assert {row["operation"] for row in report["rows"]} == set(OPERATIONS)


def test_what_is_too_large_or_too_slow_is_said_to_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*given: object, **more: object) -> None:
        raise TooSlow("native takes 99 s a call")

    monkeypatch.setattr(benchmark, "MOST_GFLOP", 0.0)
    monkeypatch.setattr(benchmark, "in_rounds", slow)
    rows = benchmark.run(settings(tmp_path, operations=("map", "forward")))["rows"]
    assert {row["case"]: row["left_out"] for row in rows} == {
        **{f"box_k{kernel}_c1": "native takes 99 s a call" for kernel in (3, 5)},
        **{f"box_k{k}_c{c}": "0 GFLOP forward, more than 0" for k in (3, 5) for c in (2, 3)},
    }


def test_a_network_that_computes_something_else_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = networks.Run.result
    answers = iter([0.0, 0.01])

    def result(self: networks.Run) -> tuple[torch.Tensor, torch.Tensor]:
        scores, loss = whole(self)
        return scores, loss * (1 + next(answers))

    monkeypatch.setattr(networks.Run, "result", result)
    monkeypatch.setattr(benchmark, "load", lambda name: engines.load("native"))
    chosen = settings(tmp_path, engines=("native", "other"), operations=("inference",))
    with pytest.raises(benchmark.Disagreement, match="other on unet"):
        benchmark.run(chosen)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--threads", "0"], "at least 1"),
        (["--rounds", "0"], "at least 1"),
        (["--channels", "16", "0"], "at least 1"),
        (["--only", "4d_void"], "3d_random"),
        (["--operations", "dance"], "dance"),
        (["--markdown"], "measure first"),
    ],
)
def test_wrong_options_are_told(
    extra: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.engines.__main__.package_version", lambda name: "0.5.4")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit) as stopped:
        main(["--json", str(tmp_path / "figures.json"), *extra])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_without_minkowskiengine_there_is_nothing_to_compare(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.engines.__main__.package_version", lambda name: None)
    with pytest.raises(SystemExit):
        main(["--json", "figures.json"])
    assert "scripts/install" in capsys.readouterr().err


def test_tables_are_printed_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.run(settings(tmp_path, operations=("forward",)))
    printed = capsys.readouterr().out
    main(["--markdown", "--json", str(tmp_path / "figures.json")])
    assert capsys.readouterr().out == printed != ""

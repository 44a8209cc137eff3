"""The compiled kernels: their blocks against lists of pairs, their sums against sums pair by pair."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sparse_backbones.engines.native import compiled
from sparse_backbones.engines.native.compiled import Blocks
from tests.sparse_backbones.engines.conftest import need_compiled

Pairs = list[tuple[int, int, int]]


@pytest.fixture(scope="module", autouse=True)
def arithmetic() -> None:
    """These tests are of the compiled kernels alone."""
    need_compiled()


@pytest.fixture(params=compiled.INSTRUCTIONS)
def instructions(request: pytest.FixtureRequest) -> Iterator[str]:
    before = compiled.instructions()
    if compiled.use_instructions(request.param) != request.param:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    compiled.use_instructions(before)


def random_pairs(n_in: int, n_out: int, volume: int, each: int) -> tuple[Tensor, Tensor, list[int]]:
    """Pairs sorted by offset; `each` at most for one offset, some offsets without any."""
    rows_in, rows_out, counts = [], [], []
    for offset in range(volume):
        count = 0 if offset % 5 == 1 else min(each, n_out)
        rows_out.append(torch.randperm(n_out)[:count])
        rows_in.append(torch.randint(n_in, (count,)))
        counts.append(count)
    return torch.cat(rows_in), torch.cat(rows_out), counts


def listed(rows_in: Tensor, rows_out: Tensor, counts: list[int]) -> Pairs:
    offsets = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return sorted(zip(offsets.tolist(), rows_in.tolist(), rows_out.tolist(), strict=True))


def one_by_one(features: Tensor, kernel: Tensor, pairs: Pairs, n_out: int) -> Tensor:
    result = features.new_zeros(n_out, kernel.shape[2])
    for offset, row_in, row_out in pairs:
        result[row_out] += features[row_in] @ kernel[offset]
    return result


@pytest.mark.parametrize("n_out", [0, 1, 31, 33, 700, 9000])
@pytest.mark.parametrize("volume", [1, 9])
def test_blocks_hold_what_the_lists_hold(n_out: int, volume: int) -> None:
    lists = random_pairs(50, n_out, volume, 200)
    blocks = compiled.group(*lists, n_out)
    assert blocks.places.numel() == 0 or int(blocks.places.max()) < blocks.block
    assert listed(*blocks.lists()) == listed(*lists)


def test_mirrored_blocks_have_their_offsets_the_other_way_round() -> None:
    lists = random_pairs(50, 80, 9, 40)
    blocks = compiled.group(*lists, 80)
    mirrored = Blocks(80, 9, blocks.block, blocks.starts, blocks.rows_in, blocks.places, mirrored=True)
    assert listed(*mirrored.lists()) == sorted((8 - k, i, o) for k, i, o in listed(*lists))


def test_blocks_in_row_order() -> None:
    lists = random_pairs(900, 700, 9, 300)
    order = torch.randperm(700).int()
    blocks = replace(compiled.group(*lists, 700), order=order)
    reordered = blocks.in_row_order()
    assert reordered.order is None
    assert listed(*reordered.lists()) == listed(*blocks.lists())
    # The terms of each output are added in the same order, so not a bit changes.
    features, kernel = torch.randn(900, 20), torch.randn(9, 20, 30)
    assert torch.equal(
        compiled.convolve(features, kernel, reordered), compiled.convolve(features, kernel, blocks)
    )


@pytest.mark.parametrize("span", [1, 2, 2**11, 2**33, 2**62])
@pytest.mark.parametrize("count", [0, 1, 3000])
def test_sort(count: int, span: int) -> None:
    keys = torch.randint(-span, span, (count,))
    expected = torch.sort(keys, stable=True)
    ordered, order = compiled.sort(keys)
    assert torch.equal(ordered, expected.values)
    assert torch.equal(order, expected.indices)


@pytest.mark.parametrize("ordered", [True, False])
def test_search(ordered: bool) -> None:
    keys = torch.unique(torch.randint(0, 4000, (900,)))
    queries = torch.sort(torch.randint(-50, 4050, (700,))).values
    shifts = torch.tensor([0, -61, -60, -59, 60, 1, -1, 3000, 60 * 60])
    rows = None if ordered else torch.randperm(len(keys)).int()
    order = None if ordered else torch.randperm(len(queries)).int()
    blocks = compiled.find(keys, rows, queries, order, shifts)
    place = {key: place for place, key in enumerate(keys.tolist())}
    expected = []
    for number, query in enumerate(queries.tolist()):
        for offset, shift in enumerate(shifts.tolist()):
            if query + shift in place:
                at = place[query + shift]
                row_in = at if rows is None else int(rows[at])
                expected.append((offset, row_in, number if order is None else int(order[number])))
    assert expected
    assert listed(*blocks.lists()) == sorted(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("channels", [(1, 1), (3, 5), (8, 16), (17, 33), (40, 64), (9, 100)], ids=str)
@pytest.mark.parametrize("n_out", [1, 70, 600])
def test_sums(instructions: str, dtype: torch.dtype, channels: tuple[int, int], n_out: int) -> None:
    lists = random_pairs(90, n_out, 6, 130)
    pairs = listed(*lists)
    blocks = compiled.group(*lists, n_out)
    features = torch.randn(90, channels[0], dtype=dtype)
    kernel = torch.randn(6, *channels, dtype=dtype)
    grad = torch.randn(n_out, channels[1], dtype=dtype)
    tolerance = 1e-4 if dtype is torch.float32 else 1e-11

    expected = one_by_one(features, kernel, pairs, n_out)
    torch.testing.assert_close(
        compiled.convolve(features, kernel, blocks), expected, rtol=tolerance, atol=tolerance
    )
    swapped = kernel.transpose(1, 2).contiguous()
    assert torch.equal(
        compiled.convolve(features, swapped, blocks, transposed=True),
        compiled.convolve(features, kernel, blocks),
    )
    outer = torch.zeros_like(kernel)
    for offset, row_in, row_out in pairs:
        outer[offset] += torch.outer(features[row_in], grad[row_out])
    torch.testing.assert_close(
        compiled.outer_products(features, grad, blocks), outer, rtol=tolerance, atol=tolerance
    )


def test_the_same_bits_for_any_number_of_threads() -> None:
    lists = random_pairs(20_000, 20_000, 27, 3000)
    features, grad = torch.randn(20_000, 24), torch.randn(20_000, 40)
    kernel = torch.randn(27, 24, 40)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 3):
            torch.set_num_threads(threads)
            blocks = compiled.group(*lists, 20_000)
            sums = compiled.convolve(features, kernel, blocks)
            results.append((sums, compiled.outer_products(features, grad, blocks)))
    finally:
        torch.set_num_threads(before)
    for sums, outer in results[1:]:
        assert torch.equal(sums, results[0][0])
        assert torch.equal(outer, results[0][1])


@pytest.mark.parametrize("channels", [(0, 3), (3, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("n_out", [40, 9000])
def test_no_channels(instructions: str, channels: tuple[int, int], n_out: int) -> None:
    blocks = compiled.group(*random_pairs(50, n_out, 3, 20), n_out)
    features, grad = torch.zeros(50, channels[0]), torch.zeros(n_out, channels[1])
    sums = compiled.convolve(features, torch.zeros(3, *channels), blocks)
    assert torch.equal(sums, torch.zeros(n_out, channels[1]))
    assert compiled.outer_products(features, grad, blocks).shape == (3, *channels)


def test_few_pairs_among_many_rows_and_offsets() -> None:
    """What a thread sets aside depends on the rows there are, not on how thinly the pairs lie."""
    n_out = 1_000_000
    blocks = compiled.group(torch.tensor([1]), torch.tensor([7]), [1] + [0] * 342, n_out)
    grad = torch.zeros(n_out, 1)
    grad[7] = 3
    result = compiled.outer_products(torch.tensor([[5.0], [2.0]]), grad, blocks)
    assert result.nonzero().tolist() == [[0, 0, 0]]
    assert result[0, 0, 0] == 6


def test_more_pairs_of_one_offset_than_rows() -> None:
    rows = torch.arange(4000)
    with pytest.raises(ValueError, match="an output row twice"):
        compiled.group(rows, rows % 40, [4000], 40)


def test_more_rows_than_32_bits_number() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="32 bits"):
        compiled.group(none, none, [0], 2**31)
    many = torch.zeros(1, dtype=torch.int64).expand(2**31)
    with pytest.raises(ValueError, match="32 bits"):
        compiled.find(many, None, none, None, none)


def test_a_dataloader_worker_after_the_parent() -> None:
    """OpenMP's threads do not live on in a forked process; torch gives each worker one thread."""
    script = """
import torch
from torch.utils.data import DataLoader
from sparse_backbones.engines.native import compiled
torch.set_num_threads(2)
rows = torch.arange(20_000)
blocks = compiled.group(rows, rows, [len(rows)], len(rows))
class Data(torch.utils.data.Dataset):
    def __len__(self): return 2
    def __getitem__(self, at):
        return compiled.convolve(torch.ones(len(rows), 4), torch.ones(1, 4, 4), blocks).sum()
parent = Data()[0]
for found in DataLoader(Data(), batch_size=None, num_workers=2, multiprocessing_context="fork"):
    assert found == parent
print("done")
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert found.stdout == "done\n"


def test_what_they_do_not_take() -> None:
    assert compiled.takes(torch.zeros(1, 1)) and compiled.takes(torch.zeros(1, 1, dtype=torch.float64))
    assert not compiled.takes(torch.zeros(1, 1, dtype=torch.bfloat16))
    assert not compiled.takes(torch.zeros(1, 1, device="meta"))


def test_switched_off() -> None:
    script = (
        "from sparse_backbones.engines.native import compiled; print(compiled.library(), compiled.problem())"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={"SPARSE_BACKBONES_COMPILED": "0", "PATH": "", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "None switched off by SPARSE_BACKBONES_COMPILED=0\n"


def test_a_library_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, reason in ((None, "not built"), (b"no library", "does not load")):
        path = tmp_path / "_kernels.so"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(compiled, "_path", lambda path=path: path if path.exists() else None)
        assert reason in compiled.problem.__wrapped__()


def test_a_library_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "VERSION", compiled.VERSION + 1)
    assert "another version" in compiled.problem.__wrapped__()

"""Kernel maps and convolutions in C++ for the CPU, where they were built; all of it is in plain PyTorch too.

The install builds them from kernels.cpp. Without a compiler, or with SPARSE_BACKBONES_COMPILED=0 in the
environment, `library()` is None and the engine goes on in plain PyTorch, to the same numbers within rounding.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, byref, c_bool, c_int, c_int64, c_long, c_void_p
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

# What the library must answer to be the one that this file was written for.
VERSION = 3
# Output rows that are summed up together: their sums stay in the cache while all offsets pass over them.
BLOCK = 512
INSTRUCTIONS = ("plain", "avx2", "avx512")
_SUFFIX = {torch.float32: "float32", torch.float64: "float64"}


class _Blocks(ctypes.Structure):
    _fields_ = (
        ("rows_out", c_long),
        ("offsets", c_long),
        ("block", c_long),
        ("starts", c_void_p),
        ("rows_in", c_void_p),
        ("places", c_void_p),
        ("order", c_void_p),
        ("mirrored", c_bool),
    )


@dataclass(frozen=True, eq=False)
class Blocks:
    """The pairs of a kernel map, grouped by runs of `block` output rows and, within each run, by offset.

    starts: int64 (runs * offsets + 1), where the pairs of each run and offset begin.
    rows_in: int32 (P,), input rows. places: int16 (P,), the output row's place in its run.
    order: int32 (n_out,), the output row at each place; None where they are in order.
    mirrored: the weights of offset k are those of offsets - 1 - k.
    """

    n_out: int
    offsets: int
    block: int
    starts: Tensor
    rows_in: Tensor
    places: Tensor
    order: Tensor | None = None
    mirrored: bool = False

    def lists(self) -> tuple[Tensor, Tensor, list[int]]:
        """Input rows and output rows, int32 (P,), sorted by offset, and how many pairs each offset has."""
        rows_in, rows_out = torch.empty_like(self.rows_in), torch.empty_like(self.rows_in)
        counts = torch.empty(self.offsets, dtype=torch.int64)
        _check(
            _loaded().sparse_list(
                byref(self._structure), _at(rows_in), _at(rows_out), _at(counts), torch.get_num_threads()
            )
        )
        return rows_in, rows_out, counts.tolist()

    def in_row_order(self) -> Blocks:
        """The same pairs, with output rows in order."""
        if self.order is None:
            return self
        starts, rows_in, places = (
            torch.empty_like(part) for part in (self.starts, self.rows_in, self.places)
        )
        _check(
            _loaded().sparse_reorder(
                byref(self._structure), torch.get_num_threads(), _at(starts), _at(rows_in), _at(places)
            )
        )
        return replace(self, starts=starts, rows_in=rows_in, places=places, order=None)

    @property
    def _structure(self) -> _Blocks:
        return _Blocks(
            self.n_out,
            self.offsets,
            self.block,
            _at(self.starts),
            _at(self.rows_in),
            _at(self.places),
            None if self.order is None else _at(self.order),
            self.mirrored,
        )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library, or None. `problem()` says why there is none."""
    if problem():
        return None
    loaded = ctypes.CDLL(str(_path()))
    array, size = c_void_p, c_long
    loaded.sparse_find.restype = c_void_p
    loaded.sparse_find.argtypes = [
        array,
        array,
        size,
        array,
        size,
        array,
        size,
        size,
        c_int,
        POINTER(c_int64),
    ]
    loaded.sparse_take.argtypes = [c_void_p, array, array, array]
    loaded.sparse_take.restype = None
    loaded.sparse_drop.argtypes = [c_void_p]
    loaded.sparse_drop.restype = None
    loaded.sparse_group.argtypes = [array, array, array, size, size, size, c_int, array, array, array]
    loaded.sparse_reorder.argtypes = [POINTER(_Blocks), c_int, array, array, array]
    loaded.sparse_sort.argtypes = [array, size, array, array]
    loaded.sparse_list.argtypes = [POINTER(_Blocks), array, array, array, c_int]
    for name in _SUFFIX.values():
        convolve, outer = (getattr(loaded, f"sparse_{what}_{name}") for what in ("convolve", "outer"))
        convolve.argtypes = [POINTER(_Blocks), array, size, array, size, c_int, array, c_int]
        outer.argtypes = [POINTER(_Blocks), array, size, array, size, array, c_int]
    return loaded


@cache
def problem() -> str:
    """Why the compiled kernels are not used, or an empty string where they are."""
    if os.environ.get("SPARSE_BACKBONES_COMPILED") == "0":
        return "switched off by SPARSE_BACKBONES_COMPILED=0"
    path = _path()
    if path is None:
        return "not built (no C++ compiler at install?)"
    try:
        version = ctypes.CDLL(str(path)).sparse_version()
    except (OSError, AttributeError) as error:
        return f"{path.name} does not load: {error}"
    if version != VERSION:
        return f"{path.name} was built from another version; install again"
    return ""


def instructions() -> str:
    """The instruction set in use, one of `INSTRUCTIONS`."""
    return INSTRUCTIONS[_loaded().sparse_instructions(-1)]


def use_instructions(name: str) -> str:
    """Chooses an instruction set, if the processor has it. Returns the one in use."""
    return INSTRUCTIONS[_loaded().sparse_instructions(INSTRUCTIONS.index(name))]


def serves(tensor: Tensor) -> bool:
    """Whether the compiled kernels are there for the device of this tensor."""
    return tensor.device.type == "cpu" and library() is not None


def takes(features: Tensor) -> bool:
    """Whether the compiled kernels compute with such features."""
    return features.dtype in _SUFFIX and serves(features)


def find(keys: Tensor, rows: Tensor | None, queries: Tensor, order: Tensor | None, shifts: Tensor) -> Blocks:
    """The pairs between sorted queries (n,) plus shifts (K,) and sorted distinct keys (U,), all int64.

    rows: int32 (U,), the input row of each key. order: int32 (n,), the output row of each query. None stands
    for rows in order.
    """
    _check_rows(max(len(keys), len(queries)))
    pairs = c_int64()
    block, offsets, n = _block(len(queries)), len(shifts), len(queries)
    lib = _loaded()
    handle = lib.sparse_find(
        _at(keys),
        None if rows is None else _at(rows),
        len(keys),
        _at(queries),
        n,
        _at(shifts),
        offsets,
        block,
        torch.get_num_threads(),
        byref(pairs),
    )
    _check(handle is None)
    try:
        starts = torch.empty(-(-n // block) * offsets + 1, dtype=torch.int64)
        rows_in = torch.empty(pairs.value, dtype=torch.int32)
        places = torch.empty(pairs.value, dtype=torch.int16)
        lib.sparse_take(handle, _at(starts), _at(rows_in), _at(places))
    finally:
        lib.sparse_drop(handle)
    return Blocks(n, offsets, block, starts, rows_in, places, order)


def sort(keys: Tensor) -> tuple[Tensor, Tensor]:
    """As torch.sort(keys, stable=True), for int64 keys (N,)."""
    _check_rows(len(keys))
    keys = keys.contiguous()
    ordered, order = torch.empty_like(keys), torch.empty(len(keys), dtype=torch.int32)
    _check(_loaded().sparse_sort(_at(keys), len(keys), _at(ordered), _at(order)))
    return ordered, order.long()


def group(rows_in: Tensor, rows_out: Tensor, counts: list[int], n_out: int) -> Blocks:
    """Blocks of pairs that are sorted by offset, of which no offset leads to an output row twice.

    rows_in, rows_out: int (P,).
    """
    _check_rows(n_out)
    rows_in, rows_out = rows_in.int().contiguous(), rows_out.int().contiguous()
    sizes, block = torch.tensor(counts, dtype=torch.int64), _block(n_out)
    starts = torch.empty(-(-n_out // block) * len(counts) + 1, dtype=torch.int64)
    grouped, places = torch.empty_like(rows_in), torch.empty(len(rows_in), dtype=torch.int16)
    _check(
        _loaded().sparse_group(
            _at(rows_in),
            _at(rows_out),
            _at(sizes),
            len(counts),
            n_out,
            block,
            torch.get_num_threads(),
            _at(starts),
            _at(grouped),
            _at(places),
        )
    )
    return Blocks(n_out, len(counts), block, starts, grouped, places)


def convolve(features: Tensor, kernel: Tensor, blocks: Blocks, *, transposed: bool = False) -> Tensor:
    """Sum over pairs of features[row] @ kernel[offset]. features (n_in, Cin) -> (n_out, Cout).

    kernel: (K, Cin, Cout), or with `transposed` (K, Cout, Cin).
    """
    features, kernel = features.contiguous(), kernel.contiguous()
    result = features.new_empty(blocks.n_out, kernel.shape[1 if transposed else 2])
    run = getattr(_loaded(), f"sparse_convolve_{_SUFFIX[features.dtype]}")
    _check(
        run(
            byref(blocks._structure),
            _at(features),
            features.shape[1],
            _at(kernel),
            result.shape[1],
            transposed,
            _at(result),
            torch.get_num_threads(),
        )
    )
    return result


def outer_products(features: Tensor, grad: Tensor, blocks: Blocks) -> Tensor:
    """Sum over the pairs of each offset of outer products, (K, Cin, Cout).

    features: (n_in, Cin). grad: (n_out, Cout).
    """
    features, grad = features.contiguous(), grad.contiguous()
    result = features.new_empty(blocks.offsets, features.shape[1], grad.shape[1])
    run = getattr(_loaded(), f"sparse_outer_{_SUFFIX[features.dtype]}")
    _check(
        run(
            byref(blocks._structure),
            _at(features),
            features.shape[1],
            _at(grad),
            grad.shape[1],
            _at(result),
            torch.get_num_threads(),
        )
    )
    return result


def _block(rows: int) -> int:
    """Output rows a block: fewer where there are few rows, so that every thread gets some."""
    return BLOCK if rows >= 16 * BLOCK else max(32, rows // 16)


def _check_rows(count: int) -> None:
    if count >= 2**31:
        raise ValueError(f"the compiled kernels number rows with 32 bits, too few for {count}")


def _path() -> Path | None:
    built = sorted(Path(__file__).parent.glob("_kernels*.so"))
    return built[0] if built else None


def _loaded() -> ctypes.CDLL:
    loaded = library()
    if loaded is None:
        raise RuntimeError(f"the compiled kernels are not there: {problem()}")
    return loaded


def _at(tensor: Tensor) -> int:
    return tensor.data_ptr()


def _check(failed: bool | int) -> None:
    if failed == 2:
        raise ValueError("an offset of the kernel leads to an output row twice")
    if failed:
        raise MemoryError("not enough memory for a sparse convolution")

"""In which number format a dense network computes."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager

import torch


def half_is_fast(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a network runs. precision: `auto`, `float32` or `bfloat16`."""
    half = precision == "bfloat16" or (precision == "auto" and half_is_fast(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=half)

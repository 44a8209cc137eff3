"""What hostile headers of .npy are made of."""

from __future__ import annotations

from typing import Final

WORDS: Final = (
    *(b"'descr'", b"'fortran_order'", b"'shape'", b"'<f8'", b"'|O'", b"'<U4'", b"'|S9'", b"'>i8'"),
    *(b"'|b1'", b"'<M8[s]'", b"'<c16'", b"[('a', '<f4')]", b"True", b"False", b"(", b")", b"(1,)"),
    *(b"(-1,)", b"(0, 5)", b"9999999999", b"{", b"}", b"((" * 40, b"-" * 40, b"1j", b"'"),
    *(b"\x93NUMPY\x01\x00", b"\x93NUMPY\x03\x00"),
)

"""Names of coordinate maps."""

from __future__ import annotations

from sparse_backbones.engines.native.regions import IntOrInts, to_ints

Key = tuple[tuple[int, ...], str]


class CoordinateMapKey:
    """Names a coordinate map inside its manager by tensor stride and a string.

    `CoordinateMapKey([2, 2, 2])` or, with one stride for all axes, `CoordinateMapKey(2, dimension=3)`.
    `CoordinateMapKey(4)` is a key not set yet, for coordinates of 4 columns (batch index included): pass it
    as the output of an operation, which sets it.
    """

    def __init__(self, tensor_stride: IntOrInts, string_id: str = "", dimension: int | None = None) -> None:
        self._key: Key | None = None
        if isinstance(tensor_stride, int) and dimension is None:
            self._columns = tensor_stride
            return
        strides = to_ints(tensor_stride, dimension or len(tensor_stride), "tensor_stride")  # type: ignore[arg-type]
        self._columns = len(strides) + 1
        self._key = (tuple(strides), string_id)

    def is_key_set(self) -> bool:
        return self._key is not None

    def set_key(self, tensor_stride: IntOrInts | Key, string_id: str | None = None) -> None:
        """Sets the key from a stride and a string, or from what `get_key` returned."""
        if string_id is None:
            tensor_stride, string_id = tensor_stride  # type: ignore[misc, assignment]
        self._key = (tuple(to_ints(tensor_stride, self._columns - 1, "tensor_stride")), str(string_id))  # type: ignore[arg-type]

    def get_key(self) -> tuple[list[int], str]:
        return list(self.key[0]), self.key[1]

    def get_tensor_stride(self) -> list[int]:
        return list(self.key[0])

    def get_coordinate_size(self) -> int:
        """Columns of the coordinates, batch index included."""
        return self._columns

    get_dimension = get_coordinate_size

    @property
    def key(self) -> Key:
        if self._key is None:
            raise ValueError("this CoordinateMapKey is not set: no operation has filled it yet")
        return self._key

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CoordinateMapKey)
            and self._key == other._key
            and (self._key is not None or self is other)
        )

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        if self._key is None:
            return f"CoordinateMapKey({self._columns}, not set)"
        return f"CoordinateMapKey({list(self._key[0])}, {self._key[1]!r})"

"""State dicts that users bring: read without pickle, and checked name by name before a network takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipelines.common.errors import UserError

COUNTER = "num_batches_tracked"  # of batch norms; of no use, and missing in older files


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file. Raises UserError; for a pickle it says how to convert it."""
    if path.suffix in (".pth", ".pt", ".bin"):
        raise UserError(
            f"{path} is a pickle, and none is read here. Where it comes from a source that you trust, make a"
            " .safetensors file of it: import torch, safetensors.torch;"
            f" safetensors.torch.save_file(torch.load({path.name!r}, weights_only=True),"
            f" {path.with_suffix('.safetensors').name!r})"
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"the weights {path} cannot be read: {error}") from error


def check_weights(
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    path: Path,
    what: str,
    *,
    allowed: Mapping[str, Tensor] | None = None,
) -> None:
    """Raise UserError, naming `path`, unless the given tensors are those of `what`.

    wanted: what must be there, by name and shape. allowed: what else may be. Counters of batch norms are
    passed over.
    """
    own = {name: value for name, value in wanted.items() if not name.endswith(COUNTER)}
    known = {**(allowed or {}), **own}
    given = {name: value for name, value in given.items() if not name.endswith(COUNTER)}
    if missing := [name for name in own if name not in given]:
        raise UserError(f"{path} is no {what}: it lacks {_some(missing)}")
    if unknown := [name for name in given if name not in known]:
        raise UserError(f"{path} is no {what}: it has {_some(unknown)} besides")
    for name, value in given.items():
        if value.shape != known[name].shape:
            raise UserError(
                f"{path}: {name} must have the shape {tuple(known[name].shape)}, not {tuple(value.shape)}"
            )
        if not value.is_floating_point() or not bool(value.isfinite().all()):
            raise UserError(f"{path}: {name} holds something other than finite numbers")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more

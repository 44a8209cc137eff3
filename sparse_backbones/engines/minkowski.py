"""MinkowskiEngine 0.5.4, made importable on the Pythons of today, under its own names.

`from sparse_backbones.engines import minkowski as ME` is what `import MinkowskiEngine as ME` once was.
The release dates from 2021 and takes `Sequence` from `collections`, which Python 3.10 removed; it is put
back while the package is being imported, and only then. Raises ImportError, with what to run, where the
package is absent.
"""

from __future__ import annotations

import collections
import collections.abc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MOVED = ("Mapping", "Sequence")


@contextmanager
def _names_on_collections() -> Iterator[None]:
    """Lets `from collections import Sequence` work inside the block."""
    added = [name for name in _MOVED if not hasattr(collections, name)]
    for name in added:
        setattr(collections, name, getattr(collections.abc, name))
    try:
        yield
    finally:
        for name in added:
            delattr(collections, name)


def _import_minkowski() -> Any:
    with _names_on_collections(), warnings.catch_warnings():
        # It says at every import that it was built without CUDA, and its sources use old idioms.
        warnings.simplefilter("ignore")
        try:
            import MinkowskiEngine
        except ModuleNotFoundError as error:
            raise ImportError(
                "MinkowskiEngine is not installed: run scripts/install, which builds it, "
                "or use the engine 'native'"
            ) from error
        except ImportError as error:
            raise ImportError(
                f"MinkowskiEngine is installed but does not load ({error}): run scripts/install, "
                "which repairs it, or use the engine 'native'"
            ) from error
    # Its averages build sparse tensors by a class that torch calls deprecated, in a warning at every process.
    warnings.filterwarnings("ignore", message=r"torch\.sparse\.SparseTensor", category=UserWarning)
    return MinkowskiEngine


_ENGINE = _import_minkowski()


def __getattr__(name: str) -> Any:
    return getattr(_ENGINE, name)


def __dir__() -> list[str]:
    return dir(_ENGINE)

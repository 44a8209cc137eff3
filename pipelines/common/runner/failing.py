"""What one bad item may raise without ending a run."""

from __future__ import annotations

import errno
from typing import Final

from pipelines.common.errors import UserError

# RuntimeError is what torch raises for want of memory too; the next item may well pass.
FAILS_ONE: Final = (UserError, RuntimeError, ValueError, ArithmeticError, MemoryError, OSError)


def reason_of(error: Exception, verb: str) -> str:
    """Why an item has failed, for its row. verb: what could not be done with it, such as `counted`.

    Raises the error again if it ends the run, as a full disk does.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        if error.errno != errno.ENAMETOOLONG:
            raise error
        return "its name is too long for a file"
    return f"cannot be {verb}: {str(error) or type(error).__name__}"

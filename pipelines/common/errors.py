"""The error that is the user's to mend."""

from __future__ import annotations


class UserError(Exception):
    """Wrong usage, config or input. The message names the problem and what is allowed or what to do.

    The command line prints the message without a traceback and exits with 2.
    """

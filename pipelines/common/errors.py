"""The errors that are the user's to mend."""

from __future__ import annotations


class UserError(Exception):
    """Wrong usage, config or input. The message names the problem and what is allowed or what to do.

    The command line prints the message without a traceback and exits with 2.
    """


class InputError(UserError):
    """A file that cannot be used: an image, a video, labels, a list. The message says why, for the user."""

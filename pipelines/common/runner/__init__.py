"""Where the items of a run are computed: in this process, with others that read ahead, or on a Ray cluster.

A task says what it does in a `Work`; `run` does it for all items and gives what comes of them, in order.
"""

from .failing import FAILS_ONE, reason_of
from .run import IN_PROCESS, Runner, run, usual_workers
from .work import Job, Work

__all__ = ["FAILS_ONE", "IN_PROCESS", "Job", "Runner", "Work", "reason_of", "run", "usual_workers"]

"""A model that has learnt from a review: new classes, corrected labels, fresh thresholds; in a folder of its
own.

`lesson` says what there is to learn, `head` and `whole` are the two ways to learn it, `folder` writes what
came out, and `run` ties them together.
"""

from pipelines.wafer.refit.run import Refitted, refit

__all__ = ["Refitted", "refit"]

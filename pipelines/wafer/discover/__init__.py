"""Clusters among the novel maps of runs: which of them show the same unknown pattern.

`clusters` groups latents, `reading` takes maps and latents from runs, `found` is what comes out, `report`
draws it, and `run` ties them together.
"""

from pipelines.wafer.discover.found import summary
from pipelines.wafer.discover.run import REPORT, discover

__all__ = ["REPORT", "discover", "summary"]

"""Control charts of runs: shares of the classes, novelty rate and defect density, and excursions.

`groups` sorts maps into points, `control` has the limits, `charts` puts both together, `found` is what comes
out, `report` draws it, and `run` ties them together.
"""

from pipelines.wafer.monitor.charts import DENSITY, NOVELTY
from pipelines.wafer.monitor.found import summary
from pipelines.wafer.monitor.run import REPORT, monitor

__all__ = ["DENSITY", "NOVELTY", "REPORT", "monitor", "summary"]

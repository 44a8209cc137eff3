"""How well a mask fits another: overlap, distances between surfaces, volumes. Free of torch."""

from pipelines.medical.metrics.definitions import METRICS, definitions, metrics_for
from pipelines.medical.metrics.distances import SurfaceDistances, surface_distances
from pipelines.medical.metrics.overlap import dice, iou, volume_error
from pipelines.medical.metrics.structures import Detection, Structure, measure, occurring
from pipelines.medical.metrics.surface import Surface, steps_of, surface_of

__all__ = [
    "measure",
    "occurring",
    "Structure",
    "Detection",
    "dice",
    "iou",
    "volume_error",
    "surface_of",
    "surface_distances",
    "Surface",
    "SurfaceDistances",
    "steps_of",
    "METRICS",
    "metrics_for",
    "definitions",
]

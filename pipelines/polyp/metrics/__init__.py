"""How well sizes in mm fit the truth: polyp level first, frame level second. Free of torch."""

from .agreement import Agreement, agreement
from .bins import CLASSES, LARGE_MM, SMALL_MM, above, known_class, size_class
from .bootstrap import Interval
from .classes import accuracy, confusion, kappa, macro_f1
from .definitions import METRICS, Level, definitions
from .summary import Sized, summarise

__all__ = [
    "CLASSES",
    "SMALL_MM",
    "LARGE_MM",
    "size_class",
    "known_class",
    "above",
    "Agreement",
    "agreement",
    "confusion",
    "accuracy",
    "macro_f1",
    "kappa",
    "Interval",
    "Sized",
    "summarise",
    "Level",
    "METRICS",
    "definitions",
]

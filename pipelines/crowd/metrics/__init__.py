"""How well counts, maps and points fit the truth. Free of torch."""

from .bootstrap import Interval, bootstrap
from .counts import bias, mae, nae, rmse
from .definitions import METRICS, definitions, localisation_metrics
from .game import LEVELS, game
from .intervals import IntervalScores, interval_scores
from .localisation import SIGMAS_PX, Hits, Localisation, hits, localisation, match
from .summary import ImageScores, score_image, summarise

__all__ = [
    "mae",
    "rmse",
    "nae",
    "bias",
    "game",
    "LEVELS",
    "interval_scores",
    "IntervalScores",
    "match",
    "hits",
    "Hits",
    "localisation",
    "Localisation",
    "SIGMAS_PX",
    "bootstrap",
    "Interval",
    "ImageScores",
    "score_image",
    "summarise",
    "METRICS",
    "localisation_metrics",
    "definitions",
]

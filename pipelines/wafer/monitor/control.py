"""Control limits of attribute charts, after Montgomery, Introduction to Statistical Quality Control, chapter
7, and the NIST/SEMATECH e-Handbook of Statistical Methods, section 6.3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

D2: Final = 1.128  # mean range of two independent standard normal values, the d2 of control charts


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """A control chart of n points; all float64 (n,) but the first and the last.

    centre: the centre line. value: what is charted. lower, upper: the limits of each point.
    spread: by how much the limits are wider than those of the chart's own distribution.
    """

    centre: float
    value: Floats
    lower: Floats
    upper: Floats
    spread: float

    @property
    def side(self) -> NDArray[np.int8]:
        """1 for a point above its upper limit, -1 for one below its lower limit, else 0; int8 (n,)."""
        # Limits are sums of rounded numbers: a point that lies on its limit must not fall out of it by 1e-17.
        slack = 1e-9 * max(1.0, abs(self.centre))
        return np.where(
            self.value > self.upper + slack, 1, np.where(self.value < self.lower - slack, -1, 0)
        ).astype(np.int8)


def p_chart(
    count: Floats,
    size: Floats,
    *,
    base: NDArray[np.bool_] | None = None,
    sigma: float = 3.0,
    laney: bool = False,
) -> Limits:
    """Shares count / size of n groups, with the limits p ± sigma sqrt(p (1 - p) / size), kept in 0 to 1.

    p is the share in all groups together. This is the p chart with a group size that varies (Montgomery, 7.2;
    NIST/SEMATECH 6.3.3.2). count, size: (n,), how many of how many; every size above 0.
    base: bool (n,), the groups from which p and the spread are taken; all without it.
    laney: widen the limits as `laney_spread` says, for counts that vary more than a binomial distribution.
    """
    base = _base(count, size, base)
    centre = float(count[base].sum() / size[base].sum())
    error = np.sqrt(centre * (1 - centre) / size)
    return _limits(count / size, centre, error, base, sigma, laney, most=1.0)


def u_chart(
    count: Floats,
    area: Floats,
    *,
    base: NDArray[np.bool_] | None = None,
    sigma: float = 3.0,
    laney: bool = False,
) -> Limits:
    """Densities count / area of n groups, with the limits u ± sigma sqrt(u / area), kept from 0 up.

    u is the density in all groups together. This is the u chart with an area of opportunity that varies
    (Montgomery, 7.3; NIST/SEMATECH 6.3.3.1). count, area: (n,), such as defects and cm²; every area above 0.
    base, laney: as for `p_chart`, for counts that vary more than a Poisson distribution.
    """
    base = _base(count, area, base)
    centre = float(count[base].sum() / area[base].sum())
    error = np.sqrt(centre / area)
    return _limits(count / area, centre, error, base, sigma, laney, most=np.inf)


def laney_spread(z: Floats) -> float:
    """The standard deviation of standardised values (n,) in their order, from their moving ranges; at least
    1.

    Laney (Improved control charts for attributes, Quality Engineering 14 (4), 2002) widens the limits of p
    and u charts by it, since groups differ by more than chance alone. It is 1 for fewer than two values.
    Laney also lets it narrow the limits; here it never does.
    """
    if len(z) < 2:
        return 1.0
    return max(1.0, float(np.abs(np.diff(z)).mean() / D2))


def _base(count: Floats, size: Floats, base: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    if count.shape != size.shape or count.ndim != 1:
        raise ValueError(f"counts and sizes must be of one length, not {count.shape} and {size.shape}")
    if not len(size) or not (size > 0).all() or not (count >= 0).all():
        raise ValueError("a chart needs a group, and every group a size above 0 and a count from 0 up")
    base = np.ones(len(size), bool) if base is None else base
    if not base.any():
        raise ValueError("no group is left to take the centre line from")
    return base


def _limits(
    value: Floats,
    centre: float,
    error: Floats,
    base: NDArray[np.bool_],
    sigma: float,
    laney: bool,
    most: float,
) -> Limits:
    spread = 1.0
    if laney and (error > 0).all():
        spread = laney_spread(((value - centre) / error)[base])
    reach = sigma * spread * error
    return Limits(centre, value, np.maximum(centre - reach, 0.0), np.minimum(centre + reach, most), spread)

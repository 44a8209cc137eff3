"""Which items of a batch go to which process."""

from __future__ import annotations

from collections.abc import Sequence


def shares(weights: Sequence[float], size: int) -> list[list[int]]:
    """The items of each of `size` processes, in rising order; every item is in one of them.

    weights: what each item costs, such as its active sites; none is negative. The heaviest item that is left
    goes to the process with the least so far (Graham, Bounds on multiprocessing timing anomalies, 1969), so
    none has more than 4/3 of what the best division gives its busiest one. Ties go to the process with fewer
    items, then to the first: equal weights make equal numbers, and with `size` items or more each process
    has one. The same weights always give the same shares.
    """
    found: list[list[int]] = [[] for _ in range(size)]
    loads = [0.0] * size
    for item in sorted(range(len(weights)), key=lambda one: (-weights[one], one)):
        lightest = min(range(size), key=lambda one: (loads[one], len(found[one]), one))
        found[lightest].append(item)
        loads[lightest] += weights[item]
    return [sorted(items) for items in found]

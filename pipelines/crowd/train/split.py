"""Which labelled cases a network is trained on, and which are held out to measure it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.common.errors import UserError
from pipelines.crowd.data import Case


def split_cases(cases: Sequence[Case], held_out: float, seed: int) -> tuple[list[Case], list[Case]]:
    """Cases to train on and held-out ones, each in the order of `cases`.

    A data set that names a split `val` has it held out. Of any other the share `held_out` is drawn at random,
    the same for the same names and seed. Cases of a split `test` are in neither. Raises UserError if
    nothing is left to train on.
    """
    usable = [case for case in cases if case.labelled and case.split != "test"]
    if held_out and any(case.split == "val" for case in usable):
        chosen = {case.name for case in usable if case.split == "val"}
    else:
        names = sorted(case.name for case in usable)
        order = np.random.default_rng(seed).permutation(len(names))
        number = round(held_out * len(names))
        if held_out and len(names) > 1:
            number = max(1, number)
        chosen = {names[i] for i in order[:number]}
    training = [case for case in usable if case.name not in chosen]
    if not training:
        raise UserError(
            "no labelled image is left to train on: name a folder with labelled images that are not all of a"
            " split named test or val"
        )
    return training, [case for case in usable if case.name in chosen]

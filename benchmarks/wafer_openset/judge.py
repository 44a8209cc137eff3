"""How well a score tells unknown maps from known ones, and what it costs on the known ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.common import Row
from benchmarks.wafer.metrics import accuracy, macro_f1

FALSE_ALARM_RATE = 0.01
TRUE_POSITIVE_RATE = 0.95
NOVEL = "(novel)"  # no class can have this name
Floats = NDArray[np.float64]
Labels = NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The class given to each known test map and each unknown one, and the truth of the known ones."""

    truth: Labels
    known: Labels
    novel: Labels


def judge(held: Floats, known: Floats, novel: Floats, answers: Answers) -> Row:
    """Figures of one score (higher is more novel) on held-out, known and novel maps.

    auroc, aupr: novel maps are the positives. fpr_at_95_tpr: share of novel maps that pass for known where
    95% of the known ones do. false_alarms_at_95_found: share of known maps called novel where 95% of the
    novel ones are. The others are taken at the operating threshold, which FALSE_ALARM_RATE of the held-out
    known maps exceed: false_alarms and found, shares of known and novel maps above it; accuracy and macro_f1
    over the known maps, on which the answer novel is wrong; open_macro_f1 over all maps, novel being one
    more class.
    """
    truth = np.repeat([0, 1], [len(known), len(novel)])
    together = np.concatenate([known, novel])
    threshold = np.quantile(held, 1 - FALSE_ALARM_RATE)
    given = np.where(known > threshold, NOVEL, answers.known)
    given_novel = np.where(novel > threshold, NOVEL, answers.novel)
    everything = np.concatenate([answers.truth, np.repeat(NOVEL, len(novel))])
    return {
        "auroc": float(roc_auc_score(truth, together)),
        "aupr": float(average_precision_score(truth, together)),
        "fpr_at_95_tpr": float((novel <= np.quantile(known, TRUE_POSITIVE_RATE)).mean()),
        "false_alarms_at_95_found": float((known >= np.quantile(novel, 1 - TRUE_POSITIVE_RATE)).mean()),
        "false_alarms": float((known > threshold).mean()),
        "found": float((novel > threshold).mean()),
        "accuracy": accuracy(answers.truth, given),
        "macro_f1": macro_f1(answers.truth, given),
        "open_macro_f1": macro_f1(everything, np.concatenate([given, given_novel])),
    }

"""All of a model but its network, made anew from the data set that it was trained on.

    python -m pipelines.wafer.renew MODEL DATA

Temperature, mixtures, thresholds and examples follow from the network and the data: after a change in how
they are made, the network need not be trained again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.models import find_model, load_model
from pipelines.wafer.finish import LabelledMaps, finish
from pipelines.wafer.model.kinds import KINDS, UnsuitableMap
from pipelines.wafer.model.trained import TASK, network_tensors
from pipelines.wafer.train import read_data, split
from pipelines.wafer.train_config import TrainConfig


def renew(model: str, data: Path, *, progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Write the model folder `model` anew around its network; returns its metrics.

    data: what it was trained on; the same maps are held out. Raises UserError.
    """
    folder = find_model(TASK, model)
    stored = load_model(folder, task=TASK)
    config = TrainConfig.model_validate(stored.config["training"])
    maps, names = read_data(data, progress, config.limits)
    labels, classes = np.unique(names, return_inverse=True)
    if "refitted_from" in stored.config:
        raise UserError(f"{folder} was refitted to a review, which is not in {data}; refit it again instead")
    if labels.tolist() != stored.config["labels"]:
        raise UserError(f"{data} has other classes than the model {folder}")
    kind = KINDS[stored.config["kind"]](**stored.config["preprocessing"])
    network = kind.build(load_engine(config.engine), len(labels), stored.config["architecture"])
    network.load_state_dict(network_tensors(stored.tensors))
    return finish(
        folder,
        network.eval(),
        kind,
        LabelledMaps(maps, classes, labels.tolist(), *split(classes, labels, config)),
        config,
        shift=stored.tensors["prior_shift"],
        normal=stored.config["normal_label"],
        data=data.name,
        seconds=stored.metrics["seconds"],
        command=stored.metrics["command"],
        overwrite=True,
        progress=progress,
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(str(__doc__))
    torch.set_num_threads(1)
    try:
        renew(sys.argv[1], Path(sys.argv[2]), progress=lambda text: print(text, file=sys.stderr))
    except (UserError, UnsuitableMap) as error:
        sys.exit(str(error))

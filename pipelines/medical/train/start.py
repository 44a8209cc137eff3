"""Starting from another model: a pretrained encoder, or a segmenter of other labels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError, find_model, load_model, single
from pipelines.medical.config import TASK, NetworkPlan, Plan
from pipelines.medical.model.networks import ENCODER, Network, Peer
from pipelines.medical.model.trained import ENCODER_MODEL, SEGMENTER, member_tensors, read_plan

HEADS = "decoder.heads."
MONAI = ("dynunet", "swinunetr")  # whose weights have names of their own


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a training begins with: `weights` under the names of `SparseUNet`, from the model `name`."""

    name: str
    kind: str
    plan: Plan
    weights: dict[str, Tensor]
    sha256: str


def read_start(model: str) -> Start:
    """Read a bundled model or a model folder: all of an encoder, the first network of a segmenter."""
    folder = find_model(TASK, model)
    stored = load_model(folder, task=TASK)
    kind, plan = stored.config.get("kind"), read_plan(stored)
    if kind == SEGMENTER:
        return Start(stored.name, SEGMENTER, plan, member_tensors(stored, 0), stored.sha256)
    if kind == ENCODER_MODEL:
        weights = {name: single(value) for name, value in stored.tensors.items()}
        return Start(stored.name, ENCODER_MODEL, plan, weights, stored.sha256)
    raise ModelError(f"the model {folder} is neither a pretrained encoder nor a segmenter")


def same_sizes(network: NetworkPlan, start: Start) -> NetworkPlan:
    """The plan's network with the sizes of the start, so that its weights fit."""
    other = start.plan.network
    return network.model_copy(
        update={"channels": other.channels, "blocks": other.blocks, "strides": other.strides}
    )


def begin_from(network: Network, plan: Plan, start: Start) -> list[str]:
    """Load what fits into one of our networks; returns the names of what begins at random.

    Heads are taken only if the labels are the same, name by name; an input convolution only if the number of
    channels is. Raises UserError if the encoder does not fit.
    """
    if isinstance(network, Peer):
        raise UserError("only dense-unet and sparse-unet can start from another model")
    if start.plan.network.name in MONAI:
        raise UserError(f"{start.name} is a {start.plan.network.name}, from which nothing can start")
    own = network.shared_weights()
    same_labels = list(plan.labels.items()) == list(start.plan.labels.items())
    fitting = {
        name: value
        for name, value in start.weights.items()
        if name in own and value.shape == own[name].shape and (same_labels or not name.startswith(HEADS))
    }
    fresh = sorted(own.keys() - fitting.keys())
    wrong = [name for name in fresh if name.startswith(ENCODER) and not name.startswith(f"{ENCODER}stem.")]
    if wrong:
        raise UserError(
            f"the encoder of {start.name} does not fit this network: channels, blocks and strides must agree"
            f" ({wrong[0]} differs)"
        )
    network.load_shared({**own, **fitting})
    return fresh

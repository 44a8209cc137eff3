"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from pipelines.common.errors import UserError
from pipelines.crowd.config import NetworkPlan
from pipelines.crowd.model.hmode import HMoDE
from pipelines.crowd.model.mcnn import MCNN
from pipelines.crowd.model.msegnet import MSegNet
from pipelines.crowd.model.msfanet import MSFANet
from pipelines.crowd.model.network import CrowdNetwork
from pipelines.crowd.model.sparse_counter import SparseCounter
from pipelines.crowd.model.vgg import VGG16, load_encoder_weights


def build_network(plan: NetworkPlan, engine: ModuleType) -> CrowdNetwork:
    """An untrained network of the plan. engine: what `sparse_backbones.engines.load` gave."""
    return NETWORKS[plan.name](plan, engine)


def start_from(network: CrowdNetwork, path: Path) -> None:
    """Put a state dict of VGG16 with batch norms into the network's encoder; see `load_encoder_weights`.

    Raises UserError if the network has no such encoder, or the file does not fit.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, VGG16):
        raise UserError("only m-segnet, m-sfanet and hmode have an encoder that VGG16's weights fit")
    load_encoder_weights(encoder, path)


def _counter(plan: NetworkPlan, engine: ModuleType) -> CrowdNetwork:
    return SparseCounter(
        engine,
        widths=plan.widths,
        blocks=plan.blocks,
        decoder=plan.decoder,
        decoder_blocks=plan.decoder_blocks,
        threshold=plan.threshold,
        halo=plan.halo,
        dense=plan.name == "dense-counter",
    )


NETWORKS: dict[str, Callable[[NetworkPlan, ModuleType], CrowdNetwork]] = {
    "sparse-counter": _counter,
    "dense-counter": _counter,
    "m-segnet": lambda plan, engine: MSegNet(),
    "m-sfanet": lambda plan, engine: MSFANet(),
    "hmode": lambda plan, engine: HMoDE(relative_weight=plan.relative_weight),
    "mcnn": lambda plan, engine: MCNN(),
}

"""The card of a pretrained encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.medical.config import Plan


def card(name: str, plan: Plan, pretraining: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Markdown: what the encoder is, what it learnt from, how one sees that it did, what it is not for."""
    held = metrics["held_out"]
    where = (
        f"{held['volumes']} volumes that trained nothing"
        if held["volumes"]
        else "the one volume that there was, which trained it too: this says little"
    )
    low, high = (f"{share:.0%}" for share in pretraining["mask"])
    hard = pretraining["hard_share"]
    picked = f", up to {hard:.0%} of them the hardest by a moving average of the network" if hard else ""
    return (
        f"""# {name}

An encoder for 3D images ({", ".join(plan.channels)}), pretrained without labels: parts of each volume
were hidden, and it learnt to rebuild them from the rest. It segments nothing by itself. Train from it:

    suite medical train DATA --from {name} --out MODEL

- Encoder: channels {", ".join(map(str, plan.network.channels))}; tensors `encoder.*`, for the sparse and
  the dense U-network alike. Decoder and mask tokens are not kept.
- Voxels of {" x ".join(f"{side:g}" for side in plan.spacing)} mm, crops of
  {" x ".join(map(str, plan.patch))} voxels.
- Hidden: {low} to {high} of the cells of {" x ".join(map(str, pretraining["cell"]))} voxels{picked}. Targets:
  {pretraining["targets"]}.
- Learnt from {pretraining["volumes"]} volumes of `{pretraining["data"]}`, {pretraining["epochs"]} epochs of
  {pretraining["steps_per_epoch"]} steps, {metrics["seconds"]:.0f} s.
- Terms of the data: {pretraining["data_terms"]}.

On {where}: squared error of the hidden voxels {held["loss"]:.4f}, against
{held["mean_loss"]:.4f} for a guess of the mean. It explains {held["explained"]:.0%} of what the mean leaves.
`reconstruction.png` shows the middle of one of them: original, what the encoder saw, rebuilt.

**Intended use**: the start of a training, for research. It knows images like those of its data only.

{pretraining["notes"]}
""".rstrip()
        + "\n"
    )

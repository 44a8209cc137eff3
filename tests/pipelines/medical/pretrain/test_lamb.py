"""LAMB against its formula, step by step."""

from __future__ import annotations

import numpy as np
import torch

from pipelines.medical.pretrain.lamb import Lamb


def test_steps_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    kernel = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = Lamb(
        [{"params": [kernel], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}], lr=0.01
    )
    values = {"kernel": kernel.detach().numpy().copy(), "bias": bias.detach().numpy().copy()}
    state = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in values.items()}
    for step in range(1, 5):
        gradients = {
            name: np.cos(step + np.arange(value.size)).reshape(value.shape) for name, value in values.items()
        }
        kernel.grad, bias.grad = (torch.from_numpy(gradients[name]) for name in ("kernel", "bias"))
        optimizer.step()
        for name, decay in (("kernel", 0.1), ("bias", 0.0)):
            m, v = state[name]
            m, v = 0.9 * m + 0.1 * gradients[name], 0.95 * v + 0.05 * gradients[name] ** 2
            state[name] = m, v
            change = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.95**step)) + 1e-6) + decay * values[name]
            trust = np.linalg.norm(values[name]) / np.linalg.norm(change) if decay else 1.0
            values[name] = values[name] - 0.01 * trust * change
        np.testing.assert_allclose(kernel.detach().numpy(), values["kernel"], rtol=1e-10)
        np.testing.assert_allclose(bias.detach().numpy(), values["bias"], rtol=1e-10)

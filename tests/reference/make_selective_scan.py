"""Writes selective_scan.npz: a Mamba block of Hugging Face's transformers.

    pip install transformers==4.57.3 torch==2.13.0 numpy
    python tests/reference/make_selective_scan.py

Weights are by formula (filling.py); what is stored is the input, by formula as well, the
block's output and the gradient of half its squared norm by the input. On a CPU, without the
authors' kernels, the block there is a plain loop over the tokens.
"""

from pathlib import Path

import numpy as np
import torch
from filling import filled, uniform
from transformers.models.mamba.configuration_mamba import MambaConfig
from transformers.models.mamba.modeling_mamba import MambaMixer

CHANNELS, STATE, RANK = 6, 4, 3


def main() -> None:
    config = MambaConfig(hidden_size=CHANNELS, state_size=STATE, time_step_rank=RANK)
    block = MambaMixer(config, layer_idx=0)
    shapes = {name: tuple(p.shape) for name, p in block.state_dict().items()}
    state = {name: torch.from_numpy(filled(name, shape)) for name, shape in shapes.items()}
    block.load_state_dict(state)
    x = torch.from_numpy(uniform("input", (2, 13, CHANNELS))).requires_grad_()
    y = block(x)
    (gradient,) = torch.autograd.grad(0.5 * (y**2).sum(), x)
    np.savez_compressed(
        Path(__file__).with_name("selective_scan.npz"),
        output=y.detach().numpy(),
        gradient=gradient.numpy(),
    )


if __name__ == "__main__":
    main()

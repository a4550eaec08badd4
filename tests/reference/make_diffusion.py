"""Writes diffusion.npz: small DDPM U-Nets of Hugging Face's diffusers, both kinds of telling.

    pip install diffusers==0.36.0 torch==2.13.0 numpy
    python tests/reference/make_diffusion.py

Weights and inputs are by formula (filling.py); what is stored are the tensors' names and shapes,
the outputs, and the gradients of half their squared norms by the input, and its schedules.
"""

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DModel
from filling import state, uniform


def case(scale_shift: bool) -> dict[str, np.ndarray]:
    model = UNet2DModel(
        sample_size=8,
        in_channels=2,
        out_channels=2,
        freq_shift=0,
        flip_sin_to_cos=False,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        attention_head_dim=8,
        norm_num_groups=4,
        attn_norm_num_groups=4,
        resnet_time_scale_shift="scale_shift" if scale_shift else "default",
        num_class_embeds=3,
    ).eval()
    shapes = {name: list(p.shape) for name, p in model.state_dict().items()}
    values = {name: torch.from_numpy(v) for name, v in state(shapes).items()}
    model.load_state_dict(values)
    x = torch.from_numpy(uniform("input", (2, 2, 8, 12))).requires_grad_()
    y = model(x, torch.tensor([3.0, 400.0]), torch.tensor([2, 0])).sample
    (gradient,) = torch.autograd.grad(0.5 * (y**2).sum(), x)
    kind = "scale_shift" if scale_shift else "added"
    return {
        f"{kind}_shapes": np.array(json.dumps(shapes)),
        f"{kind}_output": y.detach().numpy(),
        f"{kind}_gradient": gradient.numpy(),
    }


def schedules() -> dict[str, np.ndarray]:
    named = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
    return {
        name: DDPMScheduler(1000, beta_schedule=kind).alphas_cumprod.numpy()[::37]
        for name, kind in named.items()
    }


def main() -> None:
    path = Path(__file__).with_name("diffusion.npz")
    np.savez_compressed(path, **case(True), **case(False), **schedules())


if __name__ == "__main__":
    main()

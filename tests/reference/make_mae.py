"""Writes mae.npz: a small masked autoencoder of another library, with random weights.

    pip install transformers==5.23.0 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_mae.py

The tensors by the names of the authors' release ("weight/NAME"), the input (channels last),
the noise by which patches are ordered, the predicted patches, and the loss.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import ViTMAEConfig, ViTMAEForPreTraining

CONFIG = ViTMAEConfig(
    image_size=16,
    patch_size=4,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=96,
    decoder_hidden_size=16,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=64,
    mask_ratio=0.75,
    norm_pix_loss=True,
    layer_norm_eps=1e-6,
)
SWAPS = (
    ("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("vit.embeddings.cls_token", "cls_token"),
    ("vit.layers.", "blocks."),
    ("vit.layernorm", "norm"),
    ("decoder.decoder_layers.", "decoder_blocks."),
    ("decoder.", ""),
    ("attention.o_proj", "attn.proj"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
)


def released(name):
    for theirs, original in SWAPS:
        name = name.replace(theirs, original)
    return name


def sines(channels):
    """The authors' table of the grid of 4 by 4, after a row of zeros for the class token."""
    y, x = np.meshgrid(np.arange(4), np.arange(4), indexing="ij")
    frequency = 1 / 10000 ** (np.arange(channels // 4) / (channels / 4))
    halves = [np.outer(axis.ravel(), frequency) for axis in (x, y)]
    table = np.concatenate([f(half) for half in halves for f in (np.sin, np.cos)], axis=1)
    table = np.concatenate([np.zeros((1, channels)), table])
    return torch.from_numpy(table[None]).float()


if __name__ == "__main__":
    generator = torch.Generator().manual_seed(0)
    model = ViTMAEForPreTraining(CONFIG).eval()
    tensors = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "pos" in name:
                parameter.copy_(sines(parameter.shape[-1]))
                continue
            # Exact in half precision, in which they are stored.
            values = (0.3 * torch.randn(parameter.shape, generator=generator)).half()
            parameter.copy_(values.float())
            tensors[released(name)] = values.numpy()
        for name in [name for name in tensors if ".q_proj." in name]:
            parts = [tensors.pop(name.replace("q_proj", part + "_proj")) for part in "qkv"]
            tensors[name.replace("attention.q_proj", "attn.qkv")] = np.concatenate(parts)
        x = torch.randn(2, 3, 16, 16, generator=generator)
        noise = torch.rand(2, 16, generator=generator)
        y = model(x, noise=noise)
    np.savez_compressed(
        Path(__file__).with_name("mae.npz"),
        input=np.moveaxis(x.numpy(), 1, -1),
        noise=noise.numpy(),
        predicted=y.logits.numpy(),
        mask=y.mask.numpy().astype(bool),
        loss=y.loss.numpy(),
        **{f"weight/{name}": a for name, a in tensors.items()},
    )

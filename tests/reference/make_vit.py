"""Writes vit.npz: small vision transformers of other libraries, with random weights.

    pip install timm==1.0.31 torchvision==0.29.2 monai==1.6.1 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_vit.py

For each case the tensors ("CASE/NAME"), the input ("CASE:input", channels last) and what
came out ("CASE:logits", "CASE:tokens"). DINOv2's and MAE's cases are timm's models, whose
tensors are given the names of those projects' own releases: register_tokens, w12 and w3;
a mask token, a decoder, and positions by sines and cosines, written here anew.
"""

from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import ViT as MONAI
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer as Timm
from torchvision.models.vision_transformer import VisionTransformer as TorchVision

SMALL = {
    "img_size": 16,
    "patch_size": 4,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 2,
    "mlp_ratio": 2,
}


def randomised(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            # Exact in half precision, in which they are stored.
            values = 0.3 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(values.half().float())
    return model.eval()


def sines(grid, channels):
    """MAE's table: half of the channels for x, half for y; sines before cosines."""
    y, x = np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij")
    frequency = 1 / 10000 ** (np.arange(channels // 4) / (channels / 4))
    halves = [np.outer(axis.ravel(), frequency) for axis in (x, y)]
    table = np.concatenate([f(half) for half in halves for f in (np.sin, np.cos)], axis=1)
    return np.concatenate([np.zeros((1, channels)), table])[None].astype(np.float32)


def cases():
    yield "timm", randomised(Timm(**SMALL, num_classes=3, qk_norm=True), 1), (2, 3, 16, 16)
    # Of another size: positions are interpolated, and the last patches filled with zeros.
    larger = Timm(**SMALL, num_classes=3, dynamic_img_size=True, dynamic_img_pad=True)
    yield "larger", randomised(larger, 2), (2, 3, 24, 18)
    swiglu = {"mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU, "init_values": 1e-5}
    dinov2 = Timm(**SMALL, num_classes=0, reg_tokens=2, no_embed_class=True, **swiglu)
    yield "timm_swiglu", randomised(dinov2, 3), (2, 3, 16, 16)
    dinov2 = Timm(**SMALL, num_classes=0, **swiglu)
    yield "dinov2", randomised(dinov2, 4), (2, 3, 16, 16)
    yield "mae", randomised(Timm(**SMALL, num_classes=0), 5), (2, 3, 16, 16)
    torchvision = TorchVision(16, 4, 2, 2, 24, 48, num_classes=3)
    yield "torchvision", randomised(torchvision, 6), (2, 3, 16, 16)
    monai = MONAI(1, (8, 12, 4), 4, 24, 48, 2, 2, classification=True, num_classes=3)
    yield "monai", randomised(monai, 7), (2, 1, 8, 12, 4)


def released(name, state):
    """The tensors by the names of a project's own release."""
    if name == "dinov2":
        swaps = (("mlp.fc1", "mlp.w12"), ("mlp.fc2", "mlp.w3"))
        for old, new in swaps:
            state = {key.replace(old, new): a for key, a in state.items()}
        state["mask_token"] = np.ones((1, 24), np.float32)
    if name == "mae":
        state["mask_token"] = np.ones((1, 1, 24), np.float32)
        state["decoder_pos_embed"] = np.ones((1, 17, 24), np.float32)
        state["decoder_blocks.0.norm1.weight"] = np.ones(24, np.float32)
    return state


if __name__ == "__main__":
    arrays = {}
    for name, model, shape in cases():
        if name == "mae":
            model.pos_embed.data.copy_(torch.from_numpy(sines(4, 24)))
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(shape, generator=generator)
        with torch.no_grad():
            y = model(x)
            if isinstance(model, Timm):
                arrays[f"{name}:tokens"] = model.forward_features(x).numpy()
        arrays[f"{name}:input"] = np.moveaxis(x.numpy(), 1, -1)
        arrays[f"{name}:logits"] = (y[0] if name == "monai" else y).numpy()
        state = {key: tensor.half().numpy() for key, tensor in model.state_dict().items()}
        arrays |= {f"{name}/{key}": a for key, a in released(name, state).items()}
    np.savez_compressed(Path(__file__).with_name("vit.npz"), **arrays)

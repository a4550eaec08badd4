"""Writes swin.npz: small Swin transformers of timm, torchvision and MONAI, with random weights.

    pip install timm==1.0.31 torchvision==0.28.0 monai==1.6.1 einops torch==2.13.0 numpy==2.4.6
    python tests/reference/make_swin.py

For each case the tensors ("CASE/NAME"), the input ("CASE:input", channels last) and what
came out ("CASE:logits", "CASE:map0", "CASE:map1"). Two stages: in the first, four by four
windows are shifted; in the second, "whole" has one window an image and "split" four.
"volume" is two blocks of MONAI's, of which the second is shifted, by timm's names.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets.swin_unetr import BasicLayer
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torchvision.models import swin_transformer as torchvision

SMALL = {"patch_size": 2, "embed_dim": 8, "depths": (2, 2), "num_heads": (1, 2), "mlp_ratio": 2}
CASES = {
    "whole": (SwinTransformer, 16, {}),
    "split": (SwinTransformer, 32, {}),
    "whole_v2": (SwinTransformerV2, 16, {}),
    "split_v2": (SwinTransformerV2, 32, {"pretrained_window_sizes": (2, 3)}),
}
# Of one size an axis, in lists, and with no say about the size of the image.
LISTS = {
    "patch_size": [2, 2],
    "embed_dim": 8,
    "depths": [2, 2],
    "num_heads": [1, 2],
    "window_size": [4, 4],
    "mlp_ratio": 2,
    "num_classes": 3,
    "stochastic_depth_prob": 0.0,
}
SECOND = {
    "block": torchvision.SwinTransformerBlockV2,
    "downsample_layer": torchvision.PatchMergingV2,
}


def randomised(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            # Exact in half precision, in which they are stored.
            values = 0.3 * torch.randn(parameter.shape, generator=generator)
            if key.endswith("logit_scale"):
                values += 4.5  # about the logarithm of 100, where it is cut off
            parameter.copy_(values.half().float())
    return model.eval(), generator


def stored(name, model, x, **outputs):
    tensors = {f"{name}/{key}": a.half().numpy() for key, a in model.state_dict().items()}
    outputs = {f"{name}:{key}": y.numpy() for key, y in outputs.items()}
    return {**tensors, f"{name}:input": np.moveaxis(x.numpy(), 1, -1), **outputs}


@torch.no_grad()
def main() -> None:
    arrays = {}
    for seed, (name, (kind, size, options)) in enumerate(CASES.items()):
        model = kind(img_size=size, window_size=4, num_classes=3, **SMALL, **options)
        model, generator = randomised(model, seed)
        x = torch.randn((2, 3, size, size), generator=generator)
        maps = {"map0": model.layers[0](model.patch_embed(x)), "map1": model.forward_features(x)}
        arrays |= stored(name, model, x, logits=model(x), **maps)
    for seed, (name, options) in enumerate({"torchvision": {}, "torchvision_v2": SECOND}.items()):
        model, generator = randomised(torchvision.SwinTransformer(**LISTS, **options), seed)
        x = torch.randn((2, 3, 32, 32), generator=generator)
        maps = {"map0": model.features[:2](x), "map1": model.norm(model.features(x))}
        arrays |= stored(name, model, x, logits=model(x), **maps)
    make = partial(BasicLayer, depth=2, num_heads=2, drop_path=[0.0, 0.0], qkv_bias=True)
    model, generator = randomised(make(8, window_size=(4, 4, 4), mlp_ratio=2), 0)
    x = torch.randn((1, 8, 8, 8, 4), generator=generator)
    volume = stored("volume", model, x, map0=torch.moveaxis(model(x), 1, -1))
    for key, value in volume.items():
        key = key.replace("/blocks", "/layers.0.blocks").replace("mlp.linear", "mlp.fc")
        if not key.endswith("relative_position_index"):
            arrays[key] = value
    np.savez_compressed(Path(__file__).with_name("swin.npz"), **arrays)


if __name__ == "__main__":
    main()

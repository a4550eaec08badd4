"""Writes swin.npz: small Swin transformers of timm, both versions, with random weights.

    pip install timm==1.0.31 torch==2.15.0 numpy==2.4.6
    python tests/reference/make_swin.py

For each case the tensors ("CASE/NAME"), the input ("CASE:input", channels last) and what
came out ("CASE:logits", "CASE:map0", "CASE:map1"). Two stages: in the first, four by four
windows are shifted; in the second, "whole" has one window an image and "split" four.
"""

from pathlib import Path

import numpy as np
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2

SMALL = {"patch_size": 2, "embed_dim": 8, "depths": (2, 2), "num_heads": (1, 2), "mlp_ratio": 2}
CASES = {
    "whole": (SwinTransformer, 16, {}),
    "split": (SwinTransformer, 32, {}),
    "whole_v2": (SwinTransformerV2, 16, {}),
    "split_v2": (SwinTransformerV2, 32, {"pretrained_window_sizes": (2, 3)}),
}

if __name__ == "__main__":
    arrays = {}
    for seed, (name, (kind, size, options)) in enumerate(CASES.items()):
        model = kind(img_size=size, window_size=4, num_classes=3, **SMALL, **options).eval()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                # Exact in half precision, in which they are stored.
                values = 0.3 * torch.randn(parameter.shape, generator=generator)
                if key.endswith("logit_scale"):
                    values += 4.5  # about the logarithm of 100, where it is cut off
                parameter.copy_(values.half().float())
            x = torch.randn((2, 3, size, size), generator=generator)
            arrays[f"{name}:logits"] = model(x).numpy()
            arrays[f"{name}:map0"] = model.layers[0](model.patch_embed(x)).numpy()
            arrays[f"{name}:map1"] = model.forward_features(x).numpy()
        arrays[f"{name}:input"] = np.moveaxis(x.numpy(), 1, -1)
        for key, tensor in model.state_dict().items():
            arrays[f"{name}/{key}"] = tensor.half().numpy()
    np.savez_compressed(Path(__file__).with_name("swin.npz"), **arrays)

"""Write super_resolution.npz: parts of super-resolution by PyTorch.

    pip install torch==2.13.0 numpy
    python tests/reference/make_super_resolution.py

EDSR is built of PyTorch's layers from the paper's figures, and texture transfer of its unfold,
argmax and fold; interpolation is PyTorch's with antialiasing, whose cubic kernel is Keys' with
a = -1/2. Weights are `filling`'s, by the names that the tests know them under.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from filling import filled
from torch import nn

rng = np.random.default_rng(0)
out = {}


def draw(name, *shape):
    """A random array, channels first as PyTorch has images; kept under a name."""
    out[name] = rng.standard_normal(shape).astype(np.float32)
    return torch.tensor(out[name])


class Block(nn.Module):
    def __init__(self, width, scaling):
        super().__init__()
        self.conv0 = nn.Conv2d(width, width, 3, padding=1)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.scaling = scaling

    def forward(self, x):
        return x + self.scaling * self.conv1(torch.relu(self.conv0(x)))


class EDSR(nn.Module):
    """As the paper's figure 3: a head, blocks and a skip, an upsampler, a last convolution."""

    def __init__(self, channels, width, blocks, scaling, steps):
        super().__init__()
        self.start = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, scaling) for _ in range(blocks))
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.steps = nn.ModuleList(nn.Conv2d(width, width * s * s, 3, padding=1) for s in steps)
        self.head = nn.Conv2d(width, channels, 3, padding=1)
        self.scales = steps

    def forward(self, x):
        start = y = self.start(x)
        for block in self.blocks:
            y = block(y)
        y = start + self.conv(y)
        for conv, scale in zip(self.steps, self.scales, strict=True):
            y = F.pixel_shuffle(conv(y), scale)
        return self.head(y)


network = EDSR(2, 4, 2, 0.1, (2, 3)).eval()
weights = {name: filled(name, tuple(v.shape)) for name, v in network.state_dict().items()}
network.load_state_dict({name: torch.tensor(v) for name, v in weights.items()})
with torch.no_grad():
    out["edsr_out"] = network(draw("edsr_in", 1, 2, 5, 4)).numpy()

image = draw("resize_in", 1, 2, 6, 9)
for method in ("bilinear", "bicubic"):
    for name, sizes in (("up", (12, 13)), ("down", (3, 4))):
        resized = F.interpolate(image, sizes, mode=method, antialias=True)
        out[f"resize_{method}_{name}"] = resized.numpy()

query, key = draw("texture_query", 1, 3, 4, 5), draw("texture_key", 1, 3, 5, 3)
q, k = (F.normalize(F.unfold(x, 3, padding=1), dim=1) for x in (query, key))
relevance, index = (q.transpose(1, 2) @ k).max(dim=2)
out["texture_relevance"] = relevance.view(1, 4, 5).numpy()
for scale in (1, 2):
    value = draw(f"texture_value{scale}", 1, 2, 5 * scale, 3 * scale)
    how = {"kernel_size": 3 * scale, "padding": scale, "stride": scale}
    patches = F.unfold(value, **how)[0][:, index[0]][None]
    size = (4 * scale, 5 * scale)
    overlaps = F.fold(F.unfold(torch.ones(1, 1, *size), **how), size, **how)
    out[f"texture_out{scale}"] = (F.fold(patches, size, **how) / overlaps).numpy()

np.savez_compressed(Path(__file__).with_name("super_resolution.npz"), **out)

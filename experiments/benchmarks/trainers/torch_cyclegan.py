"""CycleGAN's networks in PyTorch (Zhu et al. 2017, arXiv:1703.10593, appendix 7.2).

As many parameters as `medjax.models.generative`'s TranslationResNet and PatchGAN: instance norm
with a scale and a bias a channel, and no bias in the convolution before it.
"""

import itertools

from torch import nn


def conv(inputs, features, window, stride=1, padding=0, mode="zeros"):
    layer = nn.Conv2d(inputs, features, window, stride, padding, bias=False, padding_mode=mode)
    return [layer, nn.InstanceNorm2d(features, affine=True)]


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        same = {"padding": 1, "mode": "reflect"}
        first, second = (conv(width, width, 3, **same) for _ in range(2))
        self.branch = nn.Sequential(*first, nn.ReLU(True), *second)

    def forward(self, x):
        return x + self.branch(x)


def translator(features, blocks):
    """From an image of one channel to another."""
    layers = [*conv(1, features[0], 7, padding=3, mode="reflect"), nn.ReLU(True)]
    pairs = list(itertools.pairwise(features))
    for fine, coarse in pairs:
        layers += [*conv(fine, coarse, 3, 2, 1), nn.ReLU(True)]
    layers += [Residual(features[-1]) for _ in range(blocks)]
    for fine, coarse in reversed(pairs):
        up = nn.ConvTranspose2d(coarse, fine, 3, 2, 1, output_padding=1, bias=False)
        layers += [up, nn.InstanceNorm2d(fine, affine=True), nn.ReLU(True)]
    head = nn.Conv2d(features[0], 1, 7, padding=3, padding_mode="reflect")
    return nn.Sequential(*layers, head, nn.Tanh())


def patch_judge(features):
    """A logit for each part of an image."""
    layers = [nn.Conv2d(1, features[0], 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for level, (inputs, width) in enumerate(itertools.pairwise(features), 1):
        stride = 2 if level < len(features) - 1 else 1
        layers += [*conv(inputs, width, 4, stride, 1), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(features[-1], 1, 4, 1, 1))

"""EfficientNets."""

from __future__ import annotations

import math
from typing import Any

from medjax.core.errors import InputError
from medjax.layers.attend import ImageAttention

from .inverted import Activation, Inverted, InvertedNetwork, rounded

B0 = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, kernel, stride of the first, channels and repeats: Tan & Le 2019, table 1."""

SIZES = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}
"""Factors of width and depth, the image's size that goes with them, and dropout: compound
scaling (Tan & Le 2019, eq. 3) as its authors rounded it."""


def scaled_blocks(
    stages: tuple[tuple[int, int, int, int, int], ...], width: float, depth: float, stem: int
) -> tuple[Inverted, ...]:
    """Blocks of stages such as `B0`, wider and deeper by these factors.

    Squeeze-and-excitation has a quarter of the block's input channels.
    """
    blocks, channels = [], stem
    for expansion, kernel, strides, features, repeats in stages:
        for i in range(math.ceil(repeats * depth)):
            expanded, squeezed = channels * expansion, max(1, channels // 4)
            # The published networks round the product of channels and expansion anew.
            expanded = rounded(expanded) if expansion > 1 else expanded
            channels = rounded(features * width)
            step = strides if i == 0 else 1
            blocks.append(Inverted(kernel, expanded, channels, step, "silu", squeezed))
    return tuple(blocks)


class EfficientNet(InvertedNetwork):
    """EfficientNet of Tan & Le 2019 (arXiv:1905.11946), b0 to b7.

    As in the paper, with stochastic depth of 0.2 in training. 2D and 3D by the input; the
    defaults are b0's. Convolutions of stride 2 have zeros at either end, as in PyTorch's
    versions; the authors' own pads at the far end, so that its weights see another grid.
    Attributes are those of `medjax.models.classifiers.inverted.InvertedNetwork`.
    """

    blocks: tuple[Inverted, ...] = scaled_blocks(B0, 1.0, 1.0, 32)
    activation: Activation = "silu"
    squeezed_activation: Activation = "silu"
    drop_path: float = 0.2
    attention: ImageAttention = "se"

    @classmethod
    def named(cls, size: str, **changes: Any) -> EfficientNet:
        """A size of the literature.

        Args:
            size: "b0" to "b7", see `SIZES`.
            **changes: of any attribute.

        Raises:
            InputError: for another size.
        """
        if size not in SIZES:
            raise InputError("size", f"one of {', '.join(SIZES)}", repr(size))
        width, depth, _, dropout = SIZES[size]
        stem = rounded(32 * width)
        blocks = scaled_blocks(B0, width, depth, stem)
        fields: dict[str, Any] = {
            "blocks": blocks,
            "stem": stem,
            "last": 4 * blocks[-1].features,
            "dropout": dropout,
            # As in the weights at large.
            "epsilon": 1e-3 if size in ("b5", "b6", "b7") else 1e-5,
        }
        return cls(**{**fields, **changes})

"""MobileNets."""

from __future__ import annotations

from typing import Any

from medjax.core.errors import InputError
from medjax.layers.attend import ImageAttention

from .inverted import Activation, Inverted, InvertedNetwork, rounded

V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, repeats and stride of the first: Sandler et al. 2018, table 2."""

V3_LARGE = (
    (3, 16, 16, 1, "relu", False),
    (3, 64, 24, 2, "relu", False),
    (3, 72, 24, 1, "relu", False),
    (5, 72, 40, 2, "relu", True),
    (5, 120, 40, 1, "relu", True),
    (5, 120, 40, 1, "relu", True),
    (3, 240, 80, 2, "hard_swish", False),
    (3, 200, 80, 1, "hard_swish", False),
    (3, 184, 80, 1, "hard_swish", False),
    (3, 184, 80, 1, "hard_swish", False),
    (3, 480, 112, 1, "hard_swish", True),
    (3, 672, 112, 1, "hard_swish", True),
    (5, 672, 160, 2, "hard_swish", True),
    (5, 960, 160, 1, "hard_swish", True),
    (5, 960, 160, 1, "hard_swish", True),
)
V3_SMALL = (
    (3, 16, 16, 2, "relu", True),
    (3, 72, 24, 2, "relu", False),
    (3, 88, 24, 1, "relu", False),
    (5, 96, 40, 2, "hard_swish", True),
    (5, 240, 40, 1, "hard_swish", True),
    (5, 240, 40, 1, "hard_swish", True),
    (5, 120, 48, 1, "hard_swish", True),
    (5, 144, 48, 1, "hard_swish", True),
    (5, 288, 96, 2, "hard_swish", True),
    (5, 576, 96, 1, "hard_swish", True),
    (5, 576, 96, 1, "hard_swish", True),
)
"""Kernel, expanded channels, channels, stride, activation, whether it has
squeeze-and-excitation: Howard et al. 2019, tables 1 and 2."""


def v2_blocks(stages: tuple[tuple[int, int, int, int], ...], width: float, stem: int) -> Any:
    """Blocks of stages such as `V2`, after a stem of so many channels."""
    blocks, channels = [], stem
    for expansion, features, repeats, strides in stages:
        for i in range(repeats):
            expanded = channels * expansion
            channels = rounded(features * width)
            step = strides if i == 0 else 1
            squeezed = rounded(expanded / 4)
            blocks.append(Inverted(3, expanded, channels, step, "relu6", squeezed))
    return tuple(blocks)


def v3_blocks(rows: tuple[tuple[Any, ...], ...], width: float) -> tuple[Inverted, ...]:
    """Blocks of rows such as `V3_LARGE`."""
    blocks = []
    for kernel, expanded, features, strides, activation, attends in rows:
        wide = rounded(expanded * width)
        squeezed = rounded(wide // 4) if attends else 0
        block = Inverted(kernel, wide, rounded(features * width), strides, activation, squeezed)
        blocks.append(block)
    return tuple(blocks)


class MobileNet(InvertedNetwork):
    """MobileNetV2 of Sandler et al. 2018 (arXiv:1801.04381) and V3 of Howard et al. 2019.

    V3: arXiv:1905.02244. As in the papers, but that V3's squeeze-and-excitation has a quarter
    of the expanded channels rounded to 8, and its last layers biases where the weights at
    large have them. 2D and 3D by the input; the defaults are V2's. Attributes are those of
    `medjax.models.classifiers.inverted.InvertedNetwork`.
    """

    blocks: tuple[Inverted, ...] = v2_blocks(V2, 1.0, 32)

    @classmethod
    def named(cls, size: str, width: float = 1.0, **changes: Any) -> MobileNet:
        """A size of the literature.

        Args:
            size: "v2", "v3_small" or "v3_large".
            width: factor on all channels.
            **changes: of any attribute.

        Raises:
            InputError: for another size.
        """
        if size == "v2":
            stem = rounded(32 * width)
            fields: dict[str, Any] = {
                "blocks": v2_blocks(V2, width, stem),
                "stem": stem,
                "last": rounded(1280 * max(1.0, width)),
            }
        elif size in ("v3_small", "v3_large"):
            large = size == "v3_large"
            blocks = v3_blocks(V3_LARGE if large else V3_SMALL, width)
            attention: ImageAttention = "se"
            activation: Activation = "hard_swish"
            fields = {
                "blocks": blocks,
                "stem": rounded(16 * width),
                "last": 6 * blocks[-1].features,
                "hidden": rounded((1280 if large else 1024) * width),
                "activation": activation,
                "hard_gate": True,
                "attention": attention,
                "epsilon": 1e-3,
            }
        else:
            raise InputError("size", "one of v2, v3_small, v3_large", repr(size))
        return cls(**{**fields, **changes})

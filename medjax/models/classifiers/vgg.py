"""VGG networks."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attend import ImageAttention, block_attention, stage_attention
from medjax.layers.conv import Size
from medjax.layers.conv_norm import ConvNorm
from medjax.layers.norm import Norm
from medjax.layers.pool import max_pool
from medjax.models.backbone import Backbone, Features

from .dense_head import DenseLayers

SIZES: dict[str, dict[str, Any]] = {
    "11": {"depths": (1, 1, 2, 2, 2)},
    "13": {"depths": (2, 2, 2, 2, 2)},
    "16": {"depths": (2, 2, 3, 3, 3)},
    "19": {"depths": (2, 2, 4, 4, 4)},
}
"""Simonyan & Zisserman 2015, table 1, columns A, B, D and E."""


class VGG(Backbone):
    """VGG of Simonyan & Zisserman 2015 (arXiv:1409.1556), of 11 to 19 layers.

    As in the paper; with batch norm where ``norm`` says so, as it came later. 2D and 3D by
    the input. Images of any size: the last map is averaged to the grid that the dense layers
    read, which for the published sizes does nothing.

    `features` gives what the second dense layer gives, and a map a stage before its pooling
    (reduced by 1, 2, 4, 8 and 16).

    Attributes:
        depths: 3x3 convolutions of each stage.
        widths: channels of each stage.
        grid: see `medjax.models.classifiers.dense_head.DenseLayers`; in 3D one of 7 makes a
            kernel of 7 x 7 x 7 parts, so that a smaller one or no dense layers suit better.
        hidden: likewise; with none, the head reads the mean of the last map.
        dropout: chance of dropping a value that the second dense layer or the head reads.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`: after each stage; "nonlocal"
            where the image is reduced by 8 and by 16.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    depths: tuple[int, ...] = (2, 2, 3, 3, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    grid: Size = 7
    hidden: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    norm: Norm = "none"
    attention: ImageAttention = "none"
    dtype: jnp.dtype | type = jnp.float32

    @classmethod
    def named(cls, size: str, **changes: Any) -> VGG:
        """A size of the literature.

        Args:
            size: "11", "13", "16" or "19", see `SIZES`.
            **changes: of any attribute, such as ``norm="batch"``.

        Raises:
            InputError: for another size.
        """
        if size not in SIZES:
            raise InputError("size", f"one of {', '.join(SIZES)}", repr(size))
        return cls(**{**SIZES[size], **changes})

    def setup(self):
        """Make the head."""
        super().setup()
        self.drop = nn.Dropout(self.dropout)

    @nn.compact
    def features(self, x: Array, train: bool = False) -> Features:
        """Features of a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype, and for options that do not fit.
        """
        if len(self.depths) != len(self.widths):
            raise InputError("depths", f"{len(self.widths)}, one a width", self.depths)
        maps, index = [], 0
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for _ in range(depth):
                unit = ConvNorm(width, norm=self.norm, dtype=self.dtype, name=f"conv{index}")
                x = unit(x, train)
                index += 1
            name = f"attention{stage}"
            attention = block_attention(self.attention, width, self.dtype, name)
            if stage in (3, 4):
                attention = attention or stage_attention(self.attention, self.dtype, name)
            if attention is not None:
                x = attention(x)
            maps.append(x)
            x = max_pool(x, 2, 2)
        layers = DenseLayers(self.hidden, self.grid, self.dropout, dtype=self.dtype, name="dense")
        return Features(layers(x, train), tuple(maps))

    def classify(
        self, pooled: Float[Array, "batch channel"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Logits of pooled features; needs rng "dropout" to train."""
        return self.head(self.drop(pooled, deterministic=not train))

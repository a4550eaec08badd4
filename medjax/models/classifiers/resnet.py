"""Residual networks."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attend import ImageAttention, block_attention, stage_attention
from medjax.layers.conv import Size
from medjax.layers.conv_norm import ConvNorm
from medjax.layers.drop import DropPath
from medjax.layers.norm import Norm
from medjax.layers.pool import average_pool, edged_to_multiple, global_average_pool, max_pool
from medjax.models.backbone import Backbone, Features

SIZES: dict[str, dict[str, Any]] = {
    "18": {"depths": (2, 2, 2, 2), "block": "basic"},
    "34": {"depths": (3, 4, 6, 3), "block": "basic"},
    "50": {"depths": (3, 4, 6, 3)},
    "101": {"depths": (3, 4, 23, 3)},
    "152": {"depths": (3, 8, 36, 3)},
    "wide50": {"depths": (3, 4, 6, 3), "inner": 2.0},
    "wide101": {"depths": (3, 4, 23, 3), "inner": 2.0},
}
"""He et al. 2016, table 1; wide: Zagoruyko & Komodakis 2016 (arXiv:1605.07146)."""

EXPANSION = {"basic": 1, "bottleneck": 4}
"""Channels that a block gives, in its stage's width."""


class ResidualBlock(nn.Module):
    """Two or three convolutions whose result is added to the input.

    Attributes:
        width: channels of the stage.
        strides: of the 3x3 convolution; the first one's in a basic block.
        block: "basic" or "bottleneck".
        inner: factor on the channels of a bottleneck's 3x3 convolution.
        shortcut_pool: average-pool the shortcut by the stride, as ResNet-D.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`.
        drop_path: chance of `medjax.layers.drop.DropPath`.
        dtype: of the computation and the output.
    """

    width: int
    strides: Size = 1
    block: Literal["basic", "bottleneck"] = "bottleneck"
    inner: float = 1.0
    shortcut_pool: bool = False
    norm: Norm = "batch"
    attention: ImageAttention = "none"
    drop_path: float = 0.0
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        features = self.width * EXPANSION[self.block]

        def conv(
            y: Array, name: str, channels: int, window: int, strides: Size = 1, **how
        ) -> Array:
            unit = ConvNorm(
                channels, window, strides, norm=self.norm, dtype=self.dtype, name=name, **how
            )
            return unit(y, train)

        if self.block == "basic":
            y = conv(x, "conv1", self.width, 3, self.strides)
            y = conv(y, "conv2", features, 3, activation=None)
        else:
            inner = int(self.width * self.inner)
            y = conv(x, "conv1", inner, 1)
            y = conv(y, "conv2", inner, 3, self.strides)
            y = conv(y, "conv3", features, 1, activation=None)
        attention = block_attention(self.attention, features, self.dtype)
        if attention is not None:
            y = attention(y)
        y = DropPath(name="drop")(y, self.drop_path, train)
        if self.strides != 1 or x.shape[-1] != features:
            strides = self.strides
            if self.shortcut_pool:
                x, strides = average_pool(edged_to_multiple(x, strides), strides), 1
            x = conv(x, "shortcut", features, 1, strides, activation=None)
        return nn.relu(y + x.astype(y.dtype))


class ResNet(Backbone):
    """Residual network of He et al. 2016 (arXiv:1512.03385), of 18 to 152 layers.

    As in the paper, with the stride of a bottleneck in its 3x3 convolution, where the
    weights at large have it ("v1.5"). 2D and 3D by the input.

    `features` gives the mean of the last map, and five maps: the stem's before its pooling
    (reduced by 2) and each stage's (by 4, 8, 16 and 32).

    Attributes:
        depths: blocks of each stage.
        block: "basic" (two 3x3 convolutions) or "bottleneck" (1x1, 3x3, 1x1).
        widths: channels of each stage; a bottleneck gives four times as many.
        inner: factor on the channels of a bottleneck's 3x3 convolution; 2 makes it wide.
        stem: channels of the first layer.
        stem_kernel: its window along each axis; 3 and no strides suit images of few pixels.
        stem_strides: its step along each axis.
        stem_pool: whether maxima of its output are pooled by 2.
        variant_d: ResNet-D of He et al. 2019 (arXiv:1812.01187): three 3x3 convolutions in
            the stem, the first two with half its channels, and average-pooled shortcuts.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`: on the branch of each block;
            "nonlocal" after the second and third stage.
        drop_path: chance of dropping the last block's branch; it grows from 0 in the first.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    block: Literal["basic", "bottleneck"] = "bottleneck"
    widths: tuple[int, ...] = (64, 128, 256, 512)
    inner: float = 1.0
    stem: int = 64
    stem_kernel: Size = 7
    stem_strides: Size = 2
    stem_pool: bool = True
    variant_d: bool = False
    norm: Norm = "batch"
    attention: ImageAttention = "none"
    drop_path: float = 0.0
    dtype: jnp.dtype | type = jnp.float32

    @classmethod
    def named(cls, size: str, **changes: Any) -> ResNet:
        """A size of the literature.

        Args:
            size: "18", "34", "50", "101", "152", "wide50" or "wide101", see `SIZES`.
            **changes: of any attribute.

        Raises:
            InputError: for another size.
        """
        if size not in SIZES:
            raise InputError("size", f"one of {', '.join(SIZES)}", repr(size))
        return cls(**{**SIZES[size], **changes})

    @nn.compact
    def features(self, x: Array, train: bool = False) -> Features:
        """Features of a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype, and for options that do not fit.
        """
        if self.block not in EXPANSION:
            raise InputError("block", f"one of {', '.join(EXPANSION)}", repr(self.block))
        if len(self.depths) != len(self.widths):
            raise InputError("depths", f"{len(self.widths)}, one a width", self.depths)
        common = {"norm": self.norm, "dtype": self.dtype}
        if self.variant_d:
            half = self.stem // 2
            x = ConvNorm(half, 3, self.stem_strides, **common, name="stem0")(x, train)
            x = ConvNorm(half, 3, **common, name="stem1")(x, train)
            x = ConvNorm(self.stem, 3, **common, name="stem2")(x, train)
        else:
            stem = ConvNorm(self.stem, self.stem_kernel, self.stem_strides, **common, name="stem")
            x = stem(x, train)
        maps = [x]
        if self.stem_pool:
            x = max_pool(x, 3, 2, padding=1)
        total, index = sum(self.depths), 0
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            for i in range(depth):
                x = ResidualBlock(
                    width,
                    2 if stage > 1 and i == 0 else 1,
                    self.block,
                    self.inner,
                    self.variant_d,
                    self.norm,
                    self.attention,
                    self.drop_path * index / max(1, total - 1),
                    self.dtype,
                    name=f"stage{stage}_block{i}",
                )(x, train)
                index += 1
            attention = stage_attention(self.attention, self.dtype, f"stage{stage}_attention")
            if attention is not None and stage in (2, 3):
                x = attention(x)
            maps.append(x)
        return Features(global_average_pool(x), tuple(maps))

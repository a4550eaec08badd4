"""Densely connected networks."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attend import ImageAttention, block_attention, stage_attention
from medjax.layers.conv import Conv, Size
from medjax.layers.conv_norm import ConvNorm, NormActivation, fan_out_normal
from medjax.layers.norm import Norm
from medjax.layers.pool import average_pool, cropped_to_multiple, global_average_pool, max_pool
from medjax.models.backbone import Backbone, Features

SIZES: dict[str, dict[str, Any]] = {
    "121": {"depths": (6, 12, 24, 16)},
    "161": {"depths": (6, 12, 36, 24), "growth": 48, "stem": 96},
    "169": {"depths": (6, 12, 32, 32)},
    "201": {"depths": (6, 12, 48, 32)},
    "264": {"depths": (6, 12, 64, 48)},
}
"""Huang et al. 2017, table 1; 161: as the authors' later weights have it."""


class DenseLayer(nn.Module):
    """Norm, 1x1 convolution, norm, 3x3 convolution, whose result is put beside the input.

    Attributes:
        growth: channels that are added.
        bottleneck: channels between, in units of ``growth``.
        norm: see `medjax.layers.Norm`.
        dtype: of the computation and the output.
    """

    growth: int
    bottleneck: int = 4
    norm: Norm = "batch"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        common = {"norm": self.norm, "dtype": self.dtype}
        y = NormActivation(**common, name="norm1")(x, train)
        y = ConvNorm(self.bottleneck * self.growth, 1, **common, name="conv1")(y, train)
        conv = Conv(
            self.growth,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=fan_out_normal,
            standardise=self.norm == "weight_standardised",
            name="conv2",
        )
        return jnp.concatenate([x, conv(y)], axis=-1)


class DenseNet(Backbone):
    """Densely connected network of Huang et al. 2017 (arXiv:1608.06993), of 121 to 264 layers.

    As in the paper ("DenseNet-BC": bottlenecks, and transitions that halve the channels). 2D
    and 3D by the input.

    `features` gives the mean of the last map after its norm, and five maps: the stem's
    before its pooling (reduced by 2), and each dense block's (by 4, 8, 16 and 32).

    Attributes:
        depths: layers of each dense block.
        growth: channels that each layer adds.
        stem: channels of the first layer.
        stem_kernel: its window along each axis.
        stem_strides: its step along each axis.
        bottleneck: see `DenseLayer`.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`: after each dense block;
            "nonlocal" after the second and third.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    depths: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    stem: int = 64
    stem_kernel: Size = 7
    stem_strides: Size = 2
    bottleneck: int = 4
    norm: Norm = "batch"
    attention: ImageAttention = "none"
    dtype: jnp.dtype | type = jnp.float32

    @classmethod
    def named(cls, size: str, **changes: Any) -> DenseNet:
        """A size of the literature.

        Args:
            size: "121", "161", "169", "201" or "264", see `SIZES`.
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
            InputError: for another rank or dtype, and for an image too small to be halved
                as often as there are transitions.
        """
        common = {"norm": self.norm, "dtype": self.dtype}
        stem = ConvNorm(self.stem, self.stem_kernel, self.stem_strides, **common, name="stem")
        x = stem(x, train)
        maps = [x]
        x = max_pool(x, 3, 2, padding=1)
        for block, depth in enumerate(self.depths, start=1):
            if block > 1:
                halved = x.shape[-1] // 2
                x = NormActivation(**common, name=f"transition{block - 1}_norm")(x, train)
                conv = Conv(
                    halved,
                    1,
                    use_bias=False,
                    dtype=self.dtype,
                    kernel_init=fan_out_normal,
                    standardise=self.norm == "weight_standardised",
                    name=f"transition{block - 1}_conv",
                )
                x = conv(x)
                if min(x.shape[1:-1]) < 2:
                    raise InputError("image", "at least 2 places an axis to halve", x.shape[1:-1])
                x = average_pool(cropped_to_multiple(x, 2), 2)
            for layer in range(depth):
                name = f"block{block}_layer{layer}"
                x = DenseLayer(self.growth, self.bottleneck, **common, name=name)(x, train)
            name = f"block{block}_attention"
            attention = block_attention(self.attention, x.shape[-1], self.dtype, name)
            if block in (2, 3):
                attention = attention or stage_attention(self.attention, self.dtype, name)
            if attention is not None:
                x = attention(x)
            maps.append(x)
        x = NormActivation(**common, name="last")(x, train)
        return Features(global_average_pool(x), tuple(maps))

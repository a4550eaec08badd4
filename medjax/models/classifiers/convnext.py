"""ConvNeXt."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attend import ImageAttention, block_attention, stage_attention
from medjax.layers.attention import INIT
from medjax.layers.conv import Conv, Size
from medjax.layers.drop import DropPath, LayerScale
from medjax.layers.mlp import MLP
from medjax.layers.norm import Norm, normalization
from medjax.layers.pool import global_average_pool
from medjax.models.backbone import Backbone, Features

SIZES: dict[str, dict[str, Any]] = {
    "t": {"depths": (3, 3, 9, 3), "widths": (96, 192, 384, 768)},
    "s": {"depths": (3, 3, 27, 3), "widths": (96, 192, 384, 768)},
    "b": {"depths": (3, 3, 27, 3), "widths": (128, 256, 512, 1024)},
    "l": {"depths": (3, 3, 27, 3), "widths": (192, 384, 768, 1536)},
    "xl": {"depths": (3, 3, 27, 3), "widths": (256, 512, 1024, 2048)},
}
"""Liu et al. 2022, section 3."""

EPSILON = 1e-6


def normed(norm: Norm, x: Array, name: str, train: bool) -> Array:
    """``x`` normalised in float32, in its own dtype."""
    module = normalization(norm, x.shape[-1], train=train, epsilon=EPSILON, name=name)
    return x if module is None else module(x.astype(jnp.float32)).astype(x.dtype)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, norm, MLP, layer scale, and the input is added.

    Attributes:
        kernel_size: window of the depthwise convolution along each axis.
        layer_scale: first value of `medjax.layers.drop.LayerScale`; none where it is None.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`.
        drop_path: chance of `medjax.layers.drop.DropPath`.
        dtype: of the computation and the output.
    """

    kernel_size: Size = 7
    layer_scale: float | None = 1e-6
    norm: Norm = "layer"
    attention: ImageAttention = "none"
    drop_path: float = 0.0
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        channels = x.shape[-1]
        y = Conv(
            channels,
            self.kernel_size,
            # Layer norm, which has no statistics a channel, leaves of a bias what it is.
            use_bias=self.norm in ("layer", "none"),
            dtype=self.dtype,
            kernel_init=INIT,
            groups=channels,
            standardise=self.norm == "weight_standardised",
            name="depthwise",
        )(x)
        y = normed(self.norm, y, "norm", train)
        y = MLP(4 * channels, dtype=self.dtype, name="mlp")(y)
        attention = block_attention(self.attention, channels, self.dtype)
        if attention is not None:
            y = attention(y)
        if self.layer_scale is not None:
            y = LayerScale(self.layer_scale, name="scale")(y)
        return x.astype(y.dtype) + DropPath(name="drop")(y, self.drop_path, train)


class ConvNeXt(Backbone):
    """ConvNeXt of Liu et al. 2022 (arXiv:2201.03545), T to XL.

    As in the paper; 2D and 3D by the input. Its weights for larger data sets begin with a
    layer scale too, so that it is an attribute, not a size.

    `features` gives the mean of the last map after its norm, and a map a stage (reduced by
    4, 8, 16 and 32).

    Attributes:
        depths: blocks of each stage.
        widths: channels of each stage.
        patch: window and stride of the first convolution along each axis.
        kernel_size: see `ConvNeXtBlock`.
        layer_scale: likewise.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`: on the branch of each block;
            "nonlocal" after the second and third stage.
        drop_path: chance of dropping the last block's branch; it grows from 0 in the first.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    depths: tuple[int, ...] = (3, 3, 9, 3)
    widths: tuple[int, ...] = (96, 192, 384, 768)
    patch: Size = 4
    kernel_size: Size = 7
    layer_scale: float | None = 1e-6
    norm: Norm = "layer"
    attention: ImageAttention = "none"
    drop_path: float = 0.0
    dtype: jnp.dtype | type = jnp.float32

    @classmethod
    def named(cls, size: str, **changes: Any) -> ConvNeXt:
        """A size of the literature.

        Args:
            size: "t", "s", "b", "l" or "xl", see `SIZES`.
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

        Places at the end that fill no window of the first or a halving convolution are not
        seen, as in the original.

        Raises:
            InputError: for another rank or dtype, and for options that do not fit.
        """
        if len(self.depths) != len(self.widths):
            raise InputError("depths", f"{len(self.widths)}, one a width", self.depths)
        bare = {"dtype": self.dtype, "kernel_init": INIT, "padding": 0}
        x = Conv(self.widths[0], self.patch, self.patch, **bare, name="stem")(x)
        x = normed(self.norm, x, "stem_norm", train)
        maps = []
        total, index = sum(self.depths), 0
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            if stage > 1:
                x = normed(self.norm, x, f"halving{stage}_norm", train)
                x = Conv(width, 2, 2, **bare, name=f"halving{stage}")(x)
            for i in range(depth):
                x = ConvNeXtBlock(
                    self.kernel_size,
                    self.layer_scale,
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
        pooled = normed("layer", global_average_pool(x), "last_norm", train)
        return Features(pooled, tuple(maps))

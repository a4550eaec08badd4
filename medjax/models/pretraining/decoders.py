"""From a backbone's maps back to pixels."""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.attention import INIT
from medjax.layers.conv import Conv, ConvTranspose
from medjax.layers.dense import Dense
from medjax.layers.norm import normalization
from medjax.layers.patch import from_patches


class PixelHead(nn.Module):
    """One linear map from each place of a map to the pixels that it stands for.

    Attributes:
        features: channels of the output.
    """

    features: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *grid channel"], spatial: tuple[int, ...]
    ) -> Float[Array, "batch *spatial features"]:
        """Predict an image of a given size, best a multiple of the map's along each axis."""
        stride = tuple(-(-n // m) for n, m in zip(spatial, x.shape[1:-1], strict=True))
        values = math.prod(stride) * self.features
        y = Dense(values, dtype=x.dtype, kernel_init=INIT, name="linear")(x)
        return from_patches(y.astype(jnp.float32), stride, spatial)


class UpDecoder(nn.Module):
    """Transposed convolutions, each doubling the size, from one map to an image.

    Each is followed by a 3x3 convolution, group norm and an activation.

    Attributes:
        out_channels: channels of the output.
        width: channels at the map's own size; each doubling halves them, down to 16.
        activation: elementwise function.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    out_channels: int
    width: int = 512
    activation: Callable[[Array], Array] = nn.leaky_relu
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *grid channel"], spatial: tuple[int, ...]
    ) -> Float[Array, "batch *spatial out"]:
        """Predict an image of a given size; what the last doubling makes beyond it is cut off."""
        width = self.width
        y = Conv(width, 1, dtype=self.dtype, name="enter")(x)
        level = 0
        while any(m < n for m, n in zip(y.shape[1:-1], spatial, strict=True)):
            # Axes that the backbone reduced less are done earlier.
            stride = tuple(1 + (m < n) for m, n in zip(y.shape[1:-1], spatial, strict=True))
            width = max(width // 2, min(width, 16))
            y = ConvTranspose(width, stride, dtype=self.dtype, name=f"up{level}")(y)
            y = Conv(width, use_bias=False, dtype=self.dtype, name=f"conv{level}")(y)
            norm = normalization("group", width, train=False, name=f"norm{level}")
            y = self.activation(norm(y.astype(jnp.float32))).astype(self.dtype)
            level += 1
        y = Conv(self.out_channels, 1, name="head")(y)
        return y[:, *(slice(n) for n in spatial)]


class Hypercolumn(nn.Module):
    """All maps of a backbone, brought to the finest one's size, and logits at each place.

    The hypercolumns of Hariharan et al. 2015 (arXiv:1411.5752), which Larsson et al. 2016
    (arXiv:1603.06668) colour images with. What differs: maps are brought to one number of
    channels before they are enlarged and added up.

    Attributes:
        features: channels of the output.
        width: channels of the sum.
    """

    features: int
    width: int = 256

    @nn.compact
    def __call__(self, maps: tuple[Array, ...]) -> Float[Array, "batch *grid features"]:
        """Logits, float32, at each place of the first map."""
        grid = maps[0].shape[1:-1]
        total = jnp.zeros((), jnp.float32)
        for level, x in enumerate(maps):
            y = Dense(self.width, use_bias=False, dtype=x.dtype, name=f"map{level}")(x)
            y = jax.image.resize(
                y.astype(jnp.float32), (y.shape[0], *grid, self.width), "linear", antialias=False
            )
            total = y if not level else total + y
        norm = normalization("group", self.width, train=False, name="norm")
        return Dense(self.features, name="head")(nn.relu(norm(total)))

"""Fuzzy rules, dense blocks of several scales and attention on a pyramid."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.image.resize import resized
from medjax.layers.conv import Conv, Size, require_image
from medjax.layers.fuzzy import FuzzyBlock
from medjax.layers.initialise import FAINT
from medjax.layers.pool import adaptive_average_pool
from medjax.layers.recurrent import ConvGRU
from medjax.layers.residual import DenseResidual
from medjax.layers.subpixel import Upscale


class PyramidAttention(nn.Module):
    """A weight for each value, from what the image looks like on several scales.

    Attributes:
        reductions: of the scales.
        dtype: of the computation and the output; parameters are float32.
    """

    reductions: tuple[int, ...] = (1, 2, 4)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Weight a floating ``(batch, *spatial, channel)`` image."""
        sizes, total = x.shape[1:-1], jnp.zeros((), self.dtype)
        for reduction in self.reductions:
            coarse = adaptive_average_pool(x, tuple(-(-n // reduction) for n in sizes))
            y = Conv(x.shape[-1], dtype=self.dtype, name=f"by{reduction}")(coarse)
            total = total + resized(y, sizes, "linear").astype(self.dtype)
        return x * nn.sigmoid(total).astype(x.dtype)


class FuzzyAttentionSR(nn.Module):
    """Fuzzy hierarchical fusion attention network of Wang et al. 2023.

    A novel fuzzy hierarchical fusion attention convolution neural network for medical image
    super-resolution reconstruction, Information Sciences, doi:10.1016/j.ins.2022.11.140. As in
    the paper's abstract: a block of fuzzy memberships and rules, fused with a convolution,
    tells how uncertain blurred borders are; multi-scale dense residual blocks and attention on
    a pyramid extract features of a hierarchy; a recurrent memory with a residual structure goes
    through them. This implementation's choice: rules as in `medjax.layers.fuzzy`, several
    scales by dilated convolutions, a convolutional GRU as memory, and sub-pixel convolutions at
    the end. 2D and 3D, and a scale for each axis.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        blocks: dense blocks, each with its attention.
        rules: fuzzy rules.
        growth: see `medjax.layers.residual.DenseResidual`.
        dilations: of the dense blocks' convolutions.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    blocks: int = 6
    rules: int = 8
    growth: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        start = y = FuzzyBlock(self.features, self.rules, self.dtype, name="fuzzy")(x)
        memory = ConvGRU(self.features, 3, self.dtype, name="memory")
        state = start
        for number in range(self.blocks):
            y = DenseResidual(
                self.features,
                self.growth,
                dilations=self.dilations,
                dtype=self.dtype,
                name=f"block{number}",
            )(y)
            y = PyramidAttention(dtype=self.dtype, name=f"attention{number}")(y)
            state = memory(y, state)
        body = Conv(self.features, kernel_init=FAINT, dtype=self.dtype, name="body")
        y = start + body(state)
        y = Upscale(self.features, self.scale, dtype=self.dtype, name="upscale")(y)
        return Conv(x.shape[-1], name="head")(y)

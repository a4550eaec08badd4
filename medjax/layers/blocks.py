"""The unit that convolutional networks repeat."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .conv import Conv, Size
from .norm import Norm, normalization
from .pool import average_pool


class ConvBlock(nn.Module):
    """Convolution, norm, activation, dropout: twice; optionally with a shortcut.

    Attributes:
        features: output channels.
        kernel_size: window of both convolutions.
        strides: of the first convolution.
        norm: see `medjax.layers.normalization`.
        activation: elementwise function.
        dropout: probability of dropping a whole channel of a sample (Tompson et
            al. 2015, arXiv:1411.4280), since neighbouring voxels tell of each other.
        residual: add the block's input before the last activation (He et al. 2016,
            arXiv:1512.03385). Where the shape changes, the input is average-pooled
            by the stride and goes through a 1x1 convolution and norm (the "ResNet-D"
            shortcut of He et al. 2019, arXiv:1812.01187); sizes must then be
            multiples of the stride.
        dtype: of the computation and the output.
    """

    features: int
    kernel_size: Size = 3
    strides: Size = 1
    norm: Norm = "instance"
    activation: Callable[[Array], Array] = nn.leaky_relu
    dropout: float = 0.0
    residual: bool = False
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial features"]:
        """Apply to a ``(batch, *spatial, channel)`` image; needs rng "dropout" to train with it."""

        def convolved(y: Array, name: str, kernel_size: Size, strides: Size = 1) -> Array:
            norm = normalization(self.norm, self.features, train=train, name=f"{name}_norm")
            # A norm takes away any constant of its channel. The gradient of a bias
            # before it is rounding noise, which Adam would scale up to full steps.
            conv = Conv(
                self.features,
                kernel_size,
                strides,
                use_bias=norm is None,
                dtype=self.dtype,
                standardise=self.norm == "weight_standardised",
                name=name,
            )
            y = conv(y)
            return y if norm is None else norm(y.astype(jnp.float32)).astype(self.dtype)

        def activated(y: Array) -> Array:
            spatial = tuple(range(1, y.ndim - 1))
            y = self.activation(y)
            if not self.dropout:
                return y
            return nn.Dropout(self.dropout, spatial, deterministic=not train)(y)

        y = activated(convolved(x, "conv0", self.kernel_size, self.strides))
        y = convolved(y, "conv1", self.kernel_size)
        if self.residual:
            if x.shape[1:-1] != y.shape[1:-1]:
                x = average_pool(x, self.strides)
            if x.shape[-1] != self.features:
                x = convolved(x, "shortcut", 1)
            y = y + x.astype(self.dtype)
        return activated(y)

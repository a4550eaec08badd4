"""Layers with an equalised learning rate: weights of unit variance, scaled when used."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .bias import with_bias
from .conv import convolve, per_axis, require_image
from .fir import TAPS, downsample, filtered
from .on_cpu import computed_once
from .spread import biased


def scaled_leaky_relu(x: Array) -> Array:
    """Leaky ReLU of slope 0.2 times the root of 2, so that the variance stays about one."""
    return computed_once(nn.leaky_relu(x, 0.2)) * math.sqrt(2)


class EqualisedDense(nn.Module):
    """A dense layer whose weights are drawn with variance 1 and scaled at run time.

    Karras et al. 2018 (arXiv:1710.10196, section 4.1): under Adam, whose steps do not depend on
    the gradient's size, all weights then learn at one rate relative to their size.

    Attributes:
        features: output channels.
        use_bias: whether to add a learned constant a channel.
        bias_init: the bias's first value.
        rate: learning rate relative to other layers: weights are drawn as much larger, and
            scaled down again (0.01 in StyleGAN's mapping).
        activation: elementwise function; None for none.
    """

    features: int
    use_bias: bool = True
    bias_init: float = 0.0
    rate: float = 1.0
    activation: Callable[[Array], Array] | None = None

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "*batch features"]:
        """Map ``(..., channel)``, in the dtype of ``x``."""
        init = nn.initializers.normal(1 / self.rate)
        kernel = self.param("kernel", init, (x.shape[-1], self.features), jnp.float32)
        y = jnp.matmul(x, (kernel * (self.rate / math.sqrt(x.shape[-1]))).astype(x.dtype))
        if self.use_bias:
            start = nn.initializers.constant(self.bias_init / self.rate)
            bias = self.param("bias", start, (self.features,), jnp.float32)
            y = biased(y, bias * self.rate)
        return y if self.activation is None else self.activation(y)


class EqualisedConv(nn.Module):
    """A convolution likewise, that can halve the image; 2D or 3D by its input.

    Attributes:
        features: output channels.
        kernel_size: window along each axis, odd.
        down: filter and keep every second voxel of each axis, as StyleGAN2's discriminator does.
        use_bias: whether to add a learned constant a channel.
        activation: elementwise function; None for none.
        taps: of the filter before the reduction, see `medjax.layers.fir.filtered`.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    kernel_size: int = 3
    down: bool = False
    use_bias: bool = True
    activation: Callable[[Array], Array] | None = scaled_leaky_relu
    taps: Sequence[float] = TAPS
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        window = per_axis(self.kernel_size, x.ndim - 2, "kernel_size")
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32)
        kernel = (kernel / math.sqrt(math.prod(shape[:-1]))).astype(self.dtype)
        x = x.astype(self.dtype)
        if self.down and set(window) == {1}:
            y = convolve(downsample(x, self.taps), kernel)
        elif self.down:
            # The window's own reach is padded with the filter's: nothing is added in between.
            count, reach = len(self.taps), max(window) // 2
            edges = (reach + (count - 1) // 2, reach + (count - 2) // 2)
            y = convolve(filtered(x, self.taps, padding=edges), kernel, 2, padding=0)
        else:
            y = convolve(x, kernel)
        y = with_bias(self, y)
        return y if self.activation is None else self.activation(y)

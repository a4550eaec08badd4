"""Convolution, norm and activation as one unit."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .conv import Conv, Padding, Size
from .norm import Norm, normalization

fan_out_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
"""He et al. 2015 (arXiv:1502.01852, eq. 14), as the classifiers' authors have it."""


class ConvNorm(nn.Module):
    """Convolution, norm, activation.

    A norm takes away any constant of its channel, so there is a bias only where there is no
    norm.

    Attributes:
        features: output channels.
        kernel_size: window along each axis.
        strides: step along each axis.
        norm: see `medjax.layers.Norm`.
        activation: elementwise function after the norm; None for none.
        groups: see `medjax.layers.Conv`.
        padding: see `medjax.layers.conv.Padding`.
        epsilon: of the norm.
        dtype: of the computation and the output; parameters and statistics are float32.
    """

    features: int
    kernel_size: Size = 3
    strides: Size = 1
    norm: Norm = "batch"
    activation: Callable[[Array], Array] | None = nn.relu
    groups: int = 1
    padding: Padding = "half"
    epsilon: float = 1e-5
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        norm = normalization(
            self.norm, self.features, train=train, epsilon=self.epsilon, name="norm"
        )
        y = Conv(
            self.features,
            self.kernel_size,
            self.strides,
            use_bias=norm is None,
            dtype=self.dtype,
            kernel_init=fan_out_normal,
            padding=self.padding,
            groups=self.groups,
            standardise=self.norm == "weight_standardised",
            name="conv",
        )(x)
        if norm is not None:
            y = norm(y.astype(jnp.float32))
        # Before the cast, so that XLA reads and writes the large array once.
        y = y if self.activation is None else self.activation(y)
        return y.astype(self.dtype)


class NormActivation(nn.Module):
    """Norm and activation, for blocks that have them before the convolution.

    Attributes:
        norm: see `medjax.layers.Norm`.
        activation: elementwise function.
        epsilon: of the norm.
        dtype: of the output; parameters and statistics are float32.
    """

    norm: Norm = "batch"
    activation: Callable[[Array], Array] = nn.relu
    epsilon: float = 1e-5
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        norm = normalization(self.norm, x.shape[-1], train=train, epsilon=self.epsilon, name="norm")
        if norm is not None:
            x = norm(x.astype(jnp.float32))
        return self.activation(x).astype(self.dtype)

"""Attention to channels: each is weighted by what the whole image holds."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .pool import global_average_pool


def over_image(weights: Float[Array, "batch channel"], ndim: int) -> Array:
    """Weights a channel, to meet an image of ``ndim`` axes."""
    return weights.reshape(weights.shape[0], *(1,) * (ndim - 2), weights.shape[-1])


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation of Hu et al. 2018 (arXiv:1709.01507, eq. 2 to 4).

    Attributes:
        hidden: channels between the two layers.
        activation: between them.
        gate: from what the second layer gives to weights.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    activation: Callable[[Array], Array] = nn.relu
    gate: Callable[[Array], Array] = nn.sigmoid
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Weight the channels of a ``(batch, *spatial, channel)`` image."""
        y = global_average_pool(x).astype(self.dtype)
        y = self.activation(nn.Dense(self.hidden, dtype=self.dtype, name="reduce")(y))
        y = self.gate(nn.Dense(x.shape[-1], dtype=self.dtype, name="expand")(y))
        return x * over_image(y, x.ndim).astype(x.dtype)


class ChannelAttention(nn.Module):
    """The channel part of CBAM (Woo et al. 2018, arXiv:1807.06521, eq. 2).

    As squeeze-and-excitation, of the mean and of the maximum, by the same two layers, which
    have no biases.

    Attributes:
        hidden: channels between the two layers.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Weight the channels of a ``(batch, *spatial, channel)`` image."""
        options = {"use_bias": False, "dtype": self.dtype}
        reduce = nn.Dense(self.hidden, **options, name="reduce")
        expand = nn.Dense(x.shape[-1], **options, name="expand")
        mean = global_average_pool(x).astype(self.dtype)
        highest = x.max(axis=tuple(range(1, x.ndim - 1))).astype(self.dtype)
        y = expand(nn.relu(reduce(mean))) + expand(nn.relu(reduce(highest)))
        return x * over_image(nn.sigmoid(y), x.ndim).astype(x.dtype)

"""Attention between channels, whose cost is linear in the number of voxels."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import Conv
from .initialise import BRANCH


class TransposedAttention(nn.Module):
    """Restormer's self-attention of channels (Zamir et al. 2022, arXiv:2111.09881, section 3.1).

    Queries, keys and values come from a product of channels and a depthwise convolution; each
    channel of a head is a mean of the head's values, weighted by the cosine, over all voxels, of
    its query with their keys, times a learned temperature.

    Attributes:
        heads: number of heads, a divisor of the channels.
        use_bias: whether the convolutions have biases; the paper's have none.
        dtype: of the computation and the output; parameters and the softmax are float32.
    """

    heads: int
    use_bias: bool = False
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image, 2D or 3D.

        Raises:
            InputError: where the heads do not divide the channels.
        """
        batch, *_, channels = x.shape
        if channels % self.heads:
            raise InputError("heads", f"a divisor of the {channels} channels", self.heads)
        options = {"use_bias": self.use_bias, "dtype": self.dtype, "kernel_init": BRANCH}
        y = Conv(3 * channels, 1, **options, name="qkv")(x)
        y = Conv(3 * channels, 3, groups=0, **options, name="depthwise")(y)
        shape = (batch, -1, self.heads, channels // self.heads)
        query, key, value = (part.reshape(shape) for part in jnp.split(y, 3, axis=-1))
        start = nn.initializers.ones
        temperature = self.param("temperature", start, (self.heads,), jnp.float32)
        weights = jnp.einsum("bnhc,bnhd->bhcd", _unit(query), _unit(key))
        weights = nn.softmax(weights * temperature.reshape(1, -1, 1, 1))
        y = jnp.einsum("bhcd,bnhd->bnhc", weights.astype(self.dtype), value)
        return Conv(channels, 1, **options, name="out")(y.reshape(x.shape))


def _unit(x: Array) -> Array:
    """Each channel to length one over all voxels, float32."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.square(x).sum(axis=1, keepdims=True) + 1e-24)

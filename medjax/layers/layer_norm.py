"""Layer norm of tokens and channels-last images."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .spread import biased, spread


class LayerNorm(nn.Module):
    """Each position's channels to mean 0 and variance 1 (Ba et al. 2016, arXiv:1607.06450).

    Statistics are float32, and the variance that of what is left after the mean is taken
    away; ``nn.LayerNorm``, whose parameters these are, refuses bfloat16 under strict
    promotion.

    Attributes:
        epsilon: added to the variance.
        dtype: of the output; parameters are float32.
        initial: first value of the scale.
    """

    epsilon: float = 1e-6
    dtype: jnp.dtype | type = jnp.float32
    initial: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "*batch channel"]:
        """Apply along the last axis."""
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.constant(self.initial), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        x = x.astype(jnp.float32)
        x = x - x.mean(axis=-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + self.epsilon)
        return biased(x * spread(scale, x.shape[:-1]), bias).astype(self.dtype)

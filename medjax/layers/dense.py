"""A dense layer whose bias has a fast gradient on CPU."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .spread import biased


class Dense(nn.Module):
    """``nn.Dense``, with its parameters and its names; see `medjax.layers.spread`.

    Attributes:
        features: output channels.
        use_bias: whether to add a learned constant a channel.
        dtype: of the computation and the output; parameters are float32.
        kernel_init: initialiser of the kernel.
    """

    features: int
    use_bias: bool = True
    dtype: jnp.dtype | type = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "*place channel"]) -> Float[Array, "*place features"]:
        """Map ``(..., channel)`` to ``(..., features)``."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        y = jnp.matmul(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            y = biased(y, self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32))
        return y

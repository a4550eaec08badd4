"""Dense layers of tokens, whose gradients are fast on CPU too."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .bias import with_bias


class Dense(nn.Module):
    """``nn.Dense``, or ``nn.DenseGeneral`` over the last axes, with their parameters.

    All places are rows of one matrix: where they lie along several axes, XLA on CPU copies one
    of a gradient's two operands into another order first. And the bias is that of
    `medjax.layers.spread`. Axes of channels stay what they are, so that heads can be split over
    devices.

    Attributes:
        features: output channels; of several axes a tuple.
        use_bias: whether to add a learned constant a channel.
        dtype: of the computation and the output; parameters are float32.
        kernel_init: initialiser of the kernel as a matrix.
        axes: how many of the last axes are channels.
    """

    features: int | tuple[int, ...]
    use_bias: bool = True
    dtype: jnp.dtype | type = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    axes: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Map ``(*place, *channel)`` to ``(*place, *features)``."""
        places, given = x.shape[: x.ndim - self.axes], x.shape[x.ndim - self.axes :]
        made = (self.features,) if isinstance(self.features, int) else tuple(self.features)

        def init(key: Array, shape: tuple[int, ...], dtype: jnp.dtype | type) -> Array:
            matrix = (math.prod(given), math.prod(made))
            return self.kernel_init(key, matrix, dtype).reshape(shape)

        kernel = self.param("kernel", init, (*given, *made), jnp.float32)
        rows = x.astype(self.dtype).reshape(math.prod(places), *given)
        over = tuple(range(1, 1 + self.axes)), tuple(range(self.axes))
        y = jax.lax.dot_general(rows, kernel.astype(self.dtype), (over, ((), ())))
        y = with_bias(self, y, len(made))
        return y.reshape(*places, *made)

"""The dense layers of the first deep networks, over a grid of features."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.conv import Size
from medjax.layers.pool import adaptive_average_pool, global_average_pool


class DenseLayers(nn.Module):
    """Dense layers with ReLU and dropout; the first has a kernel for each place of a grid.

    Attributes:
        hidden: channels of each; with none, only the image's mean is taken.
        grid: places along each axis to which the image is averaged first.
        dropout: chance of dropping a value before each layer but the first.
        drop_first: whether before the first too.
        dtype: of the computation; parameters are float32.
    """

    hidden: tuple[int, ...]
    grid: Size
    dropout: float
    drop_first: bool = False
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch out"]:
        """Apply to a ``(batch, *spatial, channel)`` image; needs rng "dropout" to train."""
        if not self.hidden:
            return global_average_pool(x)
        x = adaptive_average_pool(x, self.grid)
        for i, features in enumerate(self.hidden):
            if i or self.drop_first:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            axes = tuple(range(1, x.ndim))
            dense = nn.DenseGeneral(
                features,
                axis=axes,
                dtype=self.dtype,
                kernel_init=nn.initializers.he_normal(),
                name=f"dense{i}",
            )
            x = nn.relu(dense(x))
        return x.astype(jnp.float32)

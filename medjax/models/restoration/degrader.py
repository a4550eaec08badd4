"""A network that makes images coarser, as scanners do."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.initialise import FAINT
from medjax.layers.pool import average_pool
from medjax.layers.residual import ResidualGroup


class Degrader(nn.Module):
    """The generator towards coarse images in cycles of super-resolution.

    A convolution, a strided one, residual blocks on the small grid, and a convolution whose
    output is added to the means of blocks, so that it begins near a plain reduction. It is no
    network of one paper; Liu et al. 2020 (arXiv:2012.14142) have one of its kind.

    Attributes:
        scale: factor of reduction, one number or one an axis.
        features: channels.
        blocks: residual blocks.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    blocks: int = 4
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *smaller channel"]:
        """Reduce a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype, or sizes that are no multiples of the scale.
        """
        require_image(x, type(self).__name__)
        scale = per_axis(self.scale, x.ndim - 2, "scale")
        if any(n % s for n, s in zip(x.shape[1:-1], scale, strict=True)):
            raise InputError("image", f"sizes that are multiples of {scale}", x.shape[1:-1])
        y = nn.relu(Conv(self.features, dtype=self.dtype, name="start")(x))
        window = tuple(2 * s - 1 if s > 1 else 3 for s in scale)
        y = Conv(self.features, window, scale, dtype=self.dtype, name="reduce")(y)
        y = ResidualGroup(self.features, self.blocks, dtype=self.dtype, name="body")(y)
        y = Conv(x.shape[-1], kernel_init=FAINT, name="head")(y)
        return average_pool(x.astype(jnp.float32), scale) + y

"""MIRN: residual blocks connected by skips of several levels."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.image.resize import enlarged
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.initialise import FAINT
from medjax.layers.residual import PlainResidual
from medjax.layers.transposed import OverlappingTranspose


class MIRB(nn.Module):
    """Multiple improved residual block: residual blocks, each of which meets the block's input.

    Attributes:
        features: channels, those of the input.
        units: residual blocks.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    units: int = 3
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, features)`` image."""
        y = x
        for number in range(self.units):
            y = x + PlainResidual(self.features, dtype=self.dtype, name=f"unit{number}")(y)
        return Conv(self.features, kernel_init=FAINT, dtype=self.dtype, name="fuse")(y)


class MIRN(nn.Module):
    """Multiple improved residual network of Qiu et al. 2021.

    Multiple improved residual networks for medical image super-resolution, Future Generation
    Computer Systems 116, 200-208. As the paper says of it: it starts from FSRCNN (Dong et al.
    2016, arXiv:1608.00367: the small image is the input, a transposed convolution enlarges it)
    and puts modules of residual blocks with skips of several levels in place of its few
    convolutions, so that features of all layers meet. The skips here lead from a module's input
    to each of its blocks, from each module to the next, over all of them, and from the
    interpolated image to the output; that, and the numbers of modules and blocks, are this
    implementation's choice. What differs: 2D and 3D, and a scale for each axis.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        blocks: number of `MIRB`.
        units: residual blocks of each.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    blocks: int = 4
    units: int = 3
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        scale = per_axis(self.scale, x.ndim - 2, "scale")
        start = y = nn.relu(Conv(self.features, 5, dtype=self.dtype, name="start")(x))
        for number in range(self.blocks):
            y = y + MIRB(self.features, self.units, self.dtype, name=f"block{number}")(y)
        window = tuple(2 * s if s > 1 else 3 for s in scale)
        y = OverlappingTranspose(x.shape[-1], window, scale, name="head")(start + y)
        return enlarged(x, scale) + y

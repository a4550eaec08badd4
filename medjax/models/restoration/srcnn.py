"""SRCNN: the first convolutional network for super-resolution."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.resize import enlarged
from medjax.layers.conv import Conv, Size, per_axis, require_image


class SRCNN(nn.Module):
    """SRCNN of Dong et al. 2016 (arXiv:1501.00092, section 3).

    As in the paper: the image is enlarged by bicubic interpolation, then three convolutions
    extract patches, map them and reconstruct, with windows of 9, 1 and 5 ("9-1-5", 8,032
    weights on one channel). What differs: 2D and 3D, zero padding in training too, and He's
    initialisation where the paper has a standard deviation of 0.001.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels of the hidden layers.
        kernel_sizes: windows, one more than there are hidden layers.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: tuple[int, ...] = (64, 32)
    kernel_sizes: tuple[int, ...] = (9, 1, 5)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype, or other than one window a layer.
        """
        require_image(x, type(self).__name__)
        if len(self.kernel_sizes) != len(self.features) + 1:
            raise InputError("kernel_sizes", f"{len(self.features) + 1}", self.kernel_sizes)
        y = enlarged(x, per_axis(self.scale, x.ndim - 2, "scale"))
        for number, width in enumerate(self.features):
            conv = Conv(width, self.kernel_sizes[number], dtype=self.dtype, name=f"conv{number}")
            y = nn.relu(conv(y))
        return Conv(x.shape[-1], self.kernel_sizes[-1], name="head")(y)

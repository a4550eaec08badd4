"""EDSR, and the generator of ESRGAN: deep residual networks that enlarge at the end."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.initialise import FAINT
from medjax.layers.residual import RRDB, ResidualGroup
from medjax.layers.subpixel import Upscale, nearest, scale_stages


class EDSR(nn.Module):
    """EDSR of Lim et al. 2017 (arXiv:1707.02921, section 3).

    As in the paper: residual blocks without norms on the small image, and sub-pixel
    convolutions at the end. The defaults are its baseline (1.37 million parameters for colour
    images at scale 2); with 256 features, 32 blocks and a scaling of 0.1 it is EDSR proper.
    What differs: 2D and 3D, a scale for each axis, no mean colour taken away, and sub-pixel
    convolutions start as nearest-neighbour enlargement.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        blocks: residual blocks.
        scaling: factor on the blocks' branches.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    blocks: int = 16
    scaling: float = 1.0
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        y = Conv(self.features, dtype=self.dtype, name="start")(x)
        body = ResidualGroup(
            self.features, self.blocks, scaling=self.scaling, dtype=self.dtype, name="body"
        )
        y = Upscale(self.features, self.scale, dtype=self.dtype, name="upscale")(body(y))
        return Conv(x.shape[-1], name="head")(y)


class RRDBNet(nn.Module):
    """The generator of ESRGAN (Wang et al. 2018, arXiv:1809.00219, section 3.1).

    As in the authors' code: 23 residual in residual dense blocks, then a repetition of voxels
    and a convolution for each factor of 2 (16.7 million parameters for colour images at scale
    4). What differs: 2D and 3D, and a scale for each axis.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        blocks: number of `medjax.layers.residual.RRDB`.
        growth: see `medjax.layers.residual.DenseResidual`.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 4
    features: int = 64
    blocks: int = 23
    growth: int = 32
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        scale = per_axis(self.scale, x.ndim - 2, "scale")

        def conv(y: Array, name: str, **options) -> Array:
            return Conv(self.features, dtype=self.dtype, name=name, **options)(y)

        start = y = conv(x, "start")
        for number in range(self.blocks):
            y = RRDB(self.features, self.growth, dtype=self.dtype, name=f"block{number}")(y)
        y = start + conv(y, "body", kernel_init=FAINT)
        for number, step in enumerate(scale_stages(scale)):
            y = nn.leaky_relu(conv(nearest(y, step), f"upscale{number}"), 0.2)
        y = nn.leaky_relu(conv(y, "last"), 0.2)
        return Conv(x.shape[-1], name="head")(y)

"""MambaIR: super-resolution by selective scans."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, Size, require_image
from medjax.layers.drop import LayerScale
from medjax.layers.initialise import FAINT
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.mamba import ImageScan
from medjax.layers.mlp import gelu
from medjax.layers.squeeze import SqueezeExcitation
from medjax.layers.subpixel import Upscale


class StateSpaceBlock(nn.Module):
    """Scans across the image, then convolutions with channel attention; skips with a scale.

    The residual state space block of Guo et al. 2024 (arXiv:2402.15648).

    Attributes:
        expand: see `medjax.layers.mamba.ImageScan`, as for ``state``.
        dtype: of the computation and the output; parameters are float32.
    """

    expand: int = 2
    state: int = 16
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        channels = x.shape[-1]

        def normed(y: Array, name: str) -> Array:
            return LayerNorm(dtype=self.dtype, name=name)(y)

        scan = ImageScan(self.expand, self.state, dtype=self.dtype, name="scan")
        x = LayerScale(1.0, name="scale0")(x) + scan(normed(x, "norm0"))
        y = Conv(max(1, channels // 3), dtype=self.dtype, name="reduce")(normed(x, "norm1"))
        y = Conv(channels, dtype=self.dtype, name="expand")(gelu(y))
        y = SqueezeExcitation(max(1, channels // 16), dtype=self.dtype, name="attention")(y)
        return LayerScale(1.0, name="scale1")(x) + y


class MambaIR(nn.Module):
    """MambaIR of Guo et al. 2024 (arXiv:2402.15648): groups of state space blocks.

    As in the paper: a shallow convolution; groups of residual state space blocks with a
    convolution and a skip; a long skip; sub-pixel convolutions. Scans see the whole image at a
    cost linear in its voxels, convolutions bring back what a scan forgets of neighbours, and
    channel attention what channels repeat. What differs: 2D with four scans as there, 3D with
    six; and a scale for each axis.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        depths: blocks of each group.
        expand: see `medjax.layers.mamba.ImageScan`, as for ``state``.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 60
    depths: tuple[int, ...] = (6, 6, 6, 6)
    expand: int = 2
    state: int = 16
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)

        def conv(y: Array, name: str) -> Array:
            return Conv(self.features, kernel_init=FAINT, dtype=self.dtype, name=name)(y)

        start = y = Conv(self.features, dtype=self.dtype, name="start")(x)
        for group, depth in enumerate(self.depths):
            before = y
            for number in range(depth):
                name = f"group{group}_block{number}"
                y = StateSpaceBlock(self.expand, self.state, self.dtype, name=name)(y)
            y = before + conv(y, f"group{group}_conv")
        y = start + conv(LayerNorm(dtype=self.dtype, name="norm")(y), "body")
        y = Upscale(self.features, self.scale, dtype=self.dtype, name="upscale")(y)
        return Conv(x.shape[-1], name="head")(y)

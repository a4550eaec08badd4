"""A generator of three stages that enlarges twice."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.norm import Norm
from medjax.layers.residual import PlainResidual
from medjax.layers.subpixel import Upscale, scale_stages
from medjax.models.classifiers.resnet import ResidualBlock


class ThreeStageSR(nn.Module):
    """Multi-path features, a ResNet-34 and enlargement, a small network and enlargement again.

    Ahmad et al. 2022 (A new generative adversarial network for medical images super resolution,
    doi:10.1038/s41598-022-13658-4). As in the paper: convolutions of several windows side by
    side see shallow features on several scales; the blocks of a ResNet-34 see deep ones, which
    are enlarged; a residual network of few convolutions goes over them, they are enlarged
    again, and a convolution reconstructs. What differs: 2D and 3D; factors of any number, of
    which the first half goes to the second stage. As the features must keep the image's grid,
    the ResNet's strides are 1; its widths here, the windows and the small network's depth are
    this implementation's choice.

    Attributes:
        scale: factor of enlargement, one number or one an axis.
        features: channels.
        kernel_sizes: windows of the paths.
        depths: blocks of the ResNet's stages; 3, 4, 6 and 3 make a ResNet-34.
        blocks: residual blocks of the small network.
        norm: of the ResNet's blocks, see `medjax.layers.Norm`.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 4
    features: int = 64
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    depths: tuple[int, ...] = (3, 4, 6, 3)
    blocks: int = 2
    norm: Norm = "batch"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype, or no path.
        """
        require_image(x, type(self).__name__)
        if not self.kernel_sizes:
            raise InputError("kernel_sizes", "at least one", self.kernel_sizes)
        steps = scale_stages(per_axis(self.scale, x.ndim - 2, "scale"))
        early = -(-len(steps) // 2)

        def upscaled(y: Array, steps: list[tuple[int, ...]], name: str) -> Array:
            scale = tuple(math.prod(axis) for axis in zip(*steps, strict=True)) or 1
            return Upscale(self.features, scale, dtype=self.dtype, name=name)(y)

        paths = [
            nn.relu(Conv(self.features, window, dtype=self.dtype, name=f"path{window}")(x))
            for window in self.kernel_sizes
        ]
        y = Conv(self.features, 1, dtype=self.dtype, name="paths")(jnp.concatenate(paths, -1))
        for number in range(sum(self.depths)):
            block = ResidualBlock(
                self.features, block="basic", norm=self.norm, dtype=self.dtype, name=f"deep{number}"
            )
            y = block(y, train)
        y = upscaled(y, steps[:early], "upscale0")
        for number in range(self.blocks):
            y = PlainResidual(self.features, dtype=self.dtype, name=f"fine{number}")(y)
        y = upscaled(y, steps[early:], "upscale1")
        return Conv(x.shape[-1], name="head")(y)

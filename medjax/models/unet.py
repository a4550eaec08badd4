"""The U-Net."""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.blocks import ConvBlock
from medjax.layers.conv import Conv, ConvTranspose, Size, per_axis, require_image
from medjax.layers.norm import Norm
from medjax.layers.pad import cropped, padded


class UNet(nn.Module):
    """U-Net of Ronneberger et al. 2015 (2D) and Çiçek et al. 2016 (3D).

    References: doi:10.1007/978-3-319-24574-4_28, doi:10.1007/978-3-319-46723-8_49.
    As there: two 3x3 convolutions a level, channels that double, up-convolutions
    with kernel 2, skips by concatenation. What differs follows nnU-Net (Isensee et
    al. 2021, doi:10.1038/s41592-020-01008-z): padded convolutions, so the output is
    as large as the input; strided convolutions in place of max pooling; instance
    norm and leaky ReLU.

    Attributes:
        out_channels: channels of the output, which are logits or intensities.
        features: channels of each level, finest first.
        strides: reduction from each level to the next, ``len(features) - 1`` entries,
            each one number or one an axis; or one number for all.
        norm: see `medjax.layers.normalization`.
        activation: elementwise function.
        dropout: see `medjax.layers.ConvBlock`.
        residual: whether blocks have shortcuts.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    out_channels: int
    features: tuple[int, ...] = (32, 64, 128, 256)
    strides: int | tuple[Size, ...] = 2
    norm: Norm = "instance"
    activation: Callable[[Array], Array] = nn.leaky_relu
    dropout: float = 0.0
    residual: bool = False
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Map an image to one of the same size.

        Args:
            x: floating, ``(batch, *spatial, channel)``, 2D or 3D, of any size: it is
                padded by reflection to a multiple of the strides' product, and the
                output is cropped back. Instance norm needs more than one voxel on the
                coarsest level.
            train: whether dropout acts and batch norm learns.

        Returns:
            float32 ``(batch, *spatial, out_channels)``.

        Raises:
            InputError: for another rank or dtype, or strides that do not fit
                ``features`` and the rank.
        """
        require_image(x, type(self).__name__)
        strides = self._strides(x.ndim - 2)
        sizes = x.shape[1:-1]
        x, before = padded(x, [math.prod(axis) for axis in zip(*strides, strict=True)])

        def block(level: int, name: str, strides: Size = 1) -> ConvBlock:
            return ConvBlock(
                self.features[level],
                strides=strides,
                norm=self.norm,
                activation=self.activation,
                dropout=self.dropout,
                residual=self.residual,
                dtype=self.dtype,
                name=name,
            )

        y = block(0, "encoder0")(x, train)
        skips = []
        for level, stride in enumerate(strides, start=1):
            skips.append(y)
            y = block(level, f"encoder{level}", stride)(y, train)
        for level in reversed(range(len(strides))):
            # No bias here either: only at the image's border does the block's norm leave any of it.
            y = ConvTranspose(
                self.features[level], strides[level], False, self.dtype, name=f"up{level}"
            )(y)
            y = block(level, f"decoder{level}")(jnp.concatenate([skips[level], y], -1), train)
        y = Conv(self.out_channels, 1, name="head")(y)
        return cropped(y, before, sizes)

    def _strides(self, ndim: int) -> list[tuple[int, ...]]:
        """The stride from each level to the next, one number an axis."""
        steps = len(self.features) - 1
        strides = (self.strides,) * steps if isinstance(self.strides, int) else self.strides
        if not steps or len(strides) != steps:
            expected = f"one entry for each of {steps} reductions, of which at least one"
            raise InputError("strides", expected, self.strides)
        return [per_axis(stride, ndim, "strides") for stride in strides]

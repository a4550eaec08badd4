"""The U-Net that denoises for diffusion."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.embedded import (
    FAINT,
    ImageAttention,
    LevelEmbedding,
    ResidualBlock,
    group_norm,
)
from medjax.layers.on_cpu import concatenated
from medjax.layers.pad import cropped, padded
from medjax.layers.transformer import Remat, rematerialised
from medjax.layers.transposed import ResizeConv


class DiffusionUNet(nn.Module):
    """DDPM's U-Net (Ho et al. 2020, appendix B), as Dhariwal & Nichol 2021 improve it.

    References: arXiv:2006.11239, arXiv:2105.05233 (ADM). Residual blocks that are told of the
    noise level, attention on coarse levels, strided convolutions down, nearest neighbours and a
    convolution up, a skip from each block. The defaults are ADM's: the level scales and shifts
    norms, heads of 64 channels. Ho et al.: ``scale_shift=False, head_channels=features[-1]``.
    What differs: 2D and 3D from one class and images of any size (padded by reflection, then
    cropped); no residual blocks in ADM's changes of resolution; last kernels of branches start
    small, not at zero.

    Attributes:
        out_channels: channels of the output; those of the image.
        features: channels of each level, finest first.
        blocks: residual blocks a level, and one more on the way up.
        attention: levels with attention after each block, counted from 0, the finest.
        classes: number of classes that can be conditioned on; 0 for none.
        strides: reduction from each level to the next: one number, or for each of the
            ``len(features) - 1`` reductions one, or one an axis.
        scale_shift: see `ResidualBlock`, as for ``dropout``, ``groups`` and ``epsilon``.
        dropout: see there.
        head_channels: see `ImageAttention`.
        groups: see there.
        epsilon: see there.
        remat: see `medjax.layers.transformer.Remat`; by residual block.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    out_channels: int
    features: tuple[int, ...] = (64, 128, 256, 512)
    blocks: int = 2
    attention: tuple[int, ...] = (2, 3)
    classes: int = 0
    strides: int | tuple[Size, ...] = 2
    scale_shift: bool = True
    dropout: float = 0.0
    head_channels: int = 64
    groups: int = 32
    epsilon: float = 1e-5
    remat: Remat = "none"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Array,
        time: Float[Array, " batch"],
        condition: Array | None = None,
        label: Int[Array, " batch"] | None = None,
        train: bool = False,
    ) -> Float[Array, "batch *spatial out"]:
        """Map noisy images to what is predicted of them.

        Args:
            x: floating, ``(batch, *spatial, channel)``, 2D or 3D, of any size.
            time: of each sample's noise level.
            condition: an image of the same size to go by, ``(batch, *spatial, any)``; zeros
                for none where the network was made with one.
            label: classes to go by; a negative one for none.
            train: whether dropout acts.

        Returns:
            float32 ``(batch, *spatial, out_channels)``.

        Raises:
            InputError: for another rank or dtype, a condition of another size, labels without
                classes, or fields that do not fit each other.
        """
        require_image(x, type(self).__name__)
        x = joined(x, condition)
        strides = self._strides(x.ndim - 2)
        sizes = x.shape[1:-1]
        x, before = padded(x, [math.prod(axis) for axis in zip(*strides, strict=True)])
        embedding = LevelEmbedding(self.features[0], self.classes, name="embedding")(time, label)
        # The module, image and embedding; the last argument is Python's.
        residual = rematerialised(ResidualBlock, self.remat, static=(3,))

        def block(y: Array, level: int, name: str, attentive: bool) -> Array:
            options = (self.scale_shift, self.dropout, self.groups, self.epsilon, self.dtype)
            y = residual(self.features[level], *options, name=name)(y, embedding, train)
            if attentive:
                options = (self.head_channels, self.groups, self.epsilon, self.dtype)
                y = ImageAttention(*options, name=f"{name}_attention")(y)
            return y

        y = Conv(self.features[0], dtype=self.dtype, name="stem")(x)
        skips = [y]
        for level in range(len(self.features)):
            if level:
                conv = Conv(
                    self.features[level - 1],
                    strides=strides[level - 1],
                    padding="half",
                    dtype=self.dtype,
                    name=f"down{level}",
                )
                y = conv(y)
                skips.append(y)
            for i in range(self.blocks):
                y = block(y, level, f"encoder{level}_{i}", level in self.attention)
                skips.append(y)
        coarsest = len(self.features) - 1
        y = block(y, coarsest, "middle_0", True)
        y = block(y, coarsest, "middle_1", False)
        for level in reversed(range(len(self.features))):
            for i in range(self.blocks + 1):
                y = concatenated(y, skips.pop())
                y = block(y, level, f"decoder{level}_{i}", level in self.attention)
            if level:
                factor = strides[level - 1]
                y = ResizeConv(self.features[level], factor, dtype=self.dtype, name=f"up{level}")(y)
        y = nn.silu(group_norm(y, self.groups, self.epsilon, "norm"))
        y = Conv(self.out_channels, kernel_init=FAINT, name="head")(y)
        return cropped(y, before, sizes)

    def _strides(self, ndim: int) -> list[tuple[int, ...]]:
        """The stride from each level to the next, one number an axis."""
        steps = len(self.features) - 1
        strides = (self.strides,) * steps if isinstance(self.strides, int) else self.strides
        if steps < 1 or len(strides) != steps:
            expected = f"one entry for each of {steps} reductions, of which at least one"
            raise InputError("strides", expected, self.strides)
        if not set(self.attention) <= set(range(steps + 1)):
            raise InputError("attention", f"levels from 0 to {steps}", self.attention)
        return [per_axis(stride, ndim, "strides") for stride in strides]


def joined(x: Array, condition: Array | None) -> Array:
    """An image and the one to go by, side by side in channels.

    Raises:
        InputError: where their sizes differ.
    """
    if condition is None:
        return x
    if condition.shape[:-1] != x.shape[:-1]:
        raise InputError("condition", f"an image of the size {x.shape[:-1]}", condition.shape)
    return jnp.concatenate([x, condition.astype(x.dtype)], axis=-1)

"""Blocks of diffusion networks: what a network is told of the noise, and where it hears it."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int

from .attention import MultiHeadAttention
from .conv import Conv
from .initialise import FAINT
from .position import sinusoidal
from .spread import spread
from .standardise import GroupNorm


class LevelEmbedding(nn.Module):
    """The vector by which a network knows its noise level, and its class.

    Ho et al. 2020 (arXiv:2006.11239, appendix B): sines and cosines of the time through two
    dense layers; a learned vector for a class is added (Dhariwal & Nichol 2021,
    arXiv:2105.05233, section 3).

    Attributes:
        width: of the sines and cosines; the vector has four times as many channels.
        classes: number of classes; 0 for none.
    """

    width: int
    classes: int = 0

    @nn.compact
    def __call__(
        self, time: Float[Array, " batch"], label: Int[Array, " batch"] | None = None
    ) -> Float[Array, "batch channel"]:
        """Embed times, and labels of which negative ones stand for no class.

        Raises:
            InputError: for labels where there are no classes.
        """
        if label is not None and not self.classes:
            raise InputError("label", "none, as the network has no classes", label.dtype)
        y = sinusoidal(time.astype(jnp.float32)[:, None], self.width)
        y = nn.silu(nn.Dense(4 * self.width, name="hidden")(y))
        y = nn.Dense(4 * self.width, name="out")(y)
        if label is not None:
            chosen = nn.Embed(self.classes, 4 * self.width, name="classes")(jnp.maximum(label, 0))
            y = y + jnp.where(label[:, None] >= 0, chosen, 0)
        return y


class ResidualBlock(nn.Module):
    """Two convolutions, each after a norm, around which the image goes; told of an embedding.

    Ho et al. 2020, appendix B, where the embedding is added between the convolutions; with
    ``scale_shift`` it scales and shifts the second norm (Dhariwal & Nichol 2021, eq. 7).
    Without an embedding it is the block of Esser et al. 2021 (arXiv:2012.09841).

    Attributes:
        features: output channels.
        scale_shift: see above.
        dropout: rate, before the second convolution.
        groups: of the norms at most: as many as divide the channels too.
        epsilon: of the norms.
        dtype: of the computation and the output; parameters and norms are float32.
    """

    features: int
    scale_shift: bool = True
    dropout: float = 0.0
    groups: int = 32
    epsilon: float = 1e-5
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch *spatial channel"],
        embedding: Float[Array, "batch embedding"] | None = None,
        train: bool = False,
    ) -> Float[Array, "batch *spatial features"]:
        """Apply to an image, 2D or 3D."""
        y = nn.silu(group_norm(x, self.groups, self.epsilon, "norm1")).astype(self.dtype)
        y = Conv(self.features, dtype=self.dtype, name="conv1")(y)
        modulation: list[Array] = []
        if embedding is not None:
            width = (1 + self.scale_shift) * self.features
            told = nn.Dense(width, name="embedding")(nn.silu(embedding))
            if self.scale_shift:
                modulation = jnp.split(told, 2, axis=-1)
            else:
                y = y + spread(told.astype(self.dtype), y.shape[1:-1])
        y = group_norm(y, self.groups, self.epsilon, "norm2", *modulation)
        y = nn.Dropout(self.dropout, deterministic=not train)(nn.silu(y)).astype(self.dtype)
        y = Conv(self.features, dtype=self.dtype, kernel_init=FAINT, name="conv2")(y)
        x = x.astype(self.dtype)
        if x.shape[-1] != self.features:
            x = Conv(self.features, 1, dtype=self.dtype, name="shortcut")(x)
        return x + y


class ImageAttention(nn.Module):
    """Attention between all voxels of an image, after a norm, added to it.

    Ho et al. 2020, appendix B, with heads of some channels each (Dhariwal & Nichol 2021,
    section 3.1).

    Attributes:
        head_channels: of a head; one head where there are fewer channels.
        groups: see `ResidualBlock`, as for ``epsilon`` and ``dtype``.
    """

    head_channels: int = 64
    groups: int = 32
    epsilon: float = 1e-5
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image, 2D or 3D."""
        y = group_norm(x, self.groups, self.epsilon, "norm").astype(self.dtype)
        heads = max(x.shape[-1] // self.head_channels, 1)
        init = nn.initializers.lecun_normal()
        attention = MultiHeadAttention(heads, dtype=self.dtype, kernel_init=init, name="attention")
        y = attention(y.reshape(x.shape[0], -1, x.shape[-1]))
        return x + y.reshape(x.shape)


def group_norm(
    x: Array, groups: int, epsilon: float, name: str, *modulation: Array
) -> Float[Array, "*shape"]:
    """Group norm in float32, called from a module's compact method.

    Args:
        x: image, ``(batch, *spatial, channel)``.
        groups: at most: as many as divide the channels too.
        epsilon: added to the variance.
        name: the module's.
        modulation: a scale, less 1, and a shift to follow, ``(batch, channel)``; or none.
    """
    norm = GroupNorm(math.gcd(groups, x.shape[-1]), epsilon, name=name)
    return norm(x.astype(jnp.float32), *modulation)


def modulated(
    x: Float[Array, "batch *spatial channel"],
    shift: Float[Array, "batch channel"],
    scale: Float[Array, "batch channel"],
    epsilon: float = 1e-6,
) -> Float[Array, "batch *spatial channel"]:
    """Adaptive layer norm: each voxel to mean 0 and variance 1, then scaled and shifted.

    Peebles & Xie 2023 (arXiv:2212.09748, section 3.2). The computation is float32.
    """
    y = x.astype(jnp.float32)
    y = y - y.mean(axis=-1, keepdims=True)
    y = y * jax.lax.rsqrt(jnp.square(y).mean(axis=-1, keepdims=True) + epsilon)
    shape = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    return y * (1 + scale.reshape(shape)) + shift.reshape(shape)

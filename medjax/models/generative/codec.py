"""The two halves that all autoencoders share: an image to a code, and back."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int
from medjax.layers.conv import Conv, per_axis, require_image
from medjax.layers.embedded import ImageAttention, ResidualBlock, group_norm
from medjax.layers.pad import cropped, padded
from medjax.layers.transposed import ResizeConv


class Encoder(nn.Module):
    """Residual blocks and strided convolutions; see `Codec` for its fields.

    Attributes:
        out: channels of what it returns.
    """

    out: int
    features: tuple[int, ...]
    blocks: int
    attention: bool
    vector: tuple[int, ...]
    groups: int
    dtype: jnp.dtype | type

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *grid out"]:
        """Map an image to float32 ``(batch, *grid, out)``, or ``(batch, out)`` for a vector."""
        y = Conv(self.features[0], dtype=self.dtype, name="stem")(x)
        for level, features in enumerate(self.features):
            if level:
                conv = Conv(
                    features, strides=2, padding="half", dtype=self.dtype, name=f"down{level}"
                )
                y = conv(y)
            for i in range(self.blocks):
                block = ResidualBlock(
                    features, groups=self.groups, dtype=self.dtype, name=f"level{level}_{i}"
                )
                y = block(y, None, train)
        if self.attention:
            y = ImageAttention(groups=self.groups, dtype=self.dtype, name="attention")(y)
        y = nn.silu(group_norm(y, self.groups, 1e-5, "norm"))
        if not self.vector:
            return Conv(self.out, kernel_init=nn.initializers.lecun_normal(), name="code")(y)
        if y.shape[1:-1] != self.vector:
            size = tuple(n * 2 ** (len(self.features) - 1) for n in self.vector)
            raise InputError("vector", f"images that give this grid, such as {size}", y.shape[1:-1])
        return nn.Dense(self.out, name="code")(y.reshape(y.shape[0], -1))


class Decoder(nn.Module):
    """What `Encoder` does, the other way; see `Codec` for its fields."""

    out: int
    features: tuple[int, ...]
    blocks: int
    attention: bool
    vector: tuple[int, ...]
    groups: int
    dtype: jnp.dtype | type

    @nn.compact
    def __call__(self, code: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Map a code to a float32 image."""
        y, widest = code.astype(self.dtype), self.features[-1]
        if self.vector:
            y = nn.Dense(math.prod(self.vector) * widest, dtype=self.dtype, name="stem")(y)
            y = y.reshape(y.shape[0], *self.vector, widest)
        else:
            y = Conv(widest, dtype=self.dtype, name="stem")(y)
        if self.attention:
            y = ImageAttention(groups=self.groups, dtype=self.dtype, name="attention")(y)
        for level in reversed(range(len(self.features))):
            for i in range(self.blocks):
                block = ResidualBlock(
                    self.features[level],
                    groups=self.groups,
                    dtype=self.dtype,
                    name=f"level{level}_{i}",
                )
                y = block(y, None, train)
            if level:
                y = ResizeConv(self.features[level - 1], dtype=self.dtype, name=f"up{level}")(y)
        y = nn.silu(group_norm(y, self.groups, 1e-5, "norm"))
        return Conv(self.out, kernel_init=nn.initializers.lecun_normal(), name="head")(y)


class Codec(nn.Module):
    """Base of autoencoders: their fields, and an encoder and a decoder of residual blocks.

    The network is that of the first stage of latent diffusion, much reduced (Rombach et al.
    2022, arXiv:2112.10752, appendix G; Esser et al. 2021, arXiv:2012.09841): residual blocks
    with group norm and SiLU, strided convolutions down, nearest neighbours and a convolution
    up. 2D and 3D by the input; images of any size are padded by reflection and cropped.

    Attributes:
        out_channels: channels of the images.
        latent: channels of the code.
        features: channels of each level, finest first; each level has half the size.
        blocks: residual blocks a level.
        attention: whether there is attention on the coarsest level.
        vector: a code is one vector, where this is the grid of the coarsest level, which images
            must then have; an image of that grid where it is empty.
        classes: number of classes that encoder and decoder are told of; 0 for none.
        groups: of the norms at most.
        dtype: of the computation. Parameters, codes and images are float32.
    """

    out_channels: int
    latent: int = 4
    features: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    attention: bool = False
    vector: tuple[int, ...] = ()
    classes: int = 0
    groups: int = 32
    dtype: jnp.dtype | type = jnp.float32

    def code_width(self) -> int:
        """Channels that the encoder returns."""
        return self.latent

    def setup(self):
        """Make both halves."""
        shared = (
            self.features,
            self.blocks,
            self.attention,
            self.vector,
            self.groups,
            self.dtype,
        )
        self.encoder = Encoder(self.code_width(), *shared)
        self.decoder = Decoder(self.out_channels, *shared)

    def encoded(
        self, x: Array, label: Int[Array, " batch"] | None = None, train: bool = False
    ) -> Array:
        """What the encoder makes of an image, padded to a multiple of its strides."""
        require_image(x, type(self).__name__)
        return self.encoder(self._told(self._padded(x)[0], label), train)

    def decode(
        self, code: Array, label: Int[Array, " batch"] | None = None, train: bool = False
    ) -> Float[Array, "batch *spatial out"]:
        """The image of a code, of a size that is a multiple of the strides' product."""
        return self.decoder(self._told(code, label), train)

    def restored(
        self, code: Array, x: Array, label: Int[Array, " batch"] | None = None, train: bool = False
    ) -> Array:
        """The image of a code of ``x``, cropped to the size of ``x``."""
        before = self._padded(x)[1]
        y = self.decode(code, label, train)
        return cropped(y, before, x.shape[1:-1])

    def _padded(self, x: Array) -> tuple[Array, list[int]]:
        return padded(x, list(per_axis(2 ** (len(self.features) - 1), x.ndim - 2, "features")))

    def _told(self, x: Array, label: Array | None) -> Array:
        """``x`` with a channel for each class, which is one where it is the sample's."""
        if (label is None) == bool(self.classes):
            expected = f"a class of {self.classes} a sample" if self.classes else "none"
            raise InputError("label", expected, None if label is None else label.dtype)
        if label is None:
            return x
        hot = (label[:, None] == jnp.arange(self.classes)[None]).astype(x.dtype)
        hot = hot.reshape(x.shape[0], *(1,) * (x.ndim - 2), self.classes)
        return jnp.concatenate([x, jnp.broadcast_to(hot, (*x.shape[:-1], self.classes))], -1)

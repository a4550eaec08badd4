"""Attention that convolutional networks take as an option: to channels, places, or pairs."""

from __future__ import annotations

from typing import Literal, get_args

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .attention import INIT, attend
from .conv import Conv
from .dense import Dense
from .squeeze import ChannelAttention, SqueezeExcitation

ImageAttention = Literal["none", "se", "spatial", "cbam", "nonlocal"]
"""se: channels (`medjax.layers.squeeze.SqueezeExcitation`); spatial: places
(`SpatialAttention`); cbam: channels, then places; each of these in every block.
nonlocal: every place to all others (`NonLocal`), whose cost grows with the square of
their number; after two of the later stages."""


class SpatialAttention(nn.Module):
    """The spatial part of CBAM (Woo et al. 2018, arXiv:1807.06521, eq. 3).

    Each place is weighted by a convolution of the channels' mean and maximum. The paper's
    equation has no norm after it, which its authors' code has.

    Attributes:
        kernel_size: window of the convolution along each axis.
        dtype: of the computation and the output; parameters are float32.
    """

    kernel_size: int = 7
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Weight the places of a ``(batch, *spatial, channel)`` image."""
        mean = x.mean(axis=-1, keepdims=True, dtype=jnp.float32).astype(x.dtype)
        y = jnp.concatenate([mean, x.max(axis=-1, keepdims=True)], axis=-1)
        y = Conv(1, self.kernel_size, dtype=self.dtype, name="conv")(y)
        return x * nn.sigmoid(y).astype(x.dtype)


class CBAM(nn.Module):
    """Convolutional block attention module (Woo et al. 2018): channels, then places.

    Attributes:
        hidden: see `medjax.layers.squeeze.ChannelAttention`.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Weight the channels and places of a ``(batch, *spatial, channel)`` image."""
        x = ChannelAttention(self.hidden, self.dtype, name="channel")(x)
        return SpatialAttention(dtype=self.dtype, name="spatial")(x)


class NonLocal(nn.Module):
    """Non-local block of Wang et al. 2018 (arXiv:1711.07971, eq. 4 to 6, embedded Gaussian).

    As in the paper: half the channels within, and the result is added to the input. What
    differs: logits are divided by the root of the channels, so that they do not grow with
    them; and the last layer starts small instead of at zero, where the others would not
    learn in the first step.

    Attributes:
        dtype: of the computation and the output; parameters are float32.
    """

    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Apply to a ``(batch, *spatial, channel)`` image."""
        channels = x.shape[-1]
        inner = max(1, channels // 2)
        tokens = x.reshape(x.shape[0], -1, channels)

        def embedded(name: str) -> Array:
            return Dense(inner, dtype=self.dtype, name=name)(tokens)[:, :, None]

        y = attend(embedded("query"), embedded("key"), embedded("value"))
        y = Dense(channels, dtype=self.dtype, kernel_init=INIT, name="out")(y[:, :, 0])
        return x + y.reshape(x.shape).astype(x.dtype)


def block_attention(
    kind: ImageAttention, channels: int, dtype: jnp.dtype | type, name: str = "attention"
) -> nn.Module | None:
    """What stands in every block: for "se", "spatial" and "cbam"; None for the others.

    Args:
        kind: see `ImageAttention`.
        channels: of the input. Between two layers there are a sixteenth of them, as in the
            papers, and 8 at least.
        dtype: of the computation.
        name: the module's.

    Raises:
        InputError: for another ``kind``.
    """
    hidden = max(8, channels // 16)
    match kind:
        case "none" | "nonlocal":
            return None
        case "se":
            return SqueezeExcitation(hidden, dtype=dtype, name=name)
        case "spatial":
            return SpatialAttention(dtype=dtype, name=name)
        case "cbam":
            return CBAM(hidden, dtype, name=name)
    raise InputError("attention", f"one of {', '.join(get_args(ImageAttention))}", repr(kind))


def stage_attention(kind: ImageAttention, dtype: jnp.dtype | type, name: str) -> nn.Module | None:
    """What stands after a stage: for "nonlocal"; None for the others."""
    return NonLocal(dtype, name=name) if kind == "nonlocal" else None

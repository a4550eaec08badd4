"""Attention in the blocks of restoration networks: to each value, or to channels that vary."""

from __future__ import annotations

import math
from typing import Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .attend import CBAM, SpatialAttention
from .conv import Conv
from .squeeze import SqueezeExcitation, over_image

MapAttention = Literal["none", "channel", "spatial", "cbam", "whole_map", "entropy"]
"""channel: squeeze-and-excitation, as RCAN has it (Zhang et al. 2018, arXiv:1807.02758);
spatial, cbam: see `medjax.layers.attend`; whole_map: `WholeMapAttention`;
entropy: `EntropyAttention`."""


class WholeMapAttention(nn.Module):
    """A weight for each value of a map (Gu et al. 2020, MedSRGAN, section 2.1).

    doi:10.1007/s11042-020-08980-w. As there: a convolution of window 1 to as many channels and
    a sigmoid, so that what matters is told by place and channel at once.

    Attributes:
        dtype: of the computation and the output; parameters are float32.
    """

    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Weight a ``(batch, *spatial, channel)`` image."""
        y = Conv(x.shape[-1], 1, dtype=self.dtype, name="conv")(x)
        return x * nn.sigmoid(y).astype(x.dtype)


class EntropyAttention(nn.Module):
    """Channels weighted by how much they tell: by contrast and information entropy.

    Contrast-aware attention (Hui et al. 2019, IMDN, arXiv:1909.11856, eq. 6) looks at the sum
    of each channel's mean and standard deviation in place of squeeze-and-excitation's mean.
    Ren et al. 2021 (doi:10.1007/s00521-021-06287-x) add information entropy. The entropy here,
    of the softmax of the channel over its places by the logarithm of their number (1 for a
    flat channel, near 0 for a single peak), is this implementation's choice.

    Attributes:
        hidden: channels between the two layers.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial channel"]:
        """Weight the channels of a ``(batch, *spatial, channel)`` image."""
        flat = x.reshape(x.shape[0], -1, x.shape[-1]).astype(jnp.float32)
        mean = flat.mean(axis=1)
        variance = jnp.square(flat - mean[:, None]).mean(axis=1)
        contrast = jnp.sqrt(variance + 1e-12)  # the root's slope at a flat channel is finite so
        y = (mean + contrast + information(flat)).astype(self.dtype)
        y = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name="reduce")(y))
        y = nn.sigmoid(nn.Dense(x.shape[-1], dtype=self.dtype, name="expand")(y))
        return x * over_image(y, x.ndim).astype(x.dtype)


def information(flat: Float[Array, "batch place channel"]) -> Float[Array, "batch channel"]:
    """Entropy of each channel's softmax over places, in units of its largest possible value."""
    logs = jax.nn.log_softmax(flat, axis=1)
    return -(jnp.exp(logs) * logs).sum(axis=1) / max(math.log(flat.shape[1]), 1e-6)


def map_attention(
    kind: MapAttention, channels: int, dtype: jnp.dtype | type, name: str = "attention"
) -> nn.Module | None:
    """The attention of that name, or None for "none".

    Args:
        kind: see `MapAttention`.
        channels: of the input. Between two layers there are a sixteenth of them, 8 at least.
        dtype: of the computation.
        name: the module's.

    Raises:
        InputError: for another ``kind``.
    """
    hidden = max(8, channels // 16)
    match kind:
        case "none":
            return None
        case "channel":
            return SqueezeExcitation(hidden, dtype=dtype, name=name)
        case "spatial":
            return SpatialAttention(dtype=dtype, name=name)
        case "cbam":
            return CBAM(hidden, dtype, name=name)
        case "whole_map":
            return WholeMapAttention(dtype, name=name)
        case "entropy":
            return EntropyAttention(hidden, dtype, name=name)
    raise InputError("attention", f"one of {', '.join(get_args(MapAttention))}", repr(kind))

"""Fuzzy rules of an image's channels, fused with what a convolution finds."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.types import Array, Float

from .conv import Conv


class FuzzyRules(nn.Module):
    """How far each voxel obeys each of some fuzzy rules, between 0 and 1.

    Deng et al. 2017 (A hierarchical fused fuzzy deep neural network for data classification,
    doi:10.1109/TFUZZ.2016.2574915, eq. 2 and 3): a channel's membership of a rule is a Gaussian
    of it with a learned centre and width, and a rule is the AND of all channels' memberships.
    What differs: AND is their geometric mean instead of the product, which would vanish for
    many channels.

    Attributes:
        rules: number of rules.
    """

    rules: int

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial rules"]:
        """Apply to a ``(batch, *spatial, channel)`` image; float32."""
        shape = (x.shape[-1], self.rules)
        centre = self.param("centre", nn.initializers.normal(1.0), shape, jnp.float32)
        width = self.param("log_width", nn.initializers.zeros, shape, jnp.float32)
        away = x.astype(jnp.float32)[..., None] - with_rank(centre, x.ndim + 1)
        away = away * with_rank(jnp.exp(-width), x.ndim + 1)
        return jnp.exp(-0.5 * jnp.square(away).mean(axis=-2))


class FuzzyBlock(nn.Module):
    """Fuzzy rules and a convolution side by side, fused by a convolution of window 1.

    The fuzzy neural information-processing block of Wang et al. 2023
    (doi:10.1016/j.ins.2022.11.140); the form of the fusion is this implementation's choice.

    Attributes:
        features: output channels.
        rules: see `FuzzyRules`.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    rules: int = 8
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        fuzzy = FuzzyRules(self.rules, name="rules")(x).astype(self.dtype)
        crisp = nn.relu(Conv(self.features, dtype=self.dtype, name="conv")(x))
        both = jnp.concatenate([crisp, fuzzy], -1)
        return Conv(self.features, 1, dtype=self.dtype, name="fuse")(both)

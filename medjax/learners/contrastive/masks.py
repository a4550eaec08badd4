"""Masks of patches."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.types import Array, Bool, Int, Key
from medjax.image.filters import gaussian


class Mask(NamedTuple):
    """Which patches of an image are masked.

    Attributes:
        mask: of all patches, in the order of a reshape of their grid.
        places: of as many patches as the largest mask has, the masked ones first.
        valid: which of these are masked.
    """

    mask: Bool[Array, "*batch patch"]
    places: Int[Array, "*batch place"]
    valid: Bool[Array, "*batch place"]


def random_mask(
    key: Key[Array, ""], *, grid: tuple[int, ...], masked: tuple[float, float], probability: float
) -> Mask:
    """One image's mask: the highest places of smooth noise, so that masked patches hang together.

    Args:
        key: the sample's own.
        grid: of patches, 2D or 3D.
        masked: least and largest part that is masked.
        probability: that anything is masked.
    """
    noise_key, part_key, choice_key = jax.random.split(key, 3)
    patches = math.prod(grid)
    most = math.ceil(masked[1] * patches)
    axes = tuple(range(-len(grid), 0))
    smooth = gaussian(jax.random.normal(noise_key, grid), jnp.ones(()), axes, radius=3)
    places = jnp.argsort(smooth.reshape(-1), descending=True)[:most].astype(jnp.int32)
    part = jax.random.uniform(part_key, minval=masked[0], maxval=masked[1])
    count = jnp.round(part * patches).astype(jnp.int32)
    count = jnp.where(jax.random.bernoulli(choice_key, probability), count, 0)
    valid = jnp.arange(most) < count
    return Mask(jnp.zeros(patches, bool).at[places].set(valid), places, valid)

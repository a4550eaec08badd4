"""Minibatch standard deviation: lets a discriminator see how varied a batch is."""

from __future__ import annotations

import jax.numpy as jnp

from medjax.core.arrays import at_least_single
from medjax.core.errors import InputError
from medjax.core.types import Array, Float


def batch_deviation(
    x: Float[Array, "batch *spatial channel"], group: int = 4, features: int = 1
) -> Float[Array, "batch *spatial more"]:
    """Append channels that hold the standard deviation over the samples of a group.

    Karras et al. 2018 (arXiv:1710.10196, section 3), in groups as StyleGAN2 has it: the
    deviation of each value over a group's samples, averaged over places and channels, is the
    same everywhere in the group. A generator whose images are all alike gives itself away.

    Args:
        x: features of real or of generated images, not of both.
        group: samples a group. Where the batch is no multiple it is the largest divisor of the
            batch below. Groups take every so-manieth sample.
        features: channels to append; each averages over its part of the channels.

    Raises:
        InputError: for a number below 1, and features that do not divide the channels.
    """
    if group < 1:
        raise InputError("group", "at least 1", group)
    if features < 1 or x.shape[-1] % features:
        raise InputError("features", f"a divisor of {x.shape[-1]} channels", features)
    batch = x.shape[0]
    group = next(n for n in range(min(group, batch), 0, -1) if batch % n == 0)
    wide = at_least_single(x)
    y = wide.reshape(group, batch // group, *x.shape[1:-1], features, x.shape[-1] // features)
    variance = jnp.mean((y - jnp.mean(y, 0, keepdims=True)) ** 2, 0)
    deviation = jnp.sqrt(variance + 1e-8)
    kept = (0, deviation.ndim - 2)
    mean = jnp.mean(deviation, [a for a in range(deviation.ndim) if a not in kept])
    mean = jnp.tile(mean, (group, 1)).astype(x.dtype)
    mean = mean.reshape(batch, *(1,) * (x.ndim - 2), features)
    return jnp.concatenate([x, jnp.broadcast_to(mean, (*x.shape[:-1], features))], -1)

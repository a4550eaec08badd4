"""Small helpers for the shapes of arrays."""

from __future__ import annotations

import jax.numpy as jnp

from medjax.core.types import Array


def with_rank(a: Array, ndim: int) -> Array:
    """``a`` with leading axes of one, so that it has ``ndim`` axes.

    Broadcasting between different ranks is spelled out throughout medjax: a
    coil map that silently meets the wrong axis is a wrong image.
    """
    return a.reshape((1,) * (ndim - a.ndim) + a.shape)


def per_sample(a: Array, ndim: int) -> Array:
    """``a`` of shape ``(batch,)`` with trailing axes of one, to meet ``ndim`` axes."""
    return a.reshape(a.shape + (1,) * (ndim - a.ndim))


def meets_last(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether the axes ``own`` are 1 or equal to as many last ones of ``shape``."""
    if len(own) > len(shape):
        return False
    last = shape[len(shape) - len(own) :]
    return all(m in (1, n) for m, n in zip(own, last, strict=True))


def at_least_single(x: Array) -> Array:
    """A real array in float32, or in float64 where it has that already."""
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)

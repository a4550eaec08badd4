"""Sums over a neighbourhood, one offset at a time: what local and non-local filters share."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.types import Array, PyTree


def offsets(radius: int, ndim: int) -> np.ndarray:
    """All steps of at most ``radius`` along each axis, ``((2 radius + 1) ** ndim, ndim)``."""
    steps = range(-radius, radius + 1)
    return np.asarray(list(itertools.product(steps, repeat=ndim)), np.int32)


def extended(x: Array, radius: int, ndim: int, mode: str) -> Array:
    """The image with ``radius`` voxels more at either end of its last ``ndim`` axes."""
    edges = [(0, 0)] * (x.ndim - ndim) + [(radius, radius)] * ndim
    return jnp.pad(x, edges, mode=mode)


def shifted(wide: Array, offset: Array, radius: int, ndim: int) -> Array:
    """From an `extended` image what lies at ``offset`` from each voxel."""
    sizes = [n - 2 * radius for n in wide.shape[wide.ndim - ndim :]]
    for i, size in enumerate(sizes):
        axis = wide.ndim - ndim + i
        wide = jax.lax.dynamic_slice_in_dim(wide, offset[i] + radius, size, axis)
    return wide


def summed(term: Callable[[Array], PyTree], steps: np.ndarray) -> PyTree:
    """The sum of ``term(offset)`` over offsets, of which one at a time is held."""
    like = jax.eval_shape(term, jax.ShapeDtypeStruct(steps.shape[1:], jnp.int32))
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), like)

    def add(total: PyTree, offset: Array) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, total, term(offset)), None

    return jax.lax.scan(add, zero, jnp.asarray(steps))[0]

"""Separable filters of one image, with parameters that may be traced.

Shifted sums of a padded copy are used where few taps are needed, and small matrix
products where a tap may lie anywhere: XLA's convolutions are several times slower on
CPU than either (96 x 96 x 96, nine taps an axis, jax 0.10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float, Inexact


def gaussian(
    x: Inexact[Array, "..."], sigma: Float[Array, ""], axes: Sequence[int], *, radius: int
) -> Inexact[Array, "..."]:
    """Blur with a Gaussian; beyond the border the nearest voxel is repeated.

    Args:
        x: real or complex.
        sigma: standard deviation in voxels, above 0.
        axes: along which to blur, counted from the end.
        radius: taps on either side; 4 sigma leave less than 1e-4 of the weight out.

    Returns:
        An array of the same shape and dtype.
    """
    if jnp.iscomplexobj(x):
        parts = (gaussian(v, sigma, axes, radius=radius) for v in (x.real, x.imag))
        return jax.lax.complex(*parts)
    distance = jnp.arange(radius + 1, dtype=sigma.dtype)
    taps = jnp.exp(-0.5 * (distance / sigma) ** 2)
    taps = (taps / (2 * jnp.sum(taps) - taps[0])).astype(x.dtype)
    for axis in axes:
        x = _symmetric(x, taps, axis)
    return x


def along(
    matrix: Float[Array, "out n"], x: Inexact[Array, "..."], axis: int
) -> Inexact[Array, "..."]:
    """Multiply every line of an array along one axis by a matrix.

    Args:
        matrix: ``(out, n)``.
        x: real or complex, of ``n`` values along the axis; they become ``out``.
        axis: counted from the end.
    """
    if jnp.iscomplexobj(x):
        return jax.lax.complex(along(matrix, x.real, axis), along(matrix, x.imag, axis))
    matrix, lines = matrix.astype(x.dtype), _lines(x, axis)
    # Products of what lies next to each other already: XLA copies nothing for them.
    if lines.shape[-1] == 1:
        product = jnp.matmul(lines[..., 0], matrix.T, precision="highest")
    else:
        product = jnp.matmul(matrix[None], lines, precision="highest")
    return product.reshape(*x.shape[: x.ndim + axis], -1, *x.shape[x.ndim + axis + 1 :])


def thick_slices(size: int, factor: Float[Array, ""]) -> Float[Array, "size size"]:
    """The matrix that averages over blocks of voxels and interpolates back.

    Args:
        size: voxels along the axis.
        factor: voxels a block, any number of at least 1; the blocks start at the
            first voxel's edge, and the last one is as large as is left.

    Returns:
        Row ``i`` holds the weights with which the voxels make up voxel ``i``.
    """
    number = jnp.arange(size, dtype=factor.dtype)
    lower = number * factor
    # Overlap of block k (rows) with voxel p (columns), whose extent is [p, p + 1].
    upper = jnp.minimum(lower + factor, size)
    overlap = jnp.minimum(upper[:, None], number[None] + 1) - jnp.maximum(
        lower[:, None], number[None]
    )
    mean = jnp.clip(overlap, 0, None)
    extent = jnp.sum(mean, 1, keepdims=True)
    mean = mean / jnp.where(extent > 0, extent, 1)
    last = jnp.ceil(size / factor) - 1
    place = jnp.clip((number + 0.5) / factor - 0.5, 0, last)
    spread = jnp.clip(1 - jnp.abs(place[:, None] - number[None]), 0, None)
    return jnp.matmul(spread, mean, precision="highest")


def _symmetric(x: Array, taps: Array, axis: int) -> Array:
    radius, lines = taps.shape[0] - 1, _lines(x, axis)
    inner = lines.shape[-1]
    # Without the barrier XLA pads anew for every tap.
    wide = jnp.pad(lines, [(0, 0), (radius, radius), (0, 0)], mode="edge")
    wide = jax.lax.optimization_barrier(wide)
    if inner < _VECTOR:
        # A short last axis, such as channels, makes short vectors: shift by so many values.
        wide, lines = (v.reshape(v.shape[0], -1, 1) for v in (wide, lines))
    else:
        inner = 1

    def shifted(steps: int) -> Array:
        start = steps * inner
        return jax.lax.slice_in_dim(wide, start, start + lines.shape[1], axis=1)

    pairs = (taps[k] * (shifted(radius - k) + shifted(radius + k)) for k in range(1, radius + 1))
    return (taps[0] * shifted(radius) + sum(pairs)).reshape(x.shape)


def _lines(x: Array, axis: int) -> Array:
    """As ``(lines before, along the axis, values next to each other)``."""
    place = x.ndim + axis
    return x.reshape(math.prod(x.shape[:place]), x.shape[place], math.prod(x.shape[place + 1 :]))


_VECTOR = 16  # values that a CPU's widest instructions work on at once

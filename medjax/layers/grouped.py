"""Convolutions in groups of channels, as sums of shifted products."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.types import Array, Float

UNROLLED = 27
"""Window positions up to which the sum is laid out: it runs faster, and compiles longer."""


def convolve_shifted(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window in_group out"],
    strides: tuple[int, ...],
    edges: Sequence[tuple[int, int]],
    dilation: tuple[int, ...],
    groups: int,
) -> Float[Array, "batch *reduced out"]:
    """A convolution in groups: for each position of the window, the shifted image times it.

    Args:
        x: the image.
        kernel: of its dtype.
        strides: step between outputs along each axis.
        edges: zeros before and after each spatial axis.
        dilation: step between the window's samples along each axis.
        groups: parts of the channels, in order.
    """
    *window, inputs, features = kernel.shape
    x = jnp.pad(x, ((0, 0), *edges, (0, 0)))
    spans = [n - (k - 1) * d for n, k, d in zip(x.shape[1:-1], window, dilation, strict=True)]
    outputs = [-(-span // step) for span, step in zip(spans, strides, strict=True)]
    precise = x.dtype if x.dtype == jnp.float64 else jnp.float32

    def product(part: Array, weights: Array) -> Array:
        if inputs == 1 and features == groups:
            return part * weights.reshape((1,) * (part.ndim - 1) + (features,))
        parts = part.reshape(*part.shape[:-1], groups, inputs)
        weights = weights.reshape(inputs, groups, features // groups)
        return jnp.einsum("...gi,igo->...go", parts, weights).reshape(*part.shape[:-1], features)

    # Slices are taken anew in the backward pass, where a scan would keep a copy of each.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def add_row(total: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
        starts, weights = row
        rows = x
        for axis, start in enumerate(starts, start=1):
            rows = jax.lax.dynamic_slice_in_dim(rows, start, spans[axis - 1], axis)
            rows = rows[(slice(None),) * axis + (slice(None, None, strides[axis - 1]),)]
        for i in range(window[-1]):
            start = i * dilation[-1]
            end, axis = start + spans[-1], x.ndim - 2
            shifted = jax.lax.slice_in_dim(rows, start, end, strides[-1], axis)
            total = total + product(shifted, weights[i]).astype(precise)
        return total, None

    # The window's last axis is laid out; the others are scanned over.
    positions = np.asarray(list(itertools.product(*map(range, window[:-1]))), np.int32)
    starts = jnp.asarray(positions * np.asarray(dilation[:-1], np.int32))
    weights = kernel.reshape(len(positions), window[-1], inputs, features)
    unroll = len(positions) if math.prod(window) <= UNROLLED else 1
    total = jnp.zeros((x.shape[0], *outputs, features), precise)
    return jax.lax.scan(add_row, total, (starts, weights), unroll=unroll)[0].astype(x.dtype)

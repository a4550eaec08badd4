"""Pooling: maxima and means of windows, and means over parts of an image or all of it."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import Size, per_axis


def max_pool(
    x: Float[Array, "batch *spatial channel"],
    window: Size,
    strides: Size,
    *,
    padding: Size = 0,
    ceil: bool = False,
) -> Float[Array, "batch *reduced channel"]:
    """Maxima of windows.

    Args:
        x: image.
        window: size along each axis.
        strides: step between outputs along each axis.
        padding: places without a value at either end of each axis.
        ceil: whether the last window may reach beyond the end, so that all places are in
            one; else those that fill no window are left out.

    Raises:
        InputError: for an image smaller than the window.

    A maximum of shifted images on CPU, where the gradient of a windowed maximum is several
    times slower. Where several places of a window have the maximum they share the gradient
    there; elsewhere the first has all of it.
    """
    ndim = x.ndim - 2
    window, strides = per_axis(window, ndim, "window"), per_axis(strides, ndim, "strides")
    before = per_axis(padding, ndim, "padding", least=0)
    edges, outputs = [], []
    for n, k, s, p in zip(x.shape[1:-1], window, strides, before, strict=True):
        free = n + 2 * p - k
        if free < 0 and not ceil:
            raise InputError("max_pool", f"sizes of {window} at least", x.shape[1:-1])
        count = (-(-max(free, 0) // s) if ceil else free // s) + 1
        # A window that would begin beyond the image has nothing to say.
        count -= (count - 1) * s >= n + p
        edges.append((p, max((count - 1) * s + k - n - p, 0)))
        outputs.append(count)

    def windowed(x: Array) -> Array:
        sizes, steps = (1, *window, 1), (1, *strides, 1)
        padded = ((0, 0), *edges, (0, 0))
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, sizes, steps, padded)

    def shifted(x: Array) -> Array:
        x = jnp.pad(x, ((0, 0), *edges, (0, 0)), constant_values=-jnp.inf)
        y = None
        for starts in itertools.product(*map(range, window)):
            each = zip(starts, outputs, strides, strict=True)
            part = x[:, *(slice(i, i + (n - 1) * s + 1, s) for i, n, s in each)]
            y = part if y is None else jnp.maximum(y, part)
        return y

    return jax.lax.platform_dependent(x, cpu=shifted, default=windowed)


def average_pool(
    x: Float[Array, "batch *spatial channel"], window: Size
) -> Float[Array, "batch *reduced channel"]:
    """Means of windows side by side.

    Args:
        x: image whose sizes are multiples of the window.
        window: size along each axis.

    Raises:
        InputError: where a size is no multiple.

    A reshape and a mean: the gradient of a windowed reduction is slow on CPU.
    """
    window = per_axis(window, x.ndim - 2, "window")
    if any(n % w for n, w in zip(x.shape[1:-1], window, strict=True)):
        raise InputError("average_pool", f"sizes that are multiples of {window}", x.shape[1:-1])
    blocks = [k for n, w in zip(x.shape[1:-1], window, strict=True) for k in (n // w, w)]
    x = x.reshape(x.shape[0], *blocks, x.shape[-1])
    return x.mean(axis=tuple(range(2, x.ndim - 1, 2)))


def cropped_to_multiple(
    x: Float[Array, "batch *spatial channel"], window: Size
) -> Float[Array, "batch *cropped channel"]:
    """``x`` without what is over at the end of each axis after a whole number of windows."""
    window = per_axis(window, x.ndim - 2, "window")
    return x[:, *(slice(n // w * w) for n, w in zip(x.shape[1:-1], window, strict=True))]


def edged_to_multiple(
    x: Float[Array, "batch *spatial channel"], window: Size
) -> Float[Array, "batch *padded channel"]:
    """``x`` with its edge repeated at the end of each axis, to a whole number of windows.

    With windows of 2 their mean is then that of the places that there are.
    """
    window = per_axis(window, x.ndim - 2, "window")
    ends = [(0, -n % w) for n, w in zip(x.shape[1:-1], window, strict=True)]
    return jnp.pad(x, [(0, 0), *ends, (0, 0)], mode="edge")


def adaptive_average_pool(
    x: Float[Array, "batch *spatial channel"], grid: Size
) -> Float[Array, "batch *grid channel"]:
    """Means of as many parts as asked for, which overlap or repeat where sizes are no multiples.

    Part ``i`` of ``g`` along an axis of ``n`` places goes from ``floor(i n / g)`` to
    ``ceil((i + 1) n / g)``, as in PyTorch.

    Args:
        x: image of any size.
        grid: number of parts along each axis.
    """
    grid = per_axis(grid, x.ndim - 2, "grid")
    for axis, parts in enumerate(grid, start=1):
        size = x.shape[axis]
        if size == parts:
            continue
        weights = np.zeros((size, parts), np.float32)
        for i in range(parts):
            low, high = i * size // parts, -(-(i + 1) * size // parts)
            weights[low:high, i] = 1 / (high - low)
        pooled = jnp.tensordot(x, jnp.asarray(weights, x.dtype), axes=((axis,), (0,)))
        x = jnp.moveaxis(pooled, -1, axis)
    return x


def global_average_pool(x: Float[Array, "batch *spatial channel"]) -> Float[Array, "batch channel"]:
    """The float32 mean of each channel."""
    return x.mean(axis=tuple(range(1, x.ndim - 1)), dtype=jnp.float32)

"""Filtering with few taps along each axis, and enlarging and reducing with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

TAPS = (1.0, 3.0, 3.0, 1.0)
"""A binomial filter: what StyleGAN2 has (Karras et al. 2020, arXiv:1912.04958, appendix B)."""


def filtered(
    x: Float[Array, "batch *spatial channel"],
    taps: Sequence[float] = TAPS,
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> Float[Array, "batch *resampled channel"]:
    """Put ``up - 1`` zeros after each value, pad with zeros, convolve, keep every ``down``-th.

    Along each spatial axis alike. The taps are divided by their sum and multiplied by ``up``,
    so that a constant stays one.

    Args:
        x: image with any number of spatial axes.
        taps: of the filter, one at least; not mirrored, this is a convolution.
        up: factor of enlargement.
        down: factor of reduction.
        padding: zeros before and after each axis, counted after enlargement; negative crops.

    Returns:
        ``(size * up + sum(padding) - len(taps)) // down + 1`` an axis, in the dtype of ``x``.

    Raises:
        InputError: for factors below 1, taps whose sum is 0, and an image smaller than the taps.

    Sums of shifted slices: XLA makes one loop of them, on CPU too, where its convolutions in
    groups are slow. The gradient is a filter, too: the transpose of those slices would be as many
    padded images.
    """
    if min(up, down) < 1:
        raise InputError("up, down", "numbers of at least 1", (up, down))
    if not taps or not sum(taps):
        raise InputError("taps", "at least one, with a sum that is not 0", taps)
    weights = [tap * up / sum(taps) for tap in reversed(taps)]
    for axis in range(1, x.ndim - 1):
        free = x.shape[axis] * up + sum(padding) - len(weights)
        if free < 0:
            raise InputError("filtered", f"sizes of {len(weights)} at least", x.shape[1:-1])
        x = filter_p.bind(
            x,
            weights=tuple(weights),
            axis=axis,
            up=up,
            down=down,
            before=padding[0],
            outputs=free // down + 1,
        )
    return x


def upsample(
    x: Float[Array, "batch *spatial channel"], taps: Sequence[float] = TAPS, factor: int = 2
) -> Float[Array, "batch *larger channel"]:
    """Enlarge each spatial axis ``factor`` times, smoothly; arguments as for `filtered`."""
    count = len(taps)
    edges = ((count + factor - 1) // 2, (count - factor) // 2)
    return filtered(x, taps, up=factor, padding=edges)


def downsample(
    x: Float[Array, "batch *spatial channel"], taps: Sequence[float] = TAPS, factor: int = 2
) -> Float[Array, "batch *smaller channel"]:
    """Reduce each spatial axis ``factor`` times without aliasing; arguments as for `filtered`."""
    count = len(taps)
    edges = ((count - factor + 1) // 2, (count - factor) // 2)
    return filtered(x, taps, down=factor, padding=edges)


def blur(
    x: Float[Array, "batch *spatial channel"], taps: Sequence[float] = TAPS
) -> Float[Array, "batch *spatial channel"]:
    """Filter an image and keep its size; an even number of taps moves it by half a voxel."""
    count = len(taps)
    return filtered(x, taps, padding=(count // 2, (count - 1) // 2))


filter_p = Primitive("medjax_filter")
"""Linear: ``y[j] = sum_i weights[i] wide[j down + i]`` for ``outputs`` places of one axis, where
``wide`` has ``before`` zeros, the values with ``up - 1`` zeros between two, and zeros."""


def _summed(
    x: Array,
    *,
    weights: tuple[float, ...],
    axis: int,
    up: int,
    down: int,
    before: int,
    outputs: int,
) -> Array:
    reach = (outputs - 1) * down + 1
    after = reach + len(weights) - 1 - before - ((x.shape[axis] - 1) * up + 1)
    edges = [(before, after, up - 1) if a == axis else (0, 0, 0) for a in range(x.ndim)]
    wide = jax.lax.pad(x, jnp.zeros((), x.dtype), edges)
    return sum(
        weight * jax.lax.slice_in_dim(wide, i, i + reach, down, axis)
        for i, weight in enumerate(weights)
    )


def _transposed(ct: Any, x: Any, *, weights, axis, up, down, before, outputs) -> Any:
    if type(ct) is ad.Zero:
        return [ad.Zero(x.aval)]
    back = filter_p.bind(
        ct,
        weights=weights[::-1],
        axis=axis,
        up=down,
        down=up,
        before=len(weights) - 1 - before,
        outputs=x.aval.shape[axis],
    )
    return [back]


def _abstract(x: Any, *, axis: int, outputs: int, **_) -> ShapedArray:
    return x.update(shape=(*x.shape[:axis], outputs, *x.shape[axis + 1 :]))


def _batched(args: Any, dims: Any, *, axis: int, **settings) -> Any:
    return filter_p.bind(jnp.moveaxis(args[0], dims[0], 0), axis=axis + 1, **settings), 0


filter_p.def_abstract_eval(_abstract)
filter_p.def_impl(
    jax.jit(
        filter_p.bind,
        static_argnames=("weights", "axis", "up", "down", "before", "outputs"),
    )
)
ad.deflinear2(filter_p, _transposed)
batching.primitive_batchers[filter_p] = _batched
mlir.register_lowering(filter_p, mlir.lower_fun(_summed, multiple_results=False))

"""A constant a channel over an image, and its transpose: sums that leave the channels.

XLA on CPU makes large sums of plain loops or of windows, several times slower than its products
of matrices, and where it does not, then in programs whose convolutions run on one core
(``experiments/benchmarks/norm.py``). So a sum here is a product with ones when it is lowered for
CPU, of what an elementwise loop has added up to an eighth, and what XLA makes of any sum
elsewhere. Each is the derivative of the other, so that norms and biases written in `spread` have
fast gradients too, to any order.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from medjax.core.types import Array, Float

from .on_cpu import is_alone, lowered_for_cpu, used_whole


def spread(values: Float[Array, "..."], sizes: tuple[int, ...], tail: int = 1) -> Array:
    """``values`` at each place of new axes of these sizes, before the last ``tail`` axes.

    Args:
        values: ``(*lead, *channel)``.
        sizes: of the new axes.
        tail: axes of channels.

    Returns:
        ``(*lead, *sizes, *channel)``.
    """
    return spread_p.bind(values, sizes=tuple(sizes), tail=tail) if sizes else values


def total(x: Float[Array, "..."], lead: int = 0, tail: int = 1) -> Array:
    """The sum over all axes but the first ``lead`` and the last ``tail``."""
    return total_p.bind(x, lead=lead, tail=tail) if x.ndim > lead + tail else x


def biased(x: Float[Array, "..."], bias: Float[Array, "..."]) -> Array:
    """A constant a channel added to ``(*place, *channel)``; of the dtype of ``x``."""
    return x + spread(bias.astype(x.dtype), x.shape[: x.ndim - bias.ndim], bias.ndim)


PARTS = 16
"""Of a long sum, on CPU."""

FOLDS = 8
"""Of what is summed, on CPU, before the product; XLA joins at most 15 uses of one array."""

spread_p = Primitive("medjax_spread")
total_p = Primitive("medjax_total")


def _widened(shape: tuple[int, ...], sizes: tuple[int, ...], tail: int) -> tuple[int, ...]:
    at = len(shape) - tail
    return (*shape[:at], *sizes, *shape[at:])


def _spread(values: Array, *, sizes: tuple[int, ...], tail: int) -> Array:
    shape = _widened(values.shape, sizes, tail)
    kept = (*range(values.ndim - tail), *range(len(shape) - tail, len(shape)))
    return jax.lax.broadcast_in_dim(values, shape, kept)


def _total(x: Array, *, lead: int, tail: int) -> Array:
    return jnp.sum(x, axis=tuple(range(lead, x.ndim - tail)))


def _total_on_cpu(x: Array, *, lead: int, tail: int) -> Array:
    kept, channels = x.shape[:lead], x.shape[x.ndim - tail :]
    places = math.prod(x.shape[lead : x.ndim - tail])
    wide = jnp.float32 if x.dtype.itemsize < 4 else x.dtype
    dtype, x = x.dtype, x.reshape(math.prod(kept), places, *channels)
    if is_alone() and places % FOLDS == 0 and places >= FOLDS**2:
        x = _folded(x.astype(wide))
        places //= FOLDS
    # Of one long sum several, which are faster; not of an array whose parts lie elsewhere.
    long = places >= PARTS**2 and places % PARTS == 0 and math.prod(kept) == 1
    parts = PARTS if long and is_alone() else 1
    x = used_whole(x).reshape(math.prod(kept) * parts, places // parts, *channels)
    ones = jnp.ones((x.shape[0], 1, x.shape[1]), x.dtype)
    y = jax.lax.dot_general(
        ones,
        x,
        (((2,), (1,)), ((0,), (0,))),
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=wide,
    )
    return y.reshape(*kept, parts, *channels).sum(lead).astype(dtype)


def _folded(x: Array) -> Array:
    """The sum of as many parts of the second axis, in a loop that can compute ``x`` as well.

    So the square of an image is never written, of which a product would need all.
    """
    parts = jnp.split(x, FOLDS, axis=1)
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _transposed_spread(ct: Any, values: Any, *, sizes: tuple[int, ...], tail: int) -> Any:
    lead = values.aval.ndim - tail
    return [ad.Zero(values.aval) if type(ct) is ad.Zero else total(ct, lead, tail)]


def _transposed_total(ct: Any, x: Any, *, lead: int, tail: int) -> Any:
    sizes = x.aval.shape[lead : x.aval.ndim - tail]
    return [ad.Zero(x.aval) if type(ct) is ad.Zero else spread(ct, sizes, tail)]


def _batched_spread(args: Any, dims: Any, *, sizes: tuple[int, ...], tail: int) -> Any:
    return spread(jnp.moveaxis(args[0], dims[0], 0), sizes, tail), 0


def _batched_total(args: Any, dims: Any, *, lead: int, tail: int) -> Any:
    return total(jnp.moveaxis(args[0], dims[0], 0), lead + 1, tail), 0


def _abstract_spread(values: Any, *, sizes: tuple[int, ...], tail: int) -> ShapedArray:
    return values.update(shape=_widened(values.shape, sizes, tail))


def _abstract_total(x: Any, *, lead: int, tail: int) -> ShapedArray:
    return x.update(shape=(*x.shape[:lead], *x.shape[x.ndim - tail :]))


spread_p.def_abstract_eval(_abstract_spread)
total_p.def_abstract_eval(_abstract_total)
spread_p.def_impl(jax.jit(spread_p.bind, static_argnames=("sizes", "tail")))
total_p.def_impl(jax.jit(total_p.bind, static_argnames=("lead", "tail")))
ad.deflinear2(spread_p, _transposed_spread)
ad.deflinear2(total_p, _transposed_total)
batching.primitive_batchers[spread_p] = _batched_spread
batching.primitive_batchers[total_p] = _batched_total
mlir.register_lowering(spread_p, mlir.lower_fun(_spread, multiple_results=False))
mlir.register_lowering(total_p, mlir.lower_fun(_total, multiple_results=False))
mlir.register_lowering(total_p, lowered_for_cpu(_total_on_cpu), "cpu")

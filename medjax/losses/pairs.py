"""Similarities of all pairs, a block of keys at a time: what contrastive losses are made of."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float, Int

BLOCK = 1024
"""Keys that are compared at a time: 4 kB for each query."""


class PairStatistics(NamedTuple):
    """What contrastive losses need of the similarities of a query with all keys.

    Attributes:
        log_sum_exp: of the similarities with all keys that are not left out.
        positive: sum of the similarities with positive keys.
        count: number of positive keys.
    """

    log_sum_exp: Float[Array, " query"]
    positive: Float[Array, " query"]
    count: Float[Array, " query"]


class _Names(NamedTuple):
    """Integers of queries or keys: ``group``, shared by positives, and ``place``."""

    group: Int[Array, " n"]
    place: Int[Array, " n"]


def unit(x: Array) -> Float[Array, "*batch channel"]:
    """Vectors of length one along the last axis, in float32 or wider; zeros stay zeros."""
    x = x.astype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x
    # A millionth of a length: beside it even a vector of zeros has a finite gradient.
    return x * jax.lax.rsqrt(jnp.sum(x**2, -1, keepdims=True) + 1e-12)


def pair_statistics(
    queries: Float[Array, "query channel"],
    keys: Float[Array, "key channel"],
    *,
    query_group: Int[Array, " query"] | None = None,
    key_group: Int[Array, " key"] | None = None,
    without_self: bool = False,
    block: int = BLOCK,
) -> PairStatistics:
    """Log-sum-exp of inner products over all keys, and their sum over positive ones.

    Args:
        queries: already divided by a temperature.
        keys: of the same dtype.
        query_group: a query's positives are the keys of its group. None, of both, where
            query and key of the same place are a pair.
        key_group: likewise.
        without_self: leave out the key in the query's own place, where both are one array.
        block: keys that are compared at a time.

    The gradient is computed anew from the inputs and the log-sum-exp, block by block: what is
    kept between the passes is a number a query.
    """
    rows, columns = (jnp.arange(x.shape[0], dtype=jnp.int32) for x in (queries, keys))
    by_row = rows if query_group is None else query_group.astype(jnp.int32)
    by_column = columns if key_group is None else key_group.astype(jnp.int32)
    # A place that no key has leaves nothing out.
    rows = rows if without_self else jnp.full_like(rows, -1)
    block = min(block, keys.shape[0])
    return PairStatistics(
        *_streamed(queries, keys, _Names(by_row, rows), _Names(by_column, columns), block)
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _streamed(queries: Array, keys: Array, rows: _Names, columns: _Names, block: int):
    def step(carry, part):
        largest, total, positive, count = carry
        products, allowed, same = _block(queries, rows, keys.shape[0], part)
        now = jnp.maximum(largest, jnp.max(jnp.where(allowed, products, -jnp.inf), 1))
        terms = jnp.where(allowed, jnp.exp(products - now[:, None]), 0)
        total = total * jnp.exp(largest - now) + jnp.sum(terms, 1)
        positive = positive + jnp.sum(jnp.where(same, products, 0), 1)
        count = count + jnp.sum(same, 1, dtype=count.dtype)
        return (now, total, positive, count), None

    zeros = jnp.zeros(queries.shape[0], queries.dtype)
    # Finite, so that the difference of two of them is a number.
    least = jnp.full_like(zeros, jnp.finfo(queries.dtype).min)
    start = (least, zeros, zeros, zeros)
    (largest, total, positive, count), _ = jax.lax.scan(step, start, _cut(keys, columns, block))
    return largest + jnp.log(total), positive, count


def _forward(queries: Array, keys: Array, rows: _Names, columns: _Names, block: int):
    out = _streamed(queries, keys, rows, columns, block)
    return out, (queries, keys, rows, columns, out[0])


def _backward(block: int, kept: tuple, cotangents: tuple):
    queries, keys, rows, columns, log_sum_exp = kept
    of_sum, of_positive, _ = cotangents

    def step(total, part):
        products, allowed, same = _block(queries, rows, keys.shape[0], part)
        share = jnp.where(allowed, jnp.exp(products - log_sum_exp[:, None]), 0)
        slope = share * of_sum[:, None] + jnp.where(same, of_positive[:, None], 0)
        return total + product(slope, part[0]), product(slope.T, queries)

    start = jnp.zeros_like(queries)
    of_queries, of_keys = jax.lax.scan(step, start, _cut(keys, columns, block))
    of_keys = of_keys.reshape(-1, keys.shape[1])[: keys.shape[0]]
    return of_queries, of_keys, None, None


_streamed.defvjp(_forward, _backward)


def _cut(keys: Array, columns: _Names, block: int) -> tuple[Array, _Names]:
    """Keys and their names in blocks of equal size; keys of the padding have places beyond all."""
    more = -keys.shape[0] % block
    beyond = keys.shape[0] + jnp.arange(more, dtype=jnp.int32)
    keys = jnp.pad(keys, ((0, more), (0, 0)))
    group = jnp.pad(columns.group, (0, more))
    names = _Names(group, jnp.concatenate([columns.place, beyond]))
    cut = lambda x: x.reshape(-1, block, *x.shape[1:])  # noqa: E731
    return cut(keys), _Names(*map(cut, names))


def _block(queries: Array, rows: _Names, count: int, part: tuple[Array, _Names]):
    """Products with a block of keys, which of them count, and which are of positives."""
    keys, columns = part
    there = (columns.place < count)[None]
    allowed = there & (rows.place[:, None] != columns.place[None])
    same = allowed & (rows.group[:, None] == columns.group[None])
    return product(queries, keys.T), allowed, same


def product(a: Array, b: Array) -> Array:
    """The product of matrices, in full precision also where it would be rounded by default."""
    # Over a small temperature the rounding of fast products would be most of a difference.
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)

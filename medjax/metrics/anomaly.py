"""How well scores find what is marked: ``(scores, marked) -> (batch,)``, whatever the threshold.

Scores are floating point ``(batch, ...)``, higher where something is more likely there; marks
are boolean of the same shape. A sample's value is over all of its places, such as the pixels of
an image. For a value of a whole set give it as one sample: ``auroc(scores[None], marked[None])``.

A sample in which nothing is marked is not scored: NaN. So is one with a NaN among its scores.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float


def average_precision(scores: Array, marked: Array) -> Float[Array, " batch"]:
    """The mean of the precision at the score of each marked place.

    It is the area under the curve of precision by recall in steps, as scikit-learn has it: equal
    scores count as one threshold. A score that knows nothing gets the share of what is marked.

    Args:
        scores: higher where something is more likely there.
        marked: true where something is.

    Raises:
        InputError: for other dtypes or shapes.
    """

    def one(hits: Array, found: Array, total: Array, own: Array) -> Array:
        return jnp.sum(jnp.where(own, hits / found, 0)) / total

    return _ranked(scores, marked, one, "average_precision")


def best_dice(scores: Array, marked: Array) -> Float[Array, " batch"]:
    """The largest Dice coefficient that a threshold of the scores gives.

    A bound that no method reaches without knowing the truth, where a threshold of each sample
    is chosen by it; as anomaly detection reports it beside the average precision.

    Arguments and errors are those of `average_precision`.
    """

    def one(hits: Array, found: Array, total: Array, own: Array) -> Array:
        return jnp.max(2 * hits / (found + total))

    return _ranked(scores, marked, one, "best_dice")


def auroc(scores: Array, marked: Array) -> Float[Array, " batch"]:
    """The chance that a marked place scores higher than one that is not, half for equal scores.

    Area under the receiver operating characteristic (Hanley & McNeil 1982). NaN also where all
    is marked. Arguments and errors are those of `average_precision`.
    """

    def one(hits: Array, found: Array, total: Array, own: Array) -> Array:
        # Of each place that is not marked: what is marked above it, and half of its equals.
        rest = found[-1] - total
        before = jnp.concatenate([jnp.zeros(1, hits.dtype), hits[:-1]])
        new = jnp.concatenate([jnp.ones(1, bool), found[1:] != found[:-1]])
        above = jax.lax.cummax(jnp.where(new, before, 0))
        wins = jnp.sum(jnp.where(own, 0, above + 0.5 * (hits - above)))
        return jnp.where(rest > 0, wins / (total * jnp.where(rest > 0, rest, 1)), jnp.nan)

    return _ranked(scores, marked, one, "auroc")


def _ranked(scores: Array, marked: Array, one: Callable[..., Array], what: str) -> Array:
    """``one(hits, found, total, own)`` of each sample, places in order of falling scores.

    ``found`` is how many places score as much or more, ``hits`` how many of these are marked,
    ``total`` how many are in all, and ``own`` whether the place itself is.
    """
    kinds = f"{scores.dtype} {scores.shape} and {marked.dtype} {marked.shape}"
    if not jnp.issubdtype(scores.dtype, jnp.floating) or marked.dtype != jnp.bool_:
        raise InputError(what, "floating scores and boolean marks", kinds)
    if scores.shape != marked.shape or scores.ndim < 2:
        raise InputError(what, "two arrays of one shape (batch, ...)", kinds)

    def sample(score: Array, mark: Array) -> Array:
        # Marks are carried by the sort, in place of being taken by its order.
        falling, own = jax.lax.sort((-score, mark), num_keys=1)
        counted = jnp.cumsum(own, dtype=jnp.int32)
        found = jnp.searchsorted(falling, falling, side="right", method="sort")
        hits = counted[found - 1]
        counts = (a.astype(jnp.float32) for a in (hits, found))
        total = counted[-1].astype(jnp.float32)
        value = one(*counts, jnp.maximum(total, 1), own)
        return jnp.where((total > 0) & ~jnp.isnan(score).any(), value, jnp.nan)

    flat = (a.reshape(a.shape[0], -1) for a in (scores.astype(jnp.float32), marked))
    return jax.vmap(sample)(*flat)

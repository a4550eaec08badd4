"""How good features are, without a head on them: rank, uniformity, alignment, neighbours.

Features are floating ``(batch, channel)``; sums are float32. `effective_rank` and `uniformity`
belong to the batch, not to its samples, and show a representation that collapses: a rank
towards 1, or a uniformity towards 0, says that all images look alike to the network.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

_CHUNK = 1024  # queries whose similarities are in memory at a time
_TINY = 1e-12  # below any length of features that are not zero
_WHOLE = jax.lax.Precision.HIGHEST  # accelerators round products, which hides small distances


def effective_rank(features: Array) -> Float[Array, ""]:
    """How many directions the features use: the exponential of their spectrum's entropy.

    Args:
        features: ``(batch, channel)``; as they are, not centred.

    Returns:
        Between 1 and ``min(batch, channel)``: the number of equal singular values that would
        have the same entropy (Roy & Vetterli 2007). As RankMe (Garrido et al. 2023,
        arXiv:2210.02885, eq. 1) but for a constant of 1e-7 in the logarithm. NaN for zeros.

    Raises:
        InputError: for another rank or dtype.
    """
    values = jnp.linalg.svd(_checked(features, "effective_rank"), compute_uv=False)
    share = values / jnp.sum(values)
    return jnp.exp(-jnp.sum(jax.scipy.special.xlogy(share, share)))


def uniformity(features: Array) -> Float[Array, ""]:
    """How evenly normalised features fill the sphere; lower is more even.

    Args:
        features: ``(batch, channel)``, at least two.

    Returns:
        ``log mean exp(-2 |x - y|^2)`` over pairs of different samples (Wang & Isola 2020,
        arXiv:2005.10242, eq. 7): 0 where all are alike, about -4 on an even sphere of many
        dimensions.

    Raises:
        InputError: for another rank or dtype, or a single sample.
    """
    x = _unit(_checked(features, "uniformity"))
    n = x.shape[0]
    if n < 2:
        raise InputError("uniformity", "at least two samples", n)
    squared = 2 - 2 * jnp.matmul(x, x.T, precision=_WHOLE)
    pairs = ~jnp.eye(n, dtype=bool)
    return jax.scipy.special.logsumexp(-2 * squared, where=pairs) - math.log(n * (n - 1))


def alignment(first: Array, second: Array) -> Float[Array, " batch"]:
    """Squared distance between the normalised features of two views; lower is closer.

    Args:
        first: ``(batch, channel)``, of one view of each sample.
        second: of the same shape, of another.

    Returns:
        0 to 4, one value a sample (Wang & Isola 2020, arXiv:2005.10242, eq. 6 with their
        exponent of 2).

    Raises:
        InputError: for another rank or dtype, or unequal shapes.
    """
    first, second = (_checked(a, "alignment") for a in (first, second))
    if first.shape != second.shape:
        raise InputError("alignment", f"shape {first.shape} of the first view", second.shape)
    return jnp.sum((_unit(first) - _unit(second)) ** 2, axis=-1)


def neighbour_votes(
    queries: Array,
    keys: Array,
    labels: Array,
    *,
    classes: int,
    neighbours: int = 20,
    temperature: float = 0.07,
) -> Float[Array, "query class"]:
    """Votes of the nearest keys, by cosine similarity.

    Args:
        queries: features to classify, ``(query, channel)``.
        keys: features of known samples, ``(key, channel)``.
        labels: integers, ``(key,)``, of the keys.
        classes: how many there are.
        neighbours: how many keys vote, at most all.
        temperature: each votes with ``exp(similarity / temperature)`` (Wu et al. 2018,
            arXiv:1805.01978, section 3.4).

    Returns:
        Each class's share of the votes, of sum 1.

    Raises:
        InputError: for shapes, dtypes or numbers that do not fit.

    Similarities are computed for 1024 queries at a time.
    """
    queries, keys = _checked(queries, "queries"), _checked(keys, "keys")
    _require_neighbours(neighbours, keys.shape[0], temperature)
    if queries.shape[-1] != keys.shape[-1]:
        raise InputError("queries", f"{keys.shape[-1]} channels, as the keys", queries.shape[-1])
    votes = _one_hot(labels, keys.shape[0], classes)
    keys = _unit(keys)

    def one(query: Array) -> Array:
        similarity = jnp.matmul(keys, query, precision=_WHOLE)
        return _share(similarity, votes, neighbours, temperature)

    return jax.lax.map(one, _unit(queries), batch_size=min(_CHUNK, queries.shape[0]))


def neighbour_accuracy(
    features: Array,
    labels: Array,
    *,
    classes: int,
    neighbours: int = 20,
    temperature: float = 0.07,
) -> Float[Array, " batch"]:
    """1 where a sample's nearest neighbours in the batch vote for its label, else 0.

    Args:
        features: ``(batch, channel)``; a sample is no neighbour of itself.
        labels: integers, ``(batch,)``.
        classes: how many there are.
        neighbours: how many vote, fewer than samples.
        temperature: see `neighbour_votes`.

    Raises:
        InputError: for shapes, dtypes or numbers that do not fit.

    For watching a training; `neighbour_votes` is for held-out samples.
    """
    x = _unit(_checked(features, "features"))
    n = x.shape[0]
    _require_neighbours(neighbours, n - 1, temperature)
    votes = _one_hot(labels, n, classes)

    def one(index: Array) -> Array:
        similarity = jnp.matmul(x, x[index], precision=_WHOLE)
        similarity = jnp.where(jnp.arange(n) == index, -jnp.inf, similarity)
        return _share(similarity, votes, neighbours, temperature)

    shares = jax.lax.map(one, jnp.arange(n), batch_size=min(_CHUNK, n))
    return (jnp.argmax(shares, axis=-1) == labels).astype(jnp.float32)


def _share(similarity: Array, votes: Array, neighbours: int, temperature: float) -> Array:
    """Share of each class in the weighted votes of the most similar."""
    nearest, places = jax.lax.top_k(similarity, neighbours)
    return jax.nn.softmax(nearest / temperature) @ votes[places]


def _one_hot(labels: Array, samples: int, classes: int) -> Array:
    if not jnp.issubdtype(labels.dtype, jnp.integer) or labels.shape != (samples,):
        got = f"{labels.dtype} {labels.shape}"
        raise InputError("labels", f"integers ({samples},), one a sample", got)
    return jax.nn.one_hot(labels, classes, dtype=jnp.float32)


def _require_neighbours(neighbours: int, available: int, temperature: float) -> None:
    if not 1 <= neighbours <= available:
        raise InputError("neighbours", f"1 to {available}, the samples that can vote", neighbours)
    if not temperature > 0:
        raise InputError("temperature", "a positive number", temperature)


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), _TINY)


def _checked(features: Array, what: str) -> Array:
    if not jnp.issubdtype(features.dtype, jnp.floating) or features.ndim != 2:
        got = f"{features.dtype} {features.shape}"
        raise InputError(what, "floating-point features (batch, channel)", got)
    return features.astype(jnp.float32)

"""Metrics of representations: known geometry, invariances, refusals."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.metrics import representation as metrics


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_effective_rank_counts_equal_directions():
    for rank in (1, 3, 8):
        basis = jnp.linalg.qr(normal(8, 8))[0]
        features = jnp.tile(basis[:rank], (4, 1)) * 7.0
        np.testing.assert_allclose(jax.jit(metrics.effective_rank)(features), rank, rtol=1e-4)


def test_effective_rank_of_two_unequal_directions_is_that_of_their_entropy():
    features = jnp.diag(jnp.asarray([3.0, 1.0]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    np.testing.assert_allclose(metrics.effective_rank(features), math.exp(entropy), rtol=1e-5)
    assert np.isnan(metrics.effective_rank(jnp.zeros((3, 2))))


def test_uniformity_of_known_points():
    alike = jnp.ones((5, 3))
    np.testing.assert_allclose(metrics.uniformity(alike), 0, atol=1e-5)
    ends = jnp.asarray([[2.0, 0], [-0.5, 0]])  # antipodes, whatever their length
    np.testing.assert_allclose(metrics.uniformity(ends), -8, rtol=1e-6)
    square = jnp.asarray([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    wanted = math.log((8 * math.exp(-4) + 4 * math.exp(-8)) / 12)
    np.testing.assert_allclose(metrics.uniformity(square), wanted, rtol=1e-5)


def test_alignment_is_the_squared_distance_on_the_sphere():
    first = jnp.asarray([[1.0, 0], [0, 2], [3, 0]])
    second = jnp.asarray([[5.0, 0], [1, 0], [-1, 0]])
    np.testing.assert_allclose(metrics.alignment(first, second), [0, 2, 4], atol=1e-6)


def test_votes_are_weighted_by_similarity():
    keys = jnp.asarray([[1.0, 0], [0, 1], [-1, 0]])
    labels = jnp.asarray([0, 1, 1], jnp.int32)
    queries = jnp.asarray([[2.0, 0], [0.0, -1]])
    got = metrics.neighbour_votes(queries, keys, labels, classes=2, neighbours=2, temperature=0.5)
    first = math.exp(2) / (math.exp(2) + 1)
    np.testing.assert_allclose(got[0], [first, 1 - first], rtol=1e-5)
    np.testing.assert_allclose(got[1], [0.5, 0.5], rtol=1e-5)  # both ends are as far


def test_votes_in_chunks_are_votes(monkeypatch):
    queries, keys = normal(7, 4), normal(9, 4, seed=1)
    labels = jnp.asarray(np.arange(9) % 3, jnp.int32)
    whole = metrics.neighbour_votes(queries, keys, labels, classes=3, neighbours=4)
    monkeypatch.setattr(metrics, "_CHUNK", 3)
    parts = metrics.neighbour_votes(queries, keys, labels, classes=3, neighbours=4)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    np.testing.assert_allclose(whole.sum(-1), 1, rtol=1e-5)


def test_a_sample_is_no_neighbour_of_itself():
    centres = 10 * jnp.eye(3)
    labels = jnp.asarray(np.arange(12) % 3, jnp.int32)
    features = centres[labels] + normal(12, 3)
    right = metrics.neighbour_accuracy(features, labels, classes=3, neighbours=3)
    np.testing.assert_array_equal(right, np.ones(12))
    alone = jnp.arange(3, dtype=jnp.int32)  # the nearest is always of another class
    wrong = metrics.neighbour_accuracy(centres, alone, classes=3, neighbours=1)
    np.testing.assert_array_equal(wrong, np.zeros(3))


def test_refusals():
    x, labels = normal(4, 3), jnp.zeros(4, jnp.int32)
    with pytest.raises(InputError, match="effective_rank"):
        metrics.effective_rank(x[0])
    with pytest.raises(InputError, match="at least two samples, got 1"):
        metrics.uniformity(x[:1])
    with pytest.raises(InputError, match=r"shape \(4, 3\)"):
        metrics.alignment(x, x[:2])
    with pytest.raises(InputError, match="neighbours: expected 1 to 4"):
        metrics.neighbour_votes(x, x, labels, classes=1, neighbours=5)
    with pytest.raises(InputError, match="neighbours: expected 1 to 3"):
        metrics.neighbour_accuracy(x, labels, classes=1, neighbours=4)
    with pytest.raises(InputError, match="temperature"):
        metrics.neighbour_votes(x, x, labels, classes=1, neighbours=1, temperature=0.0)
    with pytest.raises(InputError, match="channels"):
        metrics.neighbour_votes(x[:, :2], x, labels, classes=1, neighbours=1)
    with pytest.raises(InputError, match="labels"):
        metrics.neighbour_votes(x, x, labels[:2], classes=1, neighbours=1)

"""Losses of an image by itself: known values and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.losses import low_rank, vectorial_total_variation, weighted
from medjax.losses.pixel import l1

LOSSES = (low_rank, vectorial_total_variation)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_the_nuclear_norm_is_that_of_each_channel():
    x = normal(2, 5, 6, 3)
    norms = [[np.linalg.norm(x[i, ..., c], "nuc") for c in range(3)] for i in range(2)]
    expected = np.mean(norms, 1) / np.sqrt(30)
    np.testing.assert_allclose(low_rank(jnp.asarray(x)), expected, rtol=1e-5)


def test_of_a_volume_it_is_the_mean_of_the_unfoldings():
    x = normal(1, 3, 4, 5, 1)
    volume = x[0, ..., 0]
    flat = [np.moveaxis(volume, axis, 0).reshape(volume.shape[axis], -1) for axis in range(3)]
    expected = np.mean([np.linalg.norm(matrix, "nuc") for matrix in flat]) / np.sqrt(60)
    np.testing.assert_allclose(low_rank(jnp.asarray(x)), [expected], rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 7), (3, 4, 5)])
def test_a_constant_image_has_its_modulus_and_no_variation(shape):
    x = jnp.full((1, *shape, 2), -3.0)
    np.testing.assert_allclose(low_rank(x), [3], rtol=1e-5)
    np.testing.assert_allclose(vectorial_total_variation(x), [0])
    assert not jax.grad(lambda x: vectorial_total_variation(x)[0])(x).any()


def test_channels_that_share_an_edge_pay_for_it_once():
    step = jnp.where(jnp.arange(6) < 3, 0.0, 1.0)
    first = jnp.broadcast_to(step[None, :, None], (6, 6, 1))
    same = jnp.concatenate([first, first], -1)[None]
    other = jnp.concatenate([first, jnp.swapaxes(first, 0, 1)], -1)[None]
    # One of six columns has a step.
    np.testing.assert_allclose(vectorial_total_variation(first[None]), [1 / 6], rtol=1e-6)
    np.testing.assert_allclose(vectorial_total_variation(same), [np.sqrt(2) / 6], rtol=1e-6)
    crossing = (10 + np.sqrt(2)) / 36
    np.testing.assert_allclose(vectorial_total_variation(other), [crossing], rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients(loss):
    x, direction = (jnp.asarray(a) for a in np.split(normal(2, 5, 6, 2), 2))
    slope = jnp.sum(jax.grad(lambda x: loss(x)[0])(x) * direction)
    numeric = (loss(x + 1e-2 * direction) - loss(x - 1e-2 * direction))[0] / 2e-2
    np.testing.assert_allclose(slope, numeric, rtol=1e-2)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_empty_image_has_a_finite_gradient(loss):
    nothing = jnp.zeros((2, 4, 5, 1))
    values, slope = jax.value_and_grad(lambda x: loss(x).sum())(nothing)
    assert values == 0
    assert np.isfinite(slope).all()


def test_they_are_terms_of_sums():
    x, y = jnp.asarray(normal(1, 4, 5, 1)), jnp.zeros((1, 4, 5, 1))
    both = weighted(((1.0, l1), (0.1, low_rank)))
    np.testing.assert_allclose(both(x, y), l1(x, y) + 0.1 * low_rank(x), rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_no_image_is_refused(loss):
    with pytest.raises(InputError, match="2 or 3 spatial axes"):
        loss(jnp.zeros((2, 4, 5)))

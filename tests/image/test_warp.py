"""Interpolation against SciPy's, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from medjax.image import warp

linear = jax.jit(warp.sample_linear, static_argnames="outside")
nearest = jax.jit(warp.sample_nearest, static_argnames="outside")
majority = jax.jit(warp.sample_majority, static_argnames="outside")
affine = jax.jit(warp.affine_warp)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(9, 7), (6, 5, 7)])
def test_linear_is_scipys(shape):
    image = RNG.standard_normal(shape)
    positions = [RNG.uniform(-3, n + 2, (4, 5, 6)) for n in shape]
    expected = ndimage.map_coordinates(
        image, positions, order=1, mode="grid-constant", cval=1.5, prefilter=False
    )
    with jax.enable_x64(True):
        where = [jnp.asarray(p) for p in positions]
        got = linear(jnp.asarray(image), where, outside=1.5)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
        # Complex images part by part.
        both = linear(jnp.asarray(image + 2j * image), where, outside=1.5)
        np.testing.assert_allclose(both.real, expected, rtol=1e-12, atol=1e-12)
        none = ndimage.map_coordinates(image, positions, order=1, mode="grid-constant")
        np.testing.assert_allclose(both.imag, 2 * none, rtol=1e-12, atol=1e-12)


def test_positions_that_are_no_numbers_read_nothing_outside():
    image = jnp.ones((3, 3))
    wild = jnp.asarray([np.nan, np.inf, -np.inf, 1e30, 1.0])
    got = np.asarray(linear(image, [wild, jnp.ones(5)], outside=7.0))
    assert np.isnan(got[0])
    np.testing.assert_array_equal(got[1:], [7, 7, 7, 1])
    assert np.asarray(nearest(image.astype(jnp.int32), [wild, jnp.ones(5)]))[4] == 1


@pytest.mark.parametrize("shape", [(9, 7), (6, 5, 7)])
def test_nearest_is_scipys_and_majority_is_the_argmax_of_one_hot_maps(shape):
    labels = RNG.integers(0, 5, shape).astype(np.uint8)
    positions = [RNG.uniform(-2, n + 1, 200).astype(np.float32) for n in shape]
    where = [jnp.asarray(p) for p in positions]
    beyond = 3
    expected = ndimage.map_coordinates(
        labels, positions, order=0, mode="grid-constant", cval=beyond, prefilter=False
    )
    got = nearest(jnp.asarray(labels), where, outside=beyond)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, expected)
    maps = [
        ndimage.map_coordinates(
            (labels == c).astype(float), positions, order=1, mode="grid-constant", cval=c == beyond
        )
        for c in range(5)
    ]
    smooth = majority(jnp.asarray(labels), where, outside=beyond)
    shares = np.sort(maps, axis=0)
    clear = shares[-1] - shares[-2] > 1e-5
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(np.asarray(smooth)[clear], np.argmax(maps, 0)[clear])


def test_affine_warp_turns_and_moves_exactly():
    image = jnp.asarray(RNG.random((7, 7)), jnp.float32)
    quarter = jnp.asarray([[0.0, 1.0], [-1.0, 0.0]])
    turned = affine(image, quarter, jnp.zeros(2))
    np.testing.assert_allclose(turned, np.rot90(image), atol=1e-5)
    moved = affine(image, jnp.eye(2), jnp.asarray([1.0, -2.0]))
    np.testing.assert_allclose(moved[:-1, 2:], image[1:, :-2], atol=1e-6)
    assert not moved[-1].any()
    volume = jnp.asarray(RNG.random((3, 4, 5)), jnp.float32)
    same = affine(volume, jnp.eye(3), jnp.zeros(3))
    np.testing.assert_array_equal(same, volume)

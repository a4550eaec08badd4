"""Separable filters against SciPy's, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from medjax.image import filters

gaussian = jax.jit(filters.gaussian, static_argnums=2, static_argnames="radius")
thick_slices = jax.jit(filters.thick_slices, static_argnums=0)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "axes"), [((20, 9), (-2, -1)), ((6, 17, 5, 2), (-4, -3, -2))])
def test_gaussian_is_scipys(shape, axes):
    x = RNG.standard_normal(shape)
    expected = ndimage.gaussian_filter(x, 0.9, radius=4, mode="nearest", axes=axes)
    with jax.enable_x64(True):
        got = gaussian(jnp.asarray(x), jnp.asarray(0.9), axes, radius=4)
        np.testing.assert_allclose(got, expected, atol=1e-12)
        both = gaussian(jnp.asarray(x + 1j), jnp.asarray(0.9), axes, radius=4)
        np.testing.assert_allclose(both, expected + 1j, atol=1e-12)


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_along_is_a_product_on_one_axis(axis):
    x, matrix = RNG.standard_normal((3, 4, 5)), RNG.standard_normal((6, (5, 4, 3)[-1 - axis]))
    expected = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    with jax.enable_x64(True):
        got = filters.along(jnp.asarray(matrix), jnp.asarray(x * 1j), axis)
        np.testing.assert_allclose(got, 1j * expected, atol=1e-12)


def test_thick_slices_average_and_interpolate():
    with jax.enable_x64(True):
        np.testing.assert_allclose(thick_slices(5, jnp.asarray(1.0)), np.eye(5))
        thick = np.asarray(thick_slices(6, jnp.asarray(2.0)))
        line = np.asarray([1.0, 3.0, 5.0, 5.0, 0.0, 2.0])
        # Means 2, 5 and 1 at 0.5, 2.5 and 4.5; the ends continue.
        np.testing.assert_allclose(thick @ line, [2, 2.75, 4.25, 4, 2, 1])
        for factor in (1.3, 2.7, 9.0):
            odd = thick_slices(7, jnp.asarray(factor))
            np.testing.assert_allclose(odd.sum(1), 1, atol=1e-12)
        np.testing.assert_allclose(odd, 1 / 7)

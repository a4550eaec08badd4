"""Interpolation on other grids, gradient maps, and smoothing that keeps edges."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.image.resize import enlarged, gradient_magnitude, resized
from medjax.image.wls import weighted_least_squares

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "super_resolution.npz")


@pytest.mark.parametrize(("method", "name"), [("linear", "bilinear"), ("cubic", "bicubic")])
def test_interpolation_is_pytorchs_with_antialiasing(method, name):
    x = jnp.asarray(np.moveaxis(REFERENCE["resize_in"], 1, -1))
    for way in ("up", "down"):
        wanted = np.moveaxis(REFERENCE[f"resize_{name}_{way}"], 1, -1)
        got = resized(x, wanted.shape[1:3], method)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_volume_is_enlarged_along_one_axis_alone():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 2, 3, 4, 1)), jnp.bfloat16)
    y = enlarged(x, (1, 1, 3))
    assert (y.shape, y.dtype) == ((1, 2, 3, 12, 1), jnp.float32)
    np.testing.assert_allclose(y[:, 0, 0], enlarged(x[:, 0], (1, 3))[:, 0], atol=1e-6)
    for wrong, match in (
        (lambda: resized(x, (4, 4)), "sizes: expected 3 positive numbers"),
        (lambda: enlarged(x, (2, 2)), "scale: expected 3 numbers"),
    ):
        with pytest.raises(InputError, match=match):
            wrong()


def test_the_gradient_map_of_a_slope_is_its_steepness():
    i, j = jnp.meshgrid(jnp.arange(5.0), jnp.arange(6.0), indexing="ij")
    x = (3 * i + 4 * j)[None, ..., None]
    np.testing.assert_allclose(gradient_magnitude(x)[0, 1:-1, 1:-1], 5, rtol=1e-6)
    slope = jax.grad(lambda x: gradient_magnitude(x).sum())(jnp.ones((1, 4, 4, 1)))
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize("shape", [(5, 4), (3, 2, 3)])
def test_weighted_least_squares_is_the_solution_of_its_equations(shape):
    rng, strength = np.random.default_rng(0), 0.7
    x = rng.standard_normal(shape)
    n, index = x.size, np.arange(x.size).reshape(shape)
    matrix = np.eye(n)
    for axis in range(x.ndim):
        low, high = (np.take(index, range(i, i + shape[axis] - 1), axis) for i in (0, 1))
        for a, b in zip(low.ravel(), high.ravel(), strict=True):
            step = abs(x.flat[a] - x.flat[b]) / np.ptp(x)
            weight = strength / (step**1.2 + 1e-2)
            matrix[[a, b], [a, b]] += weight
            matrix[[a, b], [b, a]] -= weight
    wanted = np.linalg.solve(matrix, x.ravel()).reshape(shape)
    both = jnp.asarray(np.stack([x, 5 * x])[..., None], jnp.float32)
    got = jax.jit(lambda x: weighted_least_squares(x, strength, tolerance=1e-6))(both)
    np.testing.assert_allclose(got[0, ..., 0], wanted, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(got[1], 5 * got[0], rtol=1e-3, atol=1e-3)


def test_edges_stay_where_noise_goes():
    step = jnp.where(jnp.arange(16) < 8, 0.0, 1.0)[None].repeat(16, 0)
    noise = 0.02 * jnp.asarray(np.random.default_rng(0).standard_normal((16, 16)), jnp.float32)
    y = jax.jit(weighted_least_squares)((step + noise)[None, ..., None])[0, ..., 0]
    assert jnp.abs(jnp.diff(y[:, 7:9])).min() > 0.7
    assert y[:, :7].std(axis=0).max() < 0.5 * noise[:, :7].std(axis=0).min()
    flat = jnp.full((1, 4, 4, 1), 3.0)
    np.testing.assert_allclose(jax.jit(weighted_least_squares)(flat), flat, rtol=1e-5)
    with pytest.raises(InputError, match="strength: expected a number from 0, got -1"):
        weighted_least_squares(flat, -1.0)

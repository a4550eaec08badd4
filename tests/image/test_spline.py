"""Free-form deformations: fields, their derivatives and their inverses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BSpline

from medjax.image import spline

SHAPES = [(12, 9), (8, 9, 7)]


def test_the_basis_is_scipys():
    positions, samples, intervals = np.linspace(-0.5, 19.5, 41), 20, 4
    knots = (np.arange(-3, intervals + 4)) * samples / intervals - 0.5
    expected = [
        BSpline(knots, np.eye(intervals + 3)[k], 3, extrapolate=False) for k in range(intervals + 3)
    ]
    with jax.enable_x64(True):
        for derivative, order in ((False, 0), (True, 1)):
            got = spline.cubic_basis(
                jnp.asarray(positions), samples, intervals, derivative=derivative
            )
            for k, b in enumerate(expected):
                # SciPy's last interval is open; the end itself is left out.
                np.testing.assert_allclose(got[:-1, k], b(positions[:-1], order), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_displacement_folds_nothing_and_is_inverted(shape):
    n, intervals = len(shape), 3
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        distance = np.asarray(shape).reshape(n, *(1,) * n) / intervals
        # Every control point at the limit, in a random direction along each axis.
        control = spline.INJECTIVE * distance * rng.choice([-1, 1], (n, *(intervals + 3,) * n))
        control = jnp.asarray(control)
        index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, n)
        points = jnp.asarray(index, float)
        at = jax.jit(lambda p: spline.spline_at(control, p, shape))
        values, slopes = at(points)
        field = jax.jit(lambda c: spline.spline_field(c, shape))(control).reshape(n, -1).T
        np.testing.assert_allclose(values, field, atol=1e-12)
        near = [at(points + h)[0] for h in (1e-5, -1e-5)]
        np.testing.assert_allclose(slopes.sum(-1), (near[0] - near[1]) / 2e-5, atol=1e-7)
        matrix = np.eye(n) + np.asarray(slopes)
        assert 0 < np.linalg.det(matrix).min() < 0.6
        inverse = jax.jit(spline.small_inverse)(jnp.asarray(matrix))
        np.testing.assert_allclose(inverse, np.linalg.inv(matrix), atol=1e-10)
        invert = jax.jit(lambda p: spline.invert_displacement(control, p, shape))
        np.testing.assert_allclose(invert(points + values), points, atol=1e-8)

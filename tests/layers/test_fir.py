"""Filtering along axes, and that its derivatives are those of the sums that it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.layers.fir import filtered

CASES = [
    ((5, 6), (1.0, 3.0, 2.0), {"up": 1, "down": 1, "padding": (1, 1)}),
    ((4, 4), (1.0, 3.0, 3.0, 1.0), {"up": 2, "down": 1, "padding": (2, 1)}),
    ((7, 9), (1.0, 2.0, 4.0, 1.0), {"up": 1, "down": 2, "padding": (1, 1)}),
    ((8, 5), (2.0, 1.0), {"up": 3, "down": 2, "padding": (-1, 4)}),
    ((3, 4, 5), (1.0, 5.0, 2.0), {"up": 2, "down": 3, "padding": (0, 2)}),
]


def matrix(size, taps, up, down, padding):
    """Of one axis, entry by entry: outputs by inputs."""
    count = (size * up + sum(padding) - len(taps)) // down + 1
    a = np.zeros((count, size))
    for j in range(count):
        for k, tap in enumerate(taps):  # a convolution: tap k meets the value k places back
            at = j * down + len(taps) - 1 - k - padding[0]
            if at % up == 0 and 0 <= at // up < size:
                a[j, at // up] += tap * up / sum(taps)
    return a


def along(matrices, x):
    for axis, a in enumerate(matrices, start=1):
        x = np.moveaxis(np.tensordot(a, x, (1, axis)), 0, axis)
    return x


@pytest.mark.parametrize(("size", "taps", "options"), CASES)
def test_values_and_derivatives_are_those_of_its_matrix(size, taps, options):
    x = np.random.default_rng(0).standard_normal((2, *size, 3))
    there = [matrix(n, taps, **options) for n in size]
    back = [a.T for a in there]

    def penalty(x):  # its gradient has the filter, and its transpose, twice
        return (jax.grad(lambda x: (f(x) ** 2).sum())(x) ** 2).sum()

    with jax.enable_x64(True):
        f = lambda x: filtered(x, taps, **options)  # noqa: E731
        y, pull = jax.vjp(f, jnp.asarray(x))
        np.testing.assert_allclose(y, along(there, x), rtol=0, atol=1e-12)
        np.testing.assert_allclose(pull(y)[0], along(back, y), rtol=0, atol=1e-12)
        each = jax.vmap(lambda x: f(x[None])[0])(jnp.asarray(x))
        np.testing.assert_allclose(each, y, rtol=0, atol=1e-12)
        got = jax.grad(penalty)(jnp.asarray(x))
        wanted = 8 * along(back, along(there, along(back, along(there, x))))
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10)

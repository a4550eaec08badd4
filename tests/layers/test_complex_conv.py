import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from medjax.core.errors import InputError
from medjax.layers.complex_conv import ComplexBatchNorm, ComplexConv, crelu, inverse_root

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


def pairs(x):
    return jnp.asarray(np.concatenate([x.real, x.imag], -1), jnp.float32)


def complex_normal(*shape):
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("spatial", [(5, 6), (3, 4, 5)])
def test_a_convolution_is_that_of_complex_numbers(spatial):
    x = complex_normal(1, *spatial, 2)
    layer = ComplexConv(3)
    variables = layer.init(KEY, pairs(x))
    bias = complex_normal(3)
    params = {**variables["params"], "bias": pairs(bias)}
    kernel = np.asarray(params["real"]) + 1j * np.asarray(params["imaginary"])
    expected = np.zeros((1, *spatial, 3), np.complex128)
    for i, o in np.ndindex(2, 3):
        # A cross-correlation, as networks have it; correlate conjugates its second argument.
        expected[0, ..., o] += scipy.signal.correlate(
            x[0, ..., i], kernel[..., i, o].conj(), mode="same"
        )
    got = layer.apply({"params": params}, pairs(x))
    np.testing.assert_allclose(got, pairs(expected + bias), atol=1e-5)


def test_kernels_start_with_the_variance_of_he_and_a_uniform_phase():
    variables = ComplexConv(64).init(KEY, jnp.zeros((1, 4, 4, 64)))["params"]
    kernel = np.asarray(variables["real"]) + 1j * np.asarray(variables["imaginary"])
    modulus = np.abs(kernel)
    np.testing.assert_allclose(np.mean(modulus**2), 2 / (9 * 32), rtol=0.05)
    # Rayleigh's fourth moment is twice the square of its second.
    np.testing.assert_allclose(np.mean(modulus**4), 2 * np.mean(modulus**2) ** 2, rtol=0.1)
    turns = [abs(np.mean((kernel / modulus) ** n)) for n in (1, 2, 3)]
    assert max(turns) < 0.02


def test_the_rectifier_acts_on_both_parts():
    np.testing.assert_array_equal(crelu(jnp.asarray([-1.0, 2.0, 3.0, -4.0])), [0, 2, 3, 0])


def test_the_inverse_root_is_one():
    a = np.random.default_rng(0).standard_normal((5, 2, 2))
    matrix = a @ a.swapaxes(1, 2) + 0.1 * np.eye(2)
    entries = jnp.asarray([matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]], jnp.float32)
    aa, ab, bb = np.asarray(inverse_root(entries))
    root = np.stack([np.stack([aa, ab], -1), np.stack([ab, bb], -1)], -2)
    np.testing.assert_allclose(
        root @ matrix @ root, np.broadcast_to(np.eye(2), (5, 2, 2)), atol=1e-4
    )


def test_batch_norm_takes_away_mean_variance_and_correlation_and_remembers_them():
    z = complex_normal(64, 2, 2, 3)
    x = pairs((2 * z.real + 1) + 1j * (0.5 * z.imag + z.real - 3))
    layer = ComplexBatchNorm(epsilon=0.0)
    variables = layer.init(KEY, x)
    y, after = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    parts = np.moveaxis(np.asarray(y).reshape(-1, 2, 3), 0, -1)  # (part, channel, sample)
    np.testing.assert_allclose(parts.mean(-1), 0, atol=1e-5)
    for channel in range(3):
        # The scale that it starts with divides each part's variance by two.
        np.testing.assert_allclose(np.cov(parts[:, channel], bias=True), 0.5 * np.eye(2), atol=1e-4)
    start, now = variables["batch_stats"], after["batch_stats"]
    np.testing.assert_allclose(now["mean"], 0.1 * np.asarray(x).mean((0, 1, 2)), rtol=1e-4)
    assert not np.array_equal(start["covariance"], now["covariance"])
    # A whole batch's statistics in place of the running ones give the same.
    flat = np.asarray(x).reshape(-1, 2, 3)
    moments = np.stack([np.cov(flat[..., c], rowvar=False, bias=True) for c in range(3)])
    known = {
        "mean": jnp.asarray(flat.mean(0).reshape(-1)),
        "covariance": jnp.asarray([moments[:, 0, 0], moments[:, 0, 1], moments[:, 1, 1]]),
    }
    again = layer.apply({**variables, "batch_stats": known}, x)
    np.testing.assert_allclose(again, y, atol=1e-4)


def test_an_odd_number_of_channels_is_refused():
    with pytest.raises(InputError, match="real, then of imaginary parts"):
        ComplexConv(2).init(KEY, jnp.zeros((1, 4, 4, 3)))

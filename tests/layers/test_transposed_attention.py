import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from medjax.core.errors import InputError
from medjax.layers.feed_forward import GatedFeedForward, LocalFeedForward
from medjax.layers.transposed_attention import TransposedAttention

KEY = jax.random.key(0, impl="philox2x32")


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def identity(channels, copies=1):
    """Kernels of window 3 that look at their own place."""
    kernel = np.zeros((3, 3, 1, channels * copies), np.float32)
    kernel[1, 1] = 1
    return jnp.asarray(kernel)


def test_channels_attend_to_channels_by_the_cosine_over_all_places():
    x, weights, out = normal(1, 3, 4, 4), normal(1, 1, 4, 12), normal(1, 1, 4, 4)
    params = {
        "qkv": {"kernel": jnp.asarray(weights)},
        "depthwise": {"kernel": identity(12)},
        "temperature": jnp.asarray([0.5, 2.0]),
        "out": {"kernel": jnp.asarray(out)},
    }
    got = TransposedAttention(2).apply({"params": params}, jnp.asarray(x))
    query, key, value = np.split(x.reshape(12, 4) @ weights[0, 0], 3, axis=-1)
    query, key = (a / np.linalg.norm(a, axis=0) for a in (query, key))
    mixed = np.zeros((12, 4))
    for head, temperature in enumerate((0.5, 2.0)):
        own = slice(2 * head, 2 * head + 2)
        attention = scipy.special.softmax(temperature * query[:, own].T @ key[:, own], axis=1)
        mixed[:, own] = value[:, own] @ attention.T
    np.testing.assert_allclose(got.reshape(12, 4), mixed @ out[0, 0], atol=1e-5)


def test_heads_divide_the_channels():
    with pytest.raises(InputError, match="heads: expected a divisor of the 4 channels, got 3"):
        TransposedAttention(3).init(KEY, jnp.zeros((1, 4, 4, 4)))


def exact_gelu(x):
    return x * scipy.special.ndtr(x)


def test_the_gelu_of_one_half_gates_the_other():
    x, up, down = normal(1, 2, 3, 2), normal(1, 1, 2, 6), normal(1, 1, 3, 2)
    params = {
        "up": {"kernel": jnp.asarray(up)},
        "around": {"kernel": identity(6)},
        "down": {"kernel": jnp.asarray(down)},
    }
    got = GatedFeedForward(3).apply({"params": params}, jnp.asarray(x))
    gate, other = np.split(x @ up[0, 0], 2, axis=-1)
    np.testing.assert_allclose(got, (exact_gelu(gate) * other) @ down[0, 0], atol=1e-5)


def test_feed_forwards_look_at_neighbours_and_no_further():
    x = jnp.asarray(normal(1, 5, 5, 2))
    for layer in (GatedFeedForward(3), GatedFeedForward(3, depthwise=False), LocalFeedForward(3)):
        variables = layer.init(KEY, x)
        moved = layer.apply(variables, x.at[0, 2, 2].add(1)) - layer.apply(variables, x)
        reached = np.abs(np.asarray(moved)[0]).max(-1) > 1e-6
        expected = np.zeros((5, 5), bool)
        expected[1:4, 1:4] = True
        np.testing.assert_array_equal(reached, expected)

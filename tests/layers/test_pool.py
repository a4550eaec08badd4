import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.layers.pool import (
    adaptive_average_pool,
    average_pool,
    cropped_to_multiple,
    edged_to_multiple,
    global_average_pool,
    max_pool,
)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def test_average_pooling_is_the_mean_of_each_window():
    x = normal(0, 2, 4, 6, 2, 3)
    window = (1, 2, 3, 1, 1)
    expected = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, window, "VALID") / 6
    np.testing.assert_allclose(average_pool(x, (2, 3, 1)), expected, atol=1e-6)
    with pytest.raises(InputError, match="average_pool: expected sizes that are multiples"):
        average_pool(x, 4)


@pytest.mark.parametrize(
    ("size", "window", "strides", "padding", "ends"),
    [
        ((7, 6), 3, 2, 1, (1, 1)),
        ((7, 6), (3, 2), (2, 1), 0, (0, 0)),
        ((5, 6, 4), 3, 2, 1, (1, 1, 1)),
    ],
)
def test_max_pooling_is_the_windowed_maximum_and_so_is_its_gradient(
    size, window, strides, padding, ends
):
    x, ndim = normal(0, 2, *size, 3), len(size)

    def plainly(x):
        sizes, steps = (np.broadcast_to(v, ndim).tolist() for v in (window, strides))
        edges = [(0, 0), *((padding, end) for end in ends), (0, 0)]
        sizes, steps = (1, *sizes, 1), (1, *steps, 1)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, sizes, steps, edges)

    def ours(x):
        return max_pool(x, window, strides, padding=padding)

    def with_gradient(pool):
        return jax.jit(jax.grad(lambda x: (jnp.sum(jnp.sin(pool(x))), pool(x)), has_aux=True))(x)

    for got, expected in zip(with_gradient(ours), with_gradient(plainly), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_last_window_reaches_beyond_the_end_only_where_asked_to():
    x = jnp.arange(6.0).reshape(1, 6, 1, 1)
    across = {"window": (3, 1), "strides": (2, 1)}
    np.testing.assert_array_equal(max_pool(x, **across).ravel(), [2, 4])
    np.testing.assert_array_equal(max_pool(x, **across, ceil=True).ravel(), [2, 4, 5])
    # A window that would begin behind the image, in its padding, is none.
    steps = {"window": (2, 1), "strides": (3, 1), "padding": (1, 0)}
    np.testing.assert_array_equal(max_pool(x[:, :5], **steps, ceil=True).ravel(), [0, 3])
    with pytest.raises(InputError, match="max_pool: expected sizes of"):
        max_pool(x, 7, 1)


def test_parts_of_an_adaptive_pool_overlap_or_repeat_where_they_must():
    x = jnp.arange(5.0).reshape(1, 5, 1, 1)
    np.testing.assert_allclose(adaptive_average_pool(x, (2, 1)).ravel(), [1, 3])
    np.testing.assert_allclose(adaptive_average_pool(x, (3, 1)).ravel(), [0.5, 2, 3.5])
    np.testing.assert_allclose(
        adaptive_average_pool(x, (7, 1)).ravel(), [0, 0.5, 1.5, 2, 2.5, 3.5, 4]
    )
    volume = normal(0, 2, 4, 6, 2, 3)
    np.testing.assert_allclose(
        adaptive_average_pool(volume, (2, 3, 2)), average_pool(volume, (2, 2, 1)), atol=1e-6
    )


def test_ends_are_cut_off_or_repeated_to_whole_windows():
    x = jnp.arange(5.0).reshape(1, 5, 1, 1)
    np.testing.assert_array_equal(cropped_to_multiple(x, (2, 1)).ravel(), [0, 1, 2, 3])
    np.testing.assert_array_equal(edged_to_multiple(x, (2, 1)).ravel(), [0, 1, 2, 3, 4, 4])


def test_the_global_mean_of_bfloat16_is_float32():
    x = jnp.full((1, 64, 64, 2), 1.5, jnp.bfloat16)
    y = global_average_pool(x)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, [[1.5, 1.5]])

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.layers import Conv, convolve
from medjax.layers.transposed import (
    OverlappingTranspose,
    ResizeConv,
    convolve_resized,
    convolve_transposed,
)

KEY = jax.random.key(0)
CASES = {  # sizes, window, stride
    "divided": ((3, 4), (4, 6), (2, 3)),
    "not divided": ((3, 4), (3, 4), (2, 3)),
    "one axis": ((3, 4), (2, 3), (2, 1)),
    "smaller than the stride": ((3, 2), (1, 1), (2, 3)),
    "volume, divided": ((2, 3, 2), (4, 2, 3), (2, 2, 3)),
    "volume, not divided": ((2, 3, 2), (3, 3, 4), (2, 1, 3)),
}


def arrays(sizes, window):
    rng = np.random.default_rng(0)
    return (jnp.asarray(rng.normal(size=s)) for s in ((2, *sizes, 3), (*window, 3, 2)))


def with_gradients(function):
    def weighted(x, kernel):
        y = function(x, kernel)
        return jnp.sum(jnp.sin(y)), y

    return jax.jit(jax.value_and_grad(weighted, (0, 1), has_aux=True))


def agree(function, other, x, kernel):
    got, wanted = (with_gradients(f)(x, kernel) for f in (function, other))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), got, wanted)


@pytest.mark.parametrize("name", CASES)
def test_transposed_convolution_is_that_of_jax(name):
    sizes, window, stride = CASES[name]
    ndim = len(sizes)
    axes = "DHW"[-ndim:]
    each = zip(sizes, window, stride, strict=True)
    kept = [((k - 1) // 2, min(n * s, (n - 1) * s + k)) for n, k, s in each]

    def plainly(x, kernel):
        y = jax.lax.conv_general_dilated(
            x,
            jnp.flip(kernel, range(ndim)),
            (1,) * ndim,
            [(k - 1, k - 1) for k in window],
            lhs_dilation=stride,
            dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        )
        return y[:, *(slice(a, b) for a, b in kept)]

    with jax.enable_x64(True):
        x, kernel = arrays(sizes, window)
        ours = lambda x, kernel: convolve_transposed(x, kernel, stride, kept=kept)  # noqa: E731
        agree(ours, plainly, x, kernel)


@pytest.mark.parametrize("name", CASES)
def test_a_resized_convolution_is_one_after_nearest_neighbours(name):
    sizes, window, factor = CASES[name]

    def plainly(x, kernel):
        for axis, step in enumerate(factor, start=1):
            x = jnp.repeat(x, step, axis)
        return convolve(x, kernel)

    with jax.enable_x64(True):
        x, kernel = arrays(sizes, window)
        agree(lambda x, kernel: convolve_resized(x, kernel, factor), plainly, x, kernel)


def test_a_kernel_is_summed_in_its_own_precision():
    x = jnp.ones((1, 2, 2, 1), jnp.bfloat16)
    # Of an even column two samples are alike; rounded before they meet they would cancel.
    kernel = jnp.zeros((3, 3, 1, 1)).at[1, 1:, 0, 0].set(jnp.asarray([1 + 2**-9, -1]))
    y = convolve_resized(x, kernel)
    assert y.dtype == jnp.bfloat16
    assert y[0, 0, 0, 0] == 2**-9
    assert convolve_resized(x, kernel.astype(jnp.bfloat16))[0, 0, 0, 0] == 0


def test_a_resize_convolution_has_the_parameters_of_a_convolution():
    x = jax.random.normal(KEY, (1, 3, 4, 5))
    variables = jax.jit(Conv(2).init)(KEY, x)
    got = jax.jit(ResizeConv(2, (2, 1)).apply)(variables, x)
    wanted = jax.jit(Conv(2).apply)(variables, jnp.repeat(x, 2, 1))
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    with pytest.raises(InputError, match="factor: expected a positive integer"):
        ResizeConv(2, (2, 1, 1)).init(KEY, x)


def test_overlapping_transpose_enlarges_by_its_stride():
    x = jnp.ones((1, 4, 6, 3))
    for window, stride in ((4, 2), (3, 2), (5, 3), (2, 2)):
        module = OverlappingTranspose(2, window, stride)
        y = jax.eval_shape(module.init_with_output, KEY, x)[0]
        assert y.shape == (1, 4 * stride, 6 * stride, 2)
    with pytest.raises(InputError, match="kernel_size: expected at least the stride"):
        OverlappingTranspose(2, 1, 2).init(KEY, x)

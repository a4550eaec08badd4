import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.image.resize import resized
from medjax.physics import Downsampling
from medjax.physics.downsampling import bicubic_kernel, slice_profile


@pytest.mark.parametrize("factor", [2, 3])
def test_the_bicubic_kernel_reduces_as_interpolation_does_inside(factor):
    x = np.random.default_rng(0).standard_normal((1, 12 * factor, 7)).astype(np.float32)
    a = Downsampling((bicubic_kernel(factor), jnp.ones(1)), (factor, 1))
    wanted = resized(jnp.asarray(x)[..., None], (12, 7))[..., 0]
    np.testing.assert_allclose(a(jnp.asarray(x))[:, 2:-2], wanted[:, 2:-2], rtol=1e-4, atol=1e-5)


def test_constants_stay_and_a_sample_lies_in_the_middle_of_its_block():
    a = Downsampling((slice_profile(4, 3.0), slice_profile(3, 2.0)), (4, 3))
    np.testing.assert_allclose(a(jnp.full((2, 8, 9), 3.0)), 3.0, rtol=1e-5)
    mean = Downsampling((jnp.full(2, 0.5), jnp.ones(1)), (2, 1))
    x = jnp.arange(8.0).reshape(1, 4, 2)
    np.testing.assert_allclose(mean(x), [[[1, 2], [5, 6]]])
    np.testing.assert_allclose(mean.H(mean(x))[0, :, 0], [0.5, 0.5, 2.5, 2.5])


def test_a_slice_profile_has_its_width():
    taps = np.asarray(slice_profile(5, 5.0))
    middle = len(taps) // 2
    assert len(taps) % 2 == 1
    np.testing.assert_allclose(taps.sum(), 1, rtol=1e-6)
    # Half the height lies 2.5 samples away.
    expected = 0.5 ** ((2 / 2.5) ** 2)
    np.testing.assert_allclose(taps[middle + 2] / taps[middle], expected, rtol=1e-5)


def test_kernels_and_sizes_that_do_not_fit_are_refused():
    for make, match in (
        (lambda: Downsampling((jnp.ones(2),), (2, 2)), "factors: expected 1"),
        (lambda: Downsampling((jnp.ones(3),), (2,)), "kernels: expected 2 taps, or an even"),
        (lambda: slice_profile(2, 0.0), "width: expected a number above 0"),
        (lambda: bicubic_kernel(0), "factor: expected at least 1"),
    ):
        with pytest.raises(InputError, match=match):
            make()
    a = Downsampling((jnp.ones(2), jnp.ones(2)))
    with pytest.raises(InputError, match="x: expected sizes that are multiples"):
        jax.eval_shape(a, jnp.ones((5, 4)))

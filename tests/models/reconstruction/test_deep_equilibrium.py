import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.models import DeepEquilibrium, DnCNN
from medjax.models.reconstruction.deep_equilibrium import contractive, gain
from medjax.physics import Cartesian, Fourier

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")
MASK = jnp.arange(6) % 2 == 0
SCAN = Cartesian(MASK)


class Half(nn.Module):
    """A network that halves what it sees."""

    def __call__(self, x, train=False):
        return 0.5 * x


def kspace(*shape):
    real, imaginary = np.random.default_rng(0).standard_normal((2, *shape))
    return jnp.where(MASK, jnp.asarray(real + 1j * imaginary, jnp.complex64), 0)


def model(**options):
    return DeepEquilibrium(DnCNN(3, 2, residual=False), **options)


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile()


def test_the_gain_of_a_kernel_is_the_norm_of_its_convolution():
    kernel = jnp.asarray(np.random.default_rng(0).standard_normal((3, 3, 2, 4)), jnp.float32)
    matrices = np.fft.fft2(kernel, s=(8, 8), axes=(0, 1))
    expected = np.linalg.svd(matrices, compute_uv=False).max()
    assert float(gain(kernel, steps=50)) == pytest.approx(expected, rel=1e-3)
    assert float(gain(kernel[0, 0], 50)) == pytest.approx(np.linalg.norm(kernel[0, 0], 2), rel=1e-3)
    small = {"conv": {"kernel": 0.01 * kernel, "bias": jnp.full(4, 7.0)}}
    jax.tree.map(np.testing.assert_array_equal, contractive(small), small)
    large = contractive({"conv": {"kernel": 9 * kernel}})
    assert float(gain(large["conv"]["kernel"])) == pytest.approx(1, rel=1e-4)


def test_the_solution_is_that_of_the_equilibriums_equation():
    y = kspace(2, 5, 6)
    module = DeepEquilibrium(Half(), tolerance=1e-6, initial_weight=0.4)
    variables = module.init(KEY, y, SCAN)
    x = compiled(module.apply, variables, y, SCAN)(variables, y, SCAN)
    # t (k - y) + w (k - (k - t (k - y)) / 2) = 0 for the samples, k = 0 for the others.
    w, t = 0.4, 1 / 1.05
    np.testing.assert_allclose(
        Fourier(2)(x), t * (1 + w / 2) / (t * (1 + w / 2) + w / 2) * y, atol=1e-4
    )


def test_the_solution_forgets_where_it_started():
    y = kspace(2, 5, 6)
    variables = compiled(model().init, KEY, y, SCAN)(KEY, y, SCAN)

    def solved(start):
        module = model(steps=80, tolerance=1e-5, initial=lambda a, y: start)
        return module.apply(variables, y, SCAN)

    zero_filled = SCAN.H(y)
    solve = compiled(solved, zero_filled)
    # The mirror image has the same peak, and so sets the same unit.
    here, there = solve(zero_filled), solve(zero_filled[..., ::-1])
    np.testing.assert_allclose(there, here, atol=2e-4 * float(jnp.abs(here).max()))


def test_memory_does_not_depend_on_the_number_of_steps():
    y = kspace(2, 32, 6)
    variables = jax.eval_shape(model().init, KEY, y, SCAN)

    def temporary(steps):
        def energy(variables, y):
            return jnp.sum(jnp.abs(model(steps=steps).apply(variables, y, SCAN)) ** 2)

        return compiled(jax.grad(energy), variables, y).memory_analysis().temp_size_in_bytes

    assert temporary(32) == temporary(4)


def test_the_gradient_is_that_of_the_solution():
    with jax.enable_x64(True):
        y = kspace(1, 5, 6).astype(jnp.complex128)
        module = DeepEquilibrium(Half(), steps=200, tolerance=1e-10)
        weight = module.init(KEY, y, SCAN)["params"]["weight"]

        def energy(weight):
            x = module.apply({"params": {"weight": weight}}, y, SCAN)
            return jnp.sum(jnp.abs(x) ** 2)

        value_and_gradient = compiled(jax.value_and_grad(energy), weight)
        step = jnp.float32(1e-2)
        rise = value_and_gradient(weight + step)[0] - value_and_gradient(weight - step)[0]
        _, gradient = value_and_gradient(weight)
        assert float(gradient) == pytest.approx(float(rise) / 2e-2, rel=1e-3)

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.models import MoDL
from medjax.physics.fourier import Fourier
from medjax.physics.mri.sampling import Sampling
from medjax.physics.operator import Identity

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


class Multiple(nn.Module):
    """A denoiser whose output is a known multiple of its input."""

    factor: float

    def __call__(self, x, train=False):
        return self.factor * x


class Network(nn.Module):
    """The smallest denoiser that is not linear."""

    channels: int = 2

    @nn.compact
    def __call__(self, x, train=False):
        hidden = nn.tanh(nn.Dense(4, dtype=x.dtype)(x))
        return nn.Dense(self.channels, dtype=x.dtype)(hidden)


def images(*shape, seed=0):
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *shape))
    return jnp.asarray(real + 1j * imaginary, jnp.complex64)


MASK = jnp.arange(6) % 3 != 1
SCAN = Sampling(MASK) @ Fourier(2)


@pytest.mark.parametrize("spatial", [(5, 6), (3, 4, 6)])
def test_a_cascade_solves_its_equation(spatial):
    # A unitary transform and a mask solve (A^H A + w) x = A^H y + w z sample by sample.
    transform = Fourier(len(spatial))
    y = jnp.where(MASK, images(2, *spatial), 0)
    model = MoDL(Multiple(-0.5), cascades=1, initial_weight=0.3, residual_scale=0.4)
    x, _ = jax.jit(model.init_with_output)(KEY, y, Sampling(MASK) @ transform)
    prior = (1 - 0.4 * 0.5) * y
    expected = jnp.where(MASK, (y + 0.3 * prior) / 1.3, prior)
    np.testing.assert_allclose(transform(x), expected, atol=1e-5)


def test_the_weight_decides_between_the_network_and_the_measurements():
    y = images(1, 5, 6)
    for weight, factor in ((1e-4, 1.0), (1e4, 3.0)):
        model = MoDL(Multiple(20.0), cascades=1, initial_weight=weight)
        x, variables = jax.jit(model.init_with_output)(KEY, y, Identity())
        assert float(jax.nn.softplus(variables["params"]["weight"])) == pytest.approx(
            weight, rel=1e-3
        )
        np.testing.assert_allclose(x, factor * y, rtol=1e-2)


def test_the_output_follows_the_scale_of_each_sample():
    y = SCAN(images(3, 5, 6))
    model = MoDL(Network(), cascades=2)
    variables = jax.jit(model.init)(KEY, y, SCAN)
    apply = jax.jit(model.apply)
    scales = jnp.asarray([1e-6, 1.0, 1e5], jnp.complex64)[:, None, None]
    expected = scales * apply(variables, y, SCAN)
    np.testing.assert_allclose(
        apply(variables, scales * y, SCAN) / scales, expected / scales, rtol=1e-4, atol=1e-5
    )


def test_an_empty_scan_gives_an_empty_image_and_finite_gradients():
    y = jnp.zeros((1, 5, 6), jnp.complex64)
    model = MoDL(Multiple(0.5), cascades=2)
    variables = jax.jit(model.init)(KEY, y, SCAN)

    def energy(variables, y):
        return jnp.sum(jnp.abs(model.apply(variables, y, SCAN)) ** 2)

    value, gradients = jax.jit(jax.value_and_grad(energy, (0, 1)))(variables, y)
    assert value == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_cascades_share_one_denoiser_or_have_their_own():
    y = SCAN(images(1, 5, 6))
    shared, own = (MoDL(Network(), cascades=3, shared=shared) for shared in (True, False))
    params = jax.jit(shared.init)(KEY, y, SCAN)["params"]
    assert set(params) == {"weight", "denoiser"}
    separate = jax.jit(own.init)(KEY, y, SCAN)["params"]
    assert set(separate) == {"weight", "denoiser0", "denoiser1", "denoiser2"}
    kernels = [separate[f"denoiser{i}"]["Dense_0"]["kernel"] for i in range(3)]
    assert not np.array_equal(kernels[0], kernels[1])
    # The same parameters everywhere make the second the first.
    copied = {f"denoiser{i}": params["denoiser"] for i in range(3)} | {"weight": params["weight"]}
    np.testing.assert_allclose(
        jax.jit(own.apply)({"params": copied}, y, SCAN),
        jax.jit(shared.apply)({"params": params}, y, SCAN),
        atol=1e-6,
    )


def test_the_gradient_is_that_of_the_function():
    with jax.enable_x64(True):
        y = SCAN(images(1, 5, 6).astype(jnp.complex128))
        model = MoDL(Network(), cascades=1)
        variables = jax.jit(model.init)(KEY, y, SCAN)

        def energy(variables):
            return jnp.sum(jnp.abs(model.apply(variables, y, SCAN)) ** 4)

        direction = jax.tree.map(
            lambda v: jnp.cos(jnp.arange(v.size, dtype=v.dtype)).reshape(v.shape), variables
        )
        _, slope = jax.jit(functools.partial(jax.jvp, energy))((variables,), (direction,))
        gradient = jax.jit(jax.grad(energy))(variables)
        products = jax.tree.map(lambda a, b: jnp.sum(a * b), gradient, direction)
        assert float(sum(jax.tree.leaves(products))) == pytest.approx(float(slope), rel=1e-4)


def test_what_cannot_be_reconstructed_is_refused():
    key, y = KEY, SCAN(images(1, 5, 6))
    with pytest.raises(InputError, match="expected a complex array"):
        MoDL(Network()).init(key, jnp.real(y), SCAN)
    with pytest.raises(InputError, match=r"denoiser: expected an output of shape \(1, 5, 6, 2\)"):
        MoDL(Network(3)).init(key, y, SCAN)
    with pytest.raises(InputError, match="initial_weight: expected a positive number, got 0"):
        MoDL(Network(), initial_weight=0.0).init(key, y, SCAN)

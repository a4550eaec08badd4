"""Posterior samplers on a linear problem whose posterior is known: all is Gaussian."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.struct import struct
from medjax.learners.diffusion import ddim, diffpir, dps, few, image_of, karras, linear, select
from medjax.physics.fourier import Fourier
from medjax.physics.mri.sampling import Sampling
from medjax.physics.operator import LinearOperator

SIZE, NOISE, COUNT = 4, 0.05, 256


@struct
class Weighted(LinearOperator):
    """Some weighted sums of an image's voxels."""

    matrix: jax.Array

    def forward(self, x):
        return jnp.einsum("mn,bn->bm", self.matrix, x.reshape(x.shape[0], -1))

    def adjoint(self, y):
        return jnp.einsum("mn,bm->bn", self.matrix, y).reshape(y.shape[0], SIZE, SIZE)


def prior():
    """A mean, and a covariance that falls with distance, of 4 x 4 images."""
    at = np.stack(np.meshgrid(*[np.arange(SIZE)] * 2, indexing="ij"), -1).reshape(-1, 2)
    distance = np.square(at[:, None] - at[None]).sum(-1)
    mean = 0.3 * np.sin(np.arange(SIZE**2))
    return mean, 0.25 * np.exp(-distance / 4) + 1e-3 * np.eye(SIZE**2)


def exact(channels=1):
    """The expected image of that prior, in the coordinates where it is independent."""
    mean, covariance = prior()
    values, vectors = np.linalg.eigh(covariance)
    mean, values, vectors = (jnp.asarray(a, jnp.float32) for a in (mean, values, vectors))

    def denoise(x, level):
        flat = jnp.moveaxis(x, -1, 1).reshape(-1, SIZE**2)
        away = (flat - level.alpha * mean[None]) @ vectors
        share = level.alpha * values / (level.alpha**2 * values + level.sigma**2)
        flat = mean[None] + (away * share[None]) @ vectors.T
        return jnp.moveaxis(flat.reshape(-1, channels, SIZE, SIZE), 1, -1)

    return denoise


def problem():
    """Two averages of voxels and three voxels, of an image of the prior; the posterior."""
    rng = np.random.default_rng(1)
    mean, covariance = prior()
    matrix = np.zeros((5, SIZE**2))
    matrix[0, :4], matrix[1, 8:12] = 0.5, 0.5
    matrix[[2, 3, 4], [5, 10, 15]] = 1
    image = rng.multivariate_normal(mean, covariance)
    y = matrix @ image + NOISE * rng.standard_normal(5)
    gain = covariance @ matrix.T
    gain = gain @ np.linalg.inv(matrix @ gain + NOISE**2 * np.eye(5))
    posterior = mean + gain @ (y - matrix @ mean), covariance - gain @ matrix @ covariance
    return Weighted(jnp.asarray(matrix, jnp.float32)), jnp.asarray(y, jnp.float32), posterior


# name: (sampler, levels, the mean's error as a share of the way from the prior's mean)
SAMPLERS = {
    "dps": (partial(dps, step=0.1), select(linear(), (0, *few(200))), 0.1),
    "diffpir": (partial(diffpir, noise=NOISE, zeta=1.0), select(linear(), (0, *few(100))), 0.12),
    "diffpir, edm": (partial(diffpir, noise=NOISE), karras(30, 0.01, 20.0), 0.2),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_lie_about_the_mean_of_the_posterior(name):
    sampler, levels, tolerance = SAMPLERS[name]
    a, y, (mean, covariance) = problem()
    keys = jax.random.split(jax.random.key(0), COUNT)
    y = jnp.broadcast_to(y[None], (COUNT, 5))
    run = jax.jit(lambda levels, y: sampler(exact(), levels, keys, (SIZE, SIZE, 1), a, y))
    samples = np.asarray(run(levels, y)).reshape(COUNT, -1)
    from_prior = np.linalg.norm(prior()[0] - mean)
    assert np.linalg.norm(samples.mean(0) - mean) < tolerance * from_prior
    # Both are approximations: their spread is of the posterior's order, and not equal to it.
    spread = np.linalg.norm(samples.std(0)) / np.trace(covariance) ** 0.5
    assert 0.6 < spread < 1.3


def test_without_a_scan_diffpir_is_its_sampler():
    """A scan of zeros leaves every expected image as it is."""
    nothing = Weighted(jnp.zeros((5, SIZE**2)))
    keys = jax.random.split(jax.random.key(0), 2)
    levels, shape = linear(60), (SIZE, SIZE, 1)
    bound = partial(diffpir, exact(), levels, keys, shape, nothing, noise=NOISE, zeta=0.0)
    free = partial(ddim, exact(), levels, keys, shape)
    np.testing.assert_allclose(jax.jit(bound)(jnp.zeros((2, 5))), jax.jit(free)(), atol=1e-5)


def test_complex_scans_of_two_channels():
    """Half of k-space: what was measured is explained, by either sampler."""
    rows = jnp.where(jnp.arange(SIZE) % 2 == 0, 1.0, 0.0)
    a = Sampling(rows) @ Fourier(2)
    rng = np.random.default_rng(2)
    parts = rng.multivariate_normal(*prior(), size=(2, 2)).reshape(2, 2, SIZE, SIZE)
    image = jnp.asarray(np.moveaxis(parts, 1, -1), jnp.float32)
    y = a(image_of(image))
    keys = jax.random.split(jax.random.key(0), 2)
    levels = select(linear(), (0, *few(100)))
    for sampler in (partial(dps, step=0.3), partial(diffpir, noise=0.01)):
        run = jax.jit(lambda y, s=sampler: s(exact(2), levels, keys, (SIZE, SIZE, 2), a, y))
        samples = run(y)
        assert (samples.shape, samples.dtype) == ((2, SIZE, SIZE, 2), jnp.float32)
        misfit = jnp.linalg.norm(a(image_of(samples)) - y) / jnp.linalg.norm(y)
        assert misfit < 0.2


def test_what_cannot_be_sampled_is_refused():
    a, y, _ = problem()
    keys = jax.random.split(jax.random.key(0), 1)
    call = partial(diffpir, exact(), linear(60), keys, (SIZE, SIZE, 1), a, y[None])
    with pytest.raises(InputError, match="noise: expected a positive number, got 0"):
        call(noise=0.0)
    with pytest.raises(InputError, match="zeta: expected a number from 0 to 1, got 2"):
        call(noise=1.0, zeta=2.0)
    with pytest.raises(InputError, match="view: expected a view for images of more than 2"):
        image_of(jnp.zeros((1, SIZE, SIZE, 3)))

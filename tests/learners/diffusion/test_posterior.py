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
    # By Cholesky: of a singular value decomposition each machine has its own.
    image = mean + np.linalg.cholesky(covariance) @ rng.standard_normal(SIZE**2)
    matrix = np.zeros((5, SIZE**2))
    matrix[0, :4], matrix[1, 8:12] = 0.5, 0.5
    matrix[[2, 3, 4], [5, 10, 15]] = 1
    y = matrix @ image + NOISE * rng.standard_normal(5)
    gain = covariance @ matrix.T
    gain = gain @ np.linalg.inv(matrix @ gain + NOISE**2 * np.eye(5))
    posterior = mean + gain @ (y - matrix @ mean), covariance - gain @ matrix @ covariance
    return Weighted(jnp.asarray(matrix, jnp.float32)), jnp.asarray(y, jnp.float32), posterior


# name: (sampler, levels, the mean's error as a share of the way from the prior's mean). Neither
# is exact: of six images it was 0.06 to 0.17 for DPS, and for DiffPIR 0.12 to 0.30, and 0.19 to
# 0.47 with thirty levels.
SAMPLERS = {
    "dps": (partial(dps, step=0.1), select(linear(), (0, *few(200))), 0.1),
    "diffpir": (partial(diffpir, noise=NOISE, zeta=1.0), select(linear(), (0, *few(100))), 0.2),
    "diffpir, edm": (partial(diffpir, noise=NOISE), karras(30, 0.01, 20.0), 0.35),
}


def sampled(sampler, levels, count=COUNT):
    a, y, _ = problem()
    keys = jax.random.split(jax.random.key(0), count)
    y = jnp.broadcast_to(y[None], (count, 5))
    run = jax.jit(lambda levels, y: sampler(exact(), levels, keys, (SIZE, SIZE, 1), a, y))
    return np.asarray(run(levels, y)).reshape(count, -1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_lie_about_the_mean_of_the_posterior(name):
    sampler, levels, tolerance = SAMPLERS[name]
    mean, covariance = problem()[2]
    samples = sampled(sampler, levels)
    from_prior = np.linalg.norm(prior()[0] - mean)
    assert np.linalg.norm(samples.mean(0) - mean) < tolerance * from_prior
    # Both are approximations: their spread is of the posterior's order, and not equal to it.
    spread = np.linalg.norm(samples.std(0)) / np.trace(covariance) ** 0.5
    assert 0.6 < spread < 1.3


@pytest.mark.parametrize(("name", "zeta"), [("diffpir", 1.0), ("diffpir, edm", 0.3)])
def test_the_mean_of_diffpir_is_that_of_the_algorithm(name, zeta):
    """Where all is Gaussian each line of the paper's algorithm is linear, so that without its
    noise it gives the mean."""
    levels = SAMPLERS[name][1]
    a, y, _ = problem()
    noisy = 10 * NOISE  # so that it matters how a scan and what is expected are weighed
    (prior_mean, covariance), one = prior(), np.eye(SIZE**2)
    a, y = np.asarray(a.matrix, np.float64), np.asarray(y, np.float64)

    def explained(x, alpha, sigma):
        gain = alpha * covariance @ np.linalg.inv(alpha**2 * covariance + sigma**2 * one)
        image = prior_mean + gain @ (x - alpha * prior_mean)
        rho = (noisy * alpha / sigma) ** 2
        return np.linalg.solve(a.T @ a + rho * one, a.T @ y + rho * image)

    alphas, sigmas = (np.asarray(each, np.float64) for each in (levels.alpha, levels.sigma))
    x = np.zeros(SIZE**2)
    for i in reversed(range(1, len(alphas))):
        image = explained(x, alphas[i], sigmas[i])
        seen = (x - alphas[i] * image) / sigmas[i]
        x = alphas[i - 1] * image + np.sqrt(1 - zeta) * sigmas[i - 1] * seen
    wanted = explained(x, alphas[0], sigmas[0])
    sampler = partial(diffpir, noise=noisy, zeta=zeta)
    samples = sampled(sampler, levels, 16 * COUNT)
    by_chance = np.linalg.norm(samples.std(0)) / (16 * COUNT) ** 0.5
    assert np.linalg.norm(samples.mean(0) - wanted) < 2.5 * by_chance
    assert np.linalg.norm(wanted - prior_mean) > 10 * by_chance


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
    mean, covariance = prior()
    parts = mean + rng.standard_normal((4, SIZE**2)) @ np.linalg.cholesky(covariance).T
    parts = parts.reshape(2, 2, SIZE, SIZE)
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

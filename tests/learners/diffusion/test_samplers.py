"""Samplers on data whose expected image is known: independent Gaussian voxels."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.learners.diffusion import (
    SAMPLERS,
    ddim,
    ddpm_sample,
    few,
    guided,
    heun,
    karras,
    linear,
    select,
    symmetric_ddim,
)

MEAN, SPREAD = 0.5, 0.25


def exact(x, level, mean=MEAN, spread=SPREAD):
    """The expected voxel where it is normal with this mean and deviation."""
    share = level.alpha * spread**2 / ((level.alpha * spread) ** 2 + level.sigma**2)
    return mean + share * (x - level.alpha * mean)


def keys(count):
    return jax.random.split(jax.random.key(3), count)


def sampled(sampler, levels, count=256, shape=(16,), **options):
    run = jax.jit(lambda levels, keys: sampler(exact, levels, keys, shape, **options))
    return np.asarray(run(levels, keys(count)))


MAPS = {
    "ddim": (ddim, linear(), 5e-3),
    "ddim of few": (ddim, select(linear(), (0, *few(50))), 5e-2),
    "heun": (heun, karras(60), 3e-3),
    "heun, variance preserved": (heun, select(linear(), (0, *few(50))), 5e-3),
}


@pytest.mark.parametrize("name", MAPS)
def test_deterministic_samplers_map_the_noise_onto_the_data(name):
    """For normal data the map is affine: its slope is the deviation, its offset the mean."""
    sampler, levels, tolerance = MAPS[name]
    noise = jnp.asarray([[-1.0], [0.0], [1.0]])
    run = jax.jit(lambda levels, noise: sampler(exact, levels, keys(3), (1,), noise=noise))
    low, middle, high = np.asarray(run(levels, noise))[:, 0]
    np.testing.assert_allclose(middle, MEAN, atol=tolerance)
    np.testing.assert_allclose((high - low) / 2, SPREAD, atol=tolerance)


def test_heun_is_of_second_order():
    noise = jnp.ones((1, 1))

    def error(sampler, steps):
        run = jax.jit(lambda levels: sampler(exact, levels, keys(1), (1,), noise=noise))
        # The map's own value: x follows sqrt(spread^2 + sigma^2).
        end = np.hypot(SPREAD, 1e-3) / np.hypot(SPREAD, 10) * (10 - MEAN)
        share = SPREAD**2 / (SPREAD**2 + 1e-6)
        return abs(float(run(karras(steps, 1e-3, 10.0))[0, 0]) - MEAN - share * end)

    assert error(heun, 40) < 0.3 * error(heun, 20)
    assert error(ddim, 40) > 0.4 * error(ddim, 20)
    # For two calls of the denoiser a step.
    assert error(heun, 20) < 0.5 * error(ddim, 40)


STOCHASTIC = {
    "ddpm": (ddpm_sample, {}),
    "ddpm, large": (ddpm_sample, {"variance": "large"}),
    "ddim, half": (ddim, {"eta": 0.5}),
}


@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_samplers_give_the_distribution_of_the_data(name):
    sampler, options = STOCHASTIC[name]
    samples = sampled(sampler, linear(), **options)
    # 4096 draws: the errors of mean and deviation are 0.004 and 0.003.
    np.testing.assert_allclose(samples.mean(), MEAN, atol=0.015)
    np.testing.assert_allclose(samples.std(), SPREAD, atol=0.012)
    between = np.corrcoef(samples.T)[np.triu_indices(16, 1)]
    assert np.abs(between).max() < 0.3


def test_a_known_image_is_found_in_any_number_of_steps():
    known = lambda x, level: jnp.full_like(x, 0.7)  # noqa: E731
    for sampler in (ddpm_sample, ddim, heun):
        run = jax.jit(partial(sampler, known, linear(60)[::20], shape=(2,)))
        np.testing.assert_allclose(run(keys=keys(2)), np.full((2, 2), 0.7), rtol=1e-6)


def test_ddim_with_all_its_noise_is_ddpm():
    levels = select(linear(), few(5))
    np.testing.assert_allclose(
        sampled(ddim, levels, 2, eta=1.0), sampled(ddpm_sample, levels, 2), atol=1e-5
    )


@pytest.mark.parametrize("pairs", [1, 3])
def test_what_is_odd_in_the_noise_cancels_in_pairs(pairs):
    levels = select(linear(), few(5))
    # The map of normal data is affine: all that is left of it is its offset.
    nothing = ddim(exact, levels, keys(1), (1,), noise=jnp.zeros((1, 1)))
    means = sampled(symmetric_ddim, levels, 2, (3,), pairs=pairs)
    np.testing.assert_allclose(means, np.full((2, 3), nothing[0, 0]), atol=1e-5)


@pytest.mark.parametrize(
    "sampler", [ddpm_sample, partial(ddim, eta=0.0), heun, partial(symmetric_ddim, pairs=2)]
)
def test_a_sample_depends_on_its_key_alone(sampler):
    levels = select(linear(), few(4))
    # No affine map, of which pairs would leave the offset alone.
    bent = lambda x, level: jnp.tanh(exact(x, level) + 1) ** 3  # noqa: E731
    together = jax.jit(lambda k: sampler(bent, levels, k, (3,)))(keys(4))
    alone = jax.jit(lambda k: sampler(bent, levels, k, (3,)))(keys(4)[2:3])
    np.testing.assert_allclose(together[2:3], alone, rtol=1e-6)
    assert np.unique(np.asarray(together)).size == 12


def test_guidance_of_one_is_the_condition_and_more_goes_beyond():
    level = linear(100)[50]
    x = jnp.asarray([[0.3, -0.2]])
    first, second = partial(exact, mean=0.8), partial(exact, mean=0.2)
    np.testing.assert_allclose(guided(first, second, 1.0)(x, level), first(x, level), rtol=1e-6)
    np.testing.assert_allclose(guided(first, second, 0.0)(x, level), second(x, level), rtol=1e-6)
    beyond = first(x, level) + (first(x, level) - second(x, level))
    np.testing.assert_allclose(guided(first, second, 2.0)(x, level), beyond, rtol=1e-5)


def test_samplers_are_listed_and_refuse_what_they_do_not_know():
    assert all(SAMPLERS.summary(name) for name in SAMPLERS)
    with pytest.raises(InputError, match="variance: expected small or large, got 'middle'"):
        ddpm_sample(exact, linear(60), keys(1), (1,), variance="middle")
    with pytest.raises(InputError, match="pairs: expected at least 1, got 0"):
        symmetric_ddim(exact, linear(60), keys(1), (1,), pairs=0)
    with pytest.raises(InputError, match="eta: expected a number from 0 to 1, got 2"):
        ddim(exact, linear(60), keys(1), (1,), eta=2)

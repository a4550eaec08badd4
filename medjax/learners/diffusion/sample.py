"""Samplers: from noise to images, level by level, by any denoiser.

Pure functions of ``(denoise, levels, keys, shape)``. Each sample has a key of its own, so that
it does not depend on its place in a batch, the batch's size or devices. All of them descend the
levels that they are given, and end in the expected image of the least noisy one. A model that
was trained on many levels may be sampled at few: see `medjax.learners.diffusion.levels.select`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Key

from .levels import Levels
from .prediction import Denoise


def ddpm_sample(
    denoise: Denoise,
    levels: Levels,
    keys: Key[Array, " batch"],
    shape: tuple[int, ...],
    *,
    variance: str = "small",
) -> Array:
    """Ancestral sampling (Ho et al. 2020, arXiv:2006.11239, eq. 6 and 7, algorithm 2).

    Written for any two levels, as in Kingma et al. 2021 (arXiv:2107.00630, appendix A.2), so
    that levels may be left out.

    Args:
        denoise: of one level.
        levels: least noise first.
        keys: one a sample.
        shape: of a sample.
        variance: of a step: that of the posterior where the image is known ("small"), or
            that of the process ("large"); section 3.2 has both.

    Returns:
        float32 ``(batch, *shape)``.

    Raises:
        InputError: for another variance.
    """
    if variance not in ("small", "large"):
        raise InputError("variance", "small or large", repr(variance))

    def step(x: Array, keys: Array, level: Levels, target: Levels) -> Array:
        known, process = posterior_variance(level, target)
        mean = towards(x, denoise(x, level), level, target, known)
        added = known if variance == "small" else process
        return mean + jnp.sqrt(added) * normal(keys, shape)

    x = descend(step, levels, keys, start(levels, keys, shape))
    return denoise(x, levels[0])


def ddim(
    denoise: Denoise,
    levels: Levels,
    keys: Key[Array, " batch"],
    shape: tuple[int, ...],
    *,
    eta: float = 0.0,
    noise: Array | None = None,
) -> Array:
    """Denoising diffusion implicit models (Song et al. 2021, arXiv:2010.02502, eq. 12 and 16).

    Args:
        denoise: see `ddpm_sample`, as for ``levels``, ``keys`` and ``shape``.
        levels: see there.
        keys: see there.
        shape: see there.
        eta: 0 makes images a function of the first noise, 1 is `ddpm_sample`.
        noise: the first noise, ``(batch, *shape)`` of variance one; drawn where it is None.

    Returns:
        float32 ``(batch, *shape)``.

    Raises:
        InputError: for ``eta`` outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise InputError("eta", "a number from 0 to 1", eta)

    def step(x: Array, keys: Array, level: Levels, target: Levels) -> Array:
        added = eta**2 * posterior_variance(level, target)[0]
        x = towards(x, denoise(x, level), level, target, added)
        return x + jnp.sqrt(added) * normal(keys, shape) if eta else x

    x = start(levels, keys, shape) if noise is None else levels.sigma[-1] * noise
    return denoise(descend(step, levels, keys, x), levels[0])


def symmetric_ddim(
    denoise: Denoise,
    levels: Levels,
    keys: Key[Array, " batch"],
    shape: tuple[int, ...],
    *,
    pairs: int = 1,
) -> Array:
    """The mean of samples that begin with a noise and with its negative.

    Stabilised reverse diffusion sampling of DiffDenoise (Demir et al. 2025, arXiv:2504.00264),
    by `ddim` without noise on the way. What is odd in the first noise cancels within a pair, so
    that the mean is nearer to the expected image than that of as many independent samples.

    Args:
        denoise: see `ddpm_sample`, as for ``levels``, ``keys`` and ``shape``.
        levels: see there.
        keys: see there.
        shape: see there.
        pairs: of samples that are averaged.

    Returns:
        float32 ``(batch, *shape)``.

    Raises:
        InputError: for fewer pairs than one.
    """
    if pairs < 1:
        raise InputError("pairs", "at least 1", pairs)

    def add(total: Array, number: Array) -> tuple[Array, None]:
        own = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        noise = normal(own, shape)
        both = (ddim(denoise, levels, keys, shape, noise=sign * noise) for sign in (1, -1))
        return total + sum(both), None

    zero = jnp.zeros((keys.shape[0], *shape), jnp.float32)
    return jax.lax.scan(add, zero, jnp.arange(pairs))[0] / (2 * pairs)


def heun(
    denoise: Denoise,
    levels: Levels,
    keys: Key[Array, " batch"],
    shape: tuple[int, ...],
    *,
    noise: Array | None = None,
) -> Array:
    """EDM's deterministic sampler, of second order (Karras et al. 2022, algorithm 1).

    arXiv:2206.00364. It takes two calls of the denoiser a level but for the last, to zero
    noise, which is Euler's as there. Other processes are solved in EDM's coordinates, ``x /
    alpha`` and ``sigma / alpha``, to which the paper reduces them. Not built: the noise that
    algorithm 2 adds on the way.

    Args:
        denoise: see `ddpm_sample`, as for ``levels``, ``keys`` and ``shape``.
        levels: such as `medjax.learners.diffusion.levels.karras`.
        keys: see there.
        shape: see there.
        noise: see `ddim`.

    Returns:
        float32 ``(batch, *shape)``.
    """

    def slope(x: Array, level: Levels) -> Array:
        return (x - denoise(level.alpha * x, level)) * (level.alpha / level.sigma)

    def step(x: Array, keys: Array, level: Levels, target: Levels) -> Array:
        length = target.sigma / target.alpha - level.sigma / level.alpha
        first = slope(x, level)
        second = slope(x + length * first, target)
        return x + length * (first + second) / 2

    x = start(levels, keys, shape) if noise is None else levels.sigma[-1] * noise
    x = descend(step, levels, keys, x / levels.alpha[-1])
    return denoise(levels.alpha[0] * x, levels[0])


def descend(
    step: Callable[[Array, Array, Levels, Levels], Array],
    levels: Levels,
    keys: Key[Array, " batch"],
    x: Array,
) -> Array:
    """Go from the last level to the first by ``step(x, keys, level, next level)``."""

    def body(x: Array, now: tuple) -> tuple[Array, None]:
        number, level, target = now
        return step(
            x, jax.vmap(lambda key: jax.random.fold_in(key, number))(keys), level, target
        ), None

    numbers = jnp.arange(1, len(levels))
    return jax.lax.scan(body, x, (numbers, levels[1:], levels[:-1]), reverse=True)[0]


def start(levels: Levels, keys: Key[Array, " batch"], shape: tuple[int, ...]) -> Array:
    """Noise of the last level, float32."""
    # As `descend` folds in numbers from 1.
    first = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
    return levels.sigma[-1] * normal(first, shape)


def normal(keys: Key[Array, " batch"], shape: tuple[int, ...]) -> Array:
    """Noise of variance one, float32 ``(batch, *shape)``, a key a sample."""
    return jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(keys)


def towards(x: Array, image: Array, level: Levels, target: Levels, added: Array) -> Array:
    """The mean of the next level where noise of the variance ``added`` is to follow.

    Song et al. 2021, eq. 12: the image, and the present noise as it is seen with it.
    """
    seen = (x - level.alpha * image) / level.sigma
    return target.alpha * image + jnp.sqrt(jnp.maximum(target.sigma**2 - added, 0)) * seen


def posterior_variance(level: Levels, target: Levels) -> tuple[Array, Array]:
    """Of the step from ``level`` to ``target``: where the image is known, and of the process."""
    process = level.sigma**2 - (level.alpha / target.alpha * target.sigma) ** 2
    return process * (target.sigma / level.sigma) ** 2, process

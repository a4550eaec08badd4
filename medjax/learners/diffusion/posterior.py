"""Images that a diffusion model finds likely and a scan explains: sampling the posterior.

With any linear operator of `medjax.physics`, and any `Denoise` that was trained without it.
Both samplers approximate. Where all is Gaussian and the denoiser exact, the mean of their samples
was 4 to 23 % of the way from the posterior's mean to the prior's, and their spread 0.7 to 1.6 of
the posterior's, by step and number of levels (`tests/learners/diffusion/test_posterior.py` holds
some of it): a map of their spread is no measured uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Key
from medjax.physics.operator import LinearOperator, from_real_pair
from medjax.physics.solve.cg import conjugate_gradient

from .levels import Levels
from .prediction import Denoise
from .sample import descend, normal, posterior_variance, start, towards

View = Callable[[Array], Array]
"""From a network's real images ``(batch, *spatial, channel)`` to what an operator takes, real
or complex and linear over the real numbers."""


def image_of(x: Array) -> Array:
    """The usual `View`: one channel is a real image, two are a complex one's parts.

    Raises:
        InputError: for another number of channels.
    """
    match x.shape[-1]:
        case 1:
            return x[..., 0]
        case 2:
            return from_real_pair(x)
    raise InputError("view", "a view for images of more than 2 channels", x.shape[-1])


def dps(
    denoise: Denoise,
    levels: Levels,
    keys: Key[Array, " batch"],
    shape: tuple[int, ...],
    a: LinearOperator,
    y: Array,
    *,
    step: float = 1.0,
    view: View = image_of,
) -> Array:
    """Diffusion posterior sampling (Chung et al. 2023, arXiv:2209.14687, algorithm 1).

    An ancestral step, then one against the gradient of the misfit ``|y - A x0(x)|^2`` by the
    noisy image, through the denoiser, divided by the misfit's root (section 3.3). Any
    differentiable ``a`` will do, of which a linear operator is one.

    Args:
        denoise: see `medjax.learners.diffusion.sample.ddpm_sample`, as for the next three.
        levels: many of them: what is explained of a scan grows with the number of steps.
        keys: see there.
        shape: of a sample, ``(*spatial, channel)``.
        a: the scan; leading axes of its images are a batch.
        y: its samples, ``(batch, ...)``.
        step: the paper's zeta'; it has 0.1 to 1 for images between -1 and 1.
        view: see `View`.

    Returns:
        float32 ``(batch, *shape)``.
    """

    def misfit(x: Array, level: Levels) -> tuple[Array, Array]:
        image = denoise(x, level)
        return jnp.sum(_norms(y - a(view(image)))), image

    def move(x: Array, keys: Array, level: Levels, target: Levels) -> Array:
        slope, image = jax.grad(misfit, has_aux=True)(x, level)
        added = posterior_variance(level, target)[0]
        x = towards(x, image, level, target, added) + jnp.sqrt(added) * normal(keys, shape)
        # The gradient of the square over the root is twice that of the root.
        return x - 2 * step * slope

    x = descend(move, levels, keys, start(levels, keys, shape))
    return denoise(x, levels[0])


def diffpir(
    denoise: Denoise,
    levels: Levels,
    keys: Key[Array, " batch"],
    shape: tuple[int, ...],
    a: LinearOperator,
    y: Array,
    *,
    noise: float,
    weight: float = 1.0,
    zeta: float = 0.3,
    view: View = image_of,
    solver_steps: int = 20,
) -> Array:
    """DiffPIR: a denoiser in plug-and-play at falling noise (Zhu et al. 2023, algorithm 1).

    arXiv:2305.08995. At each level the expected image moves to the nearest that explains the
    scan, ``min |y - A x|^2 + rho |x - x0|^2`` with ``rho = weight noise^2 (alpha / sigma)^2``,
    and the noise that goes back on is part what was seen and part new. What differs: the
    minimum is found by conjugate gradients for any operator, and at the last level as well.
    It takes no gradient of the denoiser and, with few levels, no more than tens of calls. Its
    samples are not the posterior's: where all is Gaussian, with an exact denoiser, their mean
    was off by 0.1 to 0.5 of the way from the prior's mean to the posterior's.

    Args:
        denoise: see `medjax.learners.diffusion.sample.ddpm_sample`, as for the next three.
        levels: see there; some tens will do.
        keys: see there.
        shape: of a sample, ``(*spatial, channel)``.
        a: the scan; leading axes of its images are a batch.
        y: its samples, ``(batch, ...)``.
        noise: standard deviation of the noise in ``y``, of its real and its imaginary part.
        weight: the paper's lambda, 1 where the denoiser is as it should be.
        zeta: share of the new noise, between 0 and 1.
        view: see `View`.
        solver_steps: of the conjugate gradients.

    Returns:
        float32 ``(batch, *shape)``.

    Raises:
        InputError: for ``noise`` that is not positive, or ``zeta`` outside [0, 1].
    """
    if not noise > 0:
        raise InputError("noise", "a positive number", noise)
    if not 0 <= zeta <= 1:
        raise InputError("zeta", "a number from 0 to 1", zeta)
    batch = keys.shape[0]
    example = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
    transpose = jax.linear_transpose(view, example)

    def back(y: Array) -> Array:
        """The adjoint of scan and view, over the real numbers."""
        return transpose(jnp.conj(a.H(y)))[0]

    wanted = back(y)

    def explained(x: Array, level: Levels) -> Array:
        image = denoise(x, level)
        rho = weight * (noise * level.alpha / level.sigma) ** 2

        def normal_equations(x: Array) -> Array:
            return transpose(jnp.conj(a.gram(view(x))))[0] + rho * x

        options = {"max_steps": solver_steps, "ndim": len(shape)}
        return conjugate_gradient(normal_equations, wanted + rho * image, image, **options)

    def move(x: Array, keys: Array, level: Levels, target: Levels) -> Array:
        added = zeta * target.sigma**2
        x = towards(x, explained(x, level), level, target, added)
        return x + jnp.sqrt(added) * normal(keys, shape) if zeta else x

    return explained(descend(move, levels, keys, start(levels, keys, shape)), levels[0])


def _norms(x: Array) -> Array:
    """Of each sample; its derivative at zero is zero."""
    square = jnp.sum(jnp.real(x * jnp.conj(x)), axis=tuple(range(1, x.ndim)))
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)

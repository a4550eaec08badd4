"""NLINV: the image and the sensitivities at once, from the samples alone."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Complex
from medjax.physics.fft import fftc, ifftc
from medjax.physics.mri.sampling import Sampling
from medjax.physics.solve.cg import conjugate_gradient

from .patches import require_coils

_NORM = 100.0  # of the data; what the first weight of the penalty refers to


def nlinv(
    kspace: Array,
    mask: Array,
    *,
    newton_steps: int = 8,
    cg_steps: int = 50,
    weight: float = 1.0,
    reduction: float = 2.0,
    smoothness: float = 220.0,
    order: float = 32.0,
    ndim: int = 2,
) -> tuple[Complex[Array, "..."], Complex[Array, "..."]]:
    """Regularised nonlinear inversion for the image and the maps.

    Uecker et al. 2008, Magn Reson Med 60:674. The image ``p`` and maps ``c_j =
    F^H (w a_j)``, with ``w = (1 + smoothness |k|^2)^(-order / 2)`` and ``k`` from
    -1/2 to 1/2, explain the samples ``y_j = M F (p c_j)``. Newton's step solves

    ``(DG^H DG + weight_n) dx = DG^H (y - G(x_n)) + weight_n (x_0 - x_n)``

    by conjugate gradients, from ``p = 1`` and ``a = 0``, with data of norm 100
    and ``weight_n = weight / reduction^n``. The penalty on ``a`` is a Sobolev norm
    of the maps. In the end they are divided by their root sum of squares, which
    the image takes over. The phase that image and maps share stays undetermined.

    Args:
        kspace: complex, ``(*batch, coil, *spatial)``; its centre sampled fully.
        mask: where it was sampled, meeting the trailing axes as in `Sampling`.
        newton_steps: how many; static. More resolve more, and more noise.
        cg_steps: at most, in a Newton step; each stops where its residual is a
            tenth of that at the start, as in BART.
        weight: of the penalty in the first step.
        reduction: factor by which it falls from step to step.
        smoothness: of the maps, by where their spectrum begins to fall.
        order: of the fall.
        ndim: number of spatial axes.

    Returns:
        The image, ``(*batch, *spatial)`` at the scale of ``kspace``, and maps of its shape and of
        unit norm over the coils.

    Raises:
        InputError: for real k-space or one without a coil axis, no steps, or a
            mask that does not fit.
    """
    require_coils(kspace, ndim, "nlinv")
    if newton_steps < 1:
        raise InputError("newton_steps", "at least 1", newton_steps)
    kspace = Sampling(mask)(kspace)
    one = functools.partial(
        _nlinv,
        newton_steps=newton_steps,
        cg_steps=cg_steps,
        weight=weight,
        reduction=reduction,
        smoothness=smoothness,
        order=order,
    )
    spatial, coils = kspace.shape[-ndim:], kspace.shape[-ndim - 1]
    masks = jnp.broadcast_to(
        mask.reshape((1,) * (kspace.ndim - mask.ndim) + mask.shape), kspace.shape
    )
    each = (-1, coils, *spatial)
    image, maps = jax.lax.map(lambda y: one(*y), (kspace.reshape(each), masks.reshape(each)))
    return image.reshape(*kspace.shape[: -ndim - 1], *spatial), maps.reshape(kspace.shape)


@functools.partial(
    jax.jit,
    static_argnames=("newton_steps", "cg_steps", "weight", "reduction", "smoothness", "order"),
)
def _nlinv(
    y: Array,
    mask: Array,
    *,
    newton_steps: int,
    cg_steps: int,
    weight: float,
    reduction: float,
    smoothness: float,
    order: float,
) -> tuple[Array, Array]:
    coils, *spatial = y.shape
    ndim, real = len(spatial), jnp.finfo(y.dtype).dtype
    sampled = Sampling(mask)
    square = functools.reduce(np.add.outer, [((np.arange(n) - n // 2) / n) ** 2 for n in spatial])
    sobolev = jnp.asarray((1 + smoothness * square) ** (-order / 2), y.dtype)[None]
    norm = jnp.sqrt(jnp.sum(jnp.real(y) ** 2 + jnp.imag(y) ** 2))
    scale = (norm / _NORM).astype(y.dtype)
    y = y / jnp.where(norm > 0, scale, 1)

    def to_maps(a: Array) -> Array:
        return ifftc(sobolev * a, ndim)

    # The unknowns in one array: the image, and the coefficients of the maps.
    def samples(x: Array) -> Array:
        return sampled(fftc(x[:1] * to_maps(x[1:]), ndim))

    first = jnp.zeros((coils + 1, *spatial), y.dtype).at[0].set(1)

    def newton(n: Array, x: Array) -> Array:
        image, maps = x[:1], to_maps(x[1:])
        penalty = (weight * jnp.asarray(reduction, real) ** -n.astype(real)).astype(y.dtype)

        def derivative(d: Array) -> Array:
            return sampled(fftc(d[:1] * maps + image * to_maps(d[1:]), ndim))

        def adjoint(r: Array) -> Array:
            r = ifftc(sampled.H(r), ndim)
            to_image = jnp.sum(jnp.conj(maps) * r, axis=0, keepdims=True)
            return jnp.concatenate([to_image, sobolev * fftc(jnp.conj(image) * r, ndim)])

        step = conjugate_gradient(
            lambda d: adjoint(derivative(d)) + penalty * d,
            adjoint(y - samples(x)) + penalty * (first - x),
            max_steps=cg_steps,
            tolerance=0.1,
        )
        return x + step

    x = jax.lax.fori_loop(0, newton_steps, newton, first)
    maps = to_maps(x[1:])
    power = jnp.sum(jnp.real(maps) ** 2 + jnp.imag(maps) ** 2, axis=0)
    root = jnp.sqrt(jnp.where(power > 0, power, 1)).astype(y.dtype)
    return x[0] * root * scale, maps / root[None]

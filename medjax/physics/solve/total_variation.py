"""The proximal map of total variation."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.types import Array, Float, Inexact
from medjax.physics.difference import FiniteDifference


def total_variation_prox(
    x: Inexact[Array, "..."],
    threshold: float | Float[Array, "..."],
    *,
    isotropic: bool = True,
    coupled: bool = False,
    steps: int = 30,
    ndim: int = 2,
) -> Inexact[Array, "..."]:
    """Denoise by ``argmin_u |u - x|^2 / 2 + threshold TV(u)``.

    Beck and Teboulle (2009), IEEE Trans Image Process 18:2419, the fast gradient
    projection of section IV.A on the dual, without constraints. Differs in taking any
    number of axes, whose forward differences have squared norm below ``4 ndim``, and
    complex images, whose dual variables are complex; and, with ``coupled``, in vectorial
    total variation (Bresson and Chan 2008, Inverse Probl Imaging 2:455): channels,
    contrasts or echoes have one length of gradient at each pixel, so that their edges
    fall on one place.

    Args:
        x: real or complex, ``(..., *spatial)``.
        threshold: not negative; a number, or real of the rank of ``x``, with axes of
            one in space.
        isotropic: the sum of the lengths of gradients, rather than of the moduli of
            their components.
        coupled: the axis before the spatial ones is of channels that share their edges;
            the threshold then has an axis of one for it too.
        steps: on the dual; the error falls with their square.
        ndim: number of trailing spatial axes.

    Returns:
        The image, of the shape and dtype of ``x``.
    """
    gradient = FiniteDifference(ndim)
    threshold = jnp.asarray(threshold, jnp.finfo(x.dtype).dtype)
    positive = threshold > 0
    safe = jnp.where(positive, threshold, 1)
    stride = jnp.expand_dims(1 / (4 * ndim * safe), -ndim - 1) if threshold.ndim else None
    stride = 1 / (4 * ndim * safe) if stride is None else stride

    def primal(dual: Array) -> Array:
        return x - threshold.astype(x.dtype) * gradient.H(dual)

    def body(_, carry):
        dual, ahead, t = carry
        moved = ahead + stride.astype(x.dtype) * gradient(primal(ahead))
        following = dual_ball(moved, 1.0, isotropic=isotropic, coupled=coupled, ndim=ndim)
        t_next = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        momentum = ((t - 1) / t_next).astype(x.dtype)
        return following, following + momentum * (following - dual), t_next

    like = jax.eval_shape(gradient, x)
    zero = jnp.zeros(like.shape, like.dtype)
    one = jnp.ones((), jnp.finfo(x.dtype).dtype)
    dual = jax.lax.fori_loop(0, steps, body, (zero, zero, one))[0]
    return jnp.where(positive, primal(dual), x)


def dual_ball(
    dual: Inexact[Array, "..."],
    radius: float | Float[Array, "..."],
    *,
    isotropic: bool = True,
    coupled: bool = False,
    ndim: int = 2,
) -> Inexact[Array, "..."]:
    """Gradient fields ``(..., ndim, *spatial)`` onto moduli of at most ``radius``.

    The conjugate's proximal map of ``radius TV``, for any step: of whole vectors where
    isotropic, of components where not; of those of all channels where ``coupled``.
    """
    power = jnp.real(dual) ** 2 + jnp.imag(dual) ** 2 if jnp.iscomplexobj(dual) else dual**2
    together = (-ndim - 1,) * isotropic + (-ndim - 2,) * coupled
    power = jnp.sum(power, axis=together, keepdims=True) if together else power
    outside = power > jnp.square(radius)
    shrink = jnp.where(outside, radius / jnp.sqrt(jnp.where(outside, power, 1)), 1)
    return dual * shrink.astype(dual.dtype)

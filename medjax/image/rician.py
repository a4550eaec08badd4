"""Rician noise made normal, and back: so that magnitude images may be denoised by any filter."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from scipy.special import ive

from medjax.core.types import Array, Float

_FAR = 40.0  # from here on the noise is normal, but for 1e-4 of its deviation


def stabilised(x: Float[Array, "..."], sigma: float | Array) -> Float[Array, "..."]:
    """Magnitudes on a scale where the noise's standard deviation is about one everywhere.

    Variance stabilisation as Foi (2011), IEEE ISBI, 1809, proposes it for Rician noise. What
    differs: the transform is the integral of the inverse standard deviation over the mean (the
    delta method), where the paper optimises one; deviations are 0.99 to 1.07 from a signal of
    one sigma on, and fall to 0.88 without signal.

    Args:
        x: magnitudes, not negative.
        sigma: standard deviation of the noise in the real and in the imaginary part; a number,
            or of a shape that broadcasts with ``x``.

    Returns:
        An array of the shape and dtype of ``x``, without unit.
    """
    means, values, _ = _tables()
    z = x / jnp.asarray(sigma, x.dtype)
    return _interpolated(z, means, values)


def restored(y: Float[Array, "..."], sigma: float | Array) -> Float[Array, "..."]:
    """The signals whose stabilised magnitudes have the means ``y``: the exact unbiased inverse.

    Foi (2011): the expected value is inverted, not the function, so that the bias of Rician
    noise, by which background is bright, goes away. What lies below the mean of no signal comes
    back as zero.

    Args:
        y: denoised, as `stabilised` gave it before.
        sigma: as there.

    Returns:
        An array of the shape and dtype of ``y``, in the unit of ``sigma``.
    """
    _, _, expected = _tables()
    signal = _interpolated(y, expected, _signals())
    return jnp.maximum(signal, 0) * jnp.asarray(sigma, y.dtype)


def _interpolated(x: Array, knots: np.ndarray, values: np.ndarray) -> Array:
    """Linear between knots, and beyond both ends with the slope of the last interval."""
    knots, values = (jnp.asarray(a, x.dtype) for a in (knots, values))
    at = jnp.clip(jnp.searchsorted(knots, x.ravel(), side="right") - 1, 0, knots.shape[0] - 2)
    low, high = knots[at], knots[at + 1]
    share = (x.ravel() - low) / (high - low)
    return (values[at] + share * (values[at + 1] - values[at])).reshape(x.shape)


def _signals() -> np.ndarray:
    return np.concatenate([np.linspace(0, 8, 321), np.linspace(8, _FAR, 65)[1:]])


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of signals over sigma: mean magnitudes, stabilised values there, and their expectations."""
    signals = _signals()
    z = np.linspace(0, _FAR + 10, 2501)
    step = z[1] - z[0]
    density = z * np.exp(-0.5 * (z - signals[:, None]) ** 2) * ive(0, z * signals[:, None])
    density /= density.sum(1, keepdims=True) * step
    means = density @ z * step
    deviation = np.sqrt(density @ z**2 * step - means**2)
    # The trapezoidal rule for the integral of 1 / deviation over the mean.
    slopes = (1 / deviation[1:] + 1 / deviation[:-1]) / 2
    values = np.concatenate([[0.0], np.cumsum(slopes * np.diff(means))])
    ends = np.interp(z, means, values)
    ends = np.where(z < means[0], (z - means[0]) / deviation[0], ends)
    ends = np.where(z > means[-1], values[-1] + (z - means[-1]) / deviation[-1], ends)
    return means, values, density @ ends * step

"""How alike two images are: what metrics and losses share."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from medjax.core.arrays import per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

WINDOW = 7
"""Width of the window along each axis; Wang et al. also have a Gaussian one."""


def paired(prediction: Array, target: Array, *, what: str) -> tuple[Array, Array]:
    """Both images at one precision, at least float32, after checking that they belong together.

    Args:
        prediction: real or complex floating point, ``(batch, ...)``.
        target: of the same shape, and real or complex as the prediction is.
        what: who asks, for the error.

    Raises:
        InputError: for integers, for unequal shapes, for no axis besides the batch,
            and for a complex image beside a real one.
    """
    kinds = f"{prediction.dtype} {prediction.shape} and {target.dtype} {target.shape}"
    for a in (prediction, target):
        if not jnp.issubdtype(a.dtype, jnp.inexact):
            raise InputError(what, "floating-point images", kinds)
    if prediction.shape != target.shape or prediction.ndim < 2:
        raise InputError(what, "two images of one shape (batch, ...)", kinds)
    if jnp.iscomplexobj(prediction) != jnp.iscomplexobj(target):
        raise InputError(what, "two real or two complex images (jnp.abs gives magnitudes)", kinds)
    wide = max(jnp.finfo(a.dtype).bits for a in (prediction, target)) > 32
    if jnp.iscomplexobj(prediction):
        dtype = jnp.complex128 if wide else jnp.complex64
    else:
        dtype = jnp.float64 if wide else jnp.float32
    return prediction.astype(dtype), target.astype(dtype)


def mean_per_sample(x: Array) -> Float[Array, " batch"]:
    """Mean over all axes but the first."""
    return jnp.mean(x, axis=tuple(range(1, x.ndim)))


def ssim_map(
    prediction: Array, target: Array, *, data_range: ArrayLike
) -> Float[Array, "batch ..."]:
    """Structural similarity at every position whose window lies inside the image.

    Args:
        prediction: real, ``(batch, *spatial)`` with two or three spatial axes of at
            least 7.
        target: real, of the same shape.
        data_range: difference between the largest and the smallest value that the
            images could have, a number or ``(batch,)``.

    Returns:
        ``(batch, *spatial)``, each spatial axis shorter by 6: at most 1, and 1 where
        the windows agree. NaN where two windows of zeros meet a data range of zero.

    Raises:
        InputError: for images that cannot be compared so.

    Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE TIP 13 (2004), eq. 13, with
    K1 = 0.01 and K2 = 0.03. As scikit-image computes it by default, and unlike
    the paper's Gaussian window: a uniform window of width 7, covariances divided
    by n - 1, and no padding. Three spatial axes have windows of 7 x 7 x 7; for the
    mean over slices of a volume give the slices as the batch.
    """
    uniform = (1 / WINDOW,) * WINDOW
    luminance, structure = ssim_terms(
        prediction, target, data_range=data_range, taps=uniform, unbiased=True
    )
    return luminance * structure


def ssim_terms(
    prediction: Array,
    target: Array,
    *,
    data_range: ArrayLike,
    taps: Sequence[float],
    unbiased: bool = False,
) -> tuple[Float[Array, "batch ..."], Float[Array, "batch ..."]]:
    """Luminance, and contrast times structure, of which structural similarity is the product.

    Args:
        prediction: see `ssim_map`, as for ``target`` and ``data_range``; each spatial axis at
            least as long as the window.
        target: see there.
        data_range: see there.
        taps: weights of the window along each axis, of sum 1.
        unbiased: divide covariances of ``n`` values in a window by ``n - 1``, not ``n``.

    Raises:
        InputError: as `ssim_map`.
    """
    prediction, target = paired(prediction, target, what="ssim")
    if jnp.iscomplexobj(prediction):
        raise InputError("ssim", "real images (jnp.abs gives magnitudes)", prediction.dtype)
    if prediction.ndim not in (3, 4) or min(prediction.shape[1:]) < len(taps):
        expected = f"(batch, *spatial) with 2 or 3 spatial axes of at least {len(taps)}"
        raise InputError("ssim", expected, prediction.shape)
    scale = per_sample(range_per_sample(data_range, target, what="ssim"), prediction.ndim)
    c1, c2 = (0.01 * scale) ** 2, (0.03 * scale) ** 2
    mean_p, mean_t, variances, covariance = _window_statistics(prediction, target, taps)
    if unbiased:
        n = len(taps) ** (target.ndim - 1)
        variances, covariance = (n / (n - 1) * v for v in (variances, covariance))
    product = 2 * mean_p * mean_t + c1
    luminance = product / (product + (mean_p - mean_t) ** 2)
    return luminance, (2 * covariance + c2) / (variances + c2)


def range_per_sample(data_range: ArrayLike, target: Array, *, what: str) -> Float[Array, " batch"]:
    """A data range, a number or ``(batch,)``, as one value a sample in the target's dtype.

    Raises:
        InputError: for any other shape.
    """
    value = jnp.asarray(data_range, target.dtype)
    if value.shape not in ((), target.shape[:1]):
        raise InputError(f"{what}: data_range", f"a number or {target.shape[:1]}", value.shape)
    return jnp.broadcast_to(value, target.shape[:1])


def _window_statistics(
    p: Array, t: Array, taps: Sequence[float]
) -> tuple[Array, Array, Array, Array]:
    """Means of both, the sum of their variances, and their covariance, in each window.

    Second moments are taken about the target's mean. Without that, float32 loses
    every digit of a variance where the mean is large against it (Hounsfield units,
    say); with it the error is some 1e-7 of the squared range, against the 9e-4 of
    it that the similarity adds to each variance.
    """
    axes = tuple(range(1, t.ndim))
    # All results are the same for any centre, so nothing is lost by not differentiating it.
    centre = jax.lax.stop_gradient(jnp.mean(t, axis=axes, keepdims=True))
    p, t = p - centre, t - centre
    moments = jnp.stack([p, t, p * p + t * t, p * t])
    mean_p, mean_t, squares, product = _window_mean(moments, taps, len(axes))
    variances = squares - (mean_p * mean_p + mean_t * mean_t)
    return mean_p + centre, mean_t + centre, variances, product - mean_p * mean_t


def _window_mean(x: Array, taps: Sequence[float], axes: int) -> Array:
    """Mean over each window of the last axes; one after the other, which is far faster."""
    width, uniform = len(taps), len(set(taps)) == 1
    for axis in range(x.ndim - axes, x.ndim):
        if uniform:
            window = tuple(width if i == axis else 1 for i in range(x.ndim))
            x = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1,) * x.ndim, "VALID")
        else:
            stop = x.shape[axis] - width + 1
            shifted = (jax.lax.slice_in_dim(x, k, k + stop, axis=axis) for k in range(width))
            x = sum(tap * part for tap, part in zip(taps, shifted, strict=True))
    return x / width**axes if uniform else x

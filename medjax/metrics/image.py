"""Metrics of real images: ``(prediction, target) -> (batch,)``.

All take real floating-point arrays ``(batch, *spatial)``; for complex images the
caller says what is compared, as a rule ``jnp.abs``. Sums are in float32 or wider.

Where a metric needs the range of the data, it is by default the largest value of
each target sample. fastMRI's numbers (Zbontar et al. 2018) use the largest value
of the whole volume for each of its slices; give that as ``data_range`` to compare
with them. Images that are not counted from zero, as Hounsfield units, always need
a ``data_range``. A range that is not positive (an empty target) gives NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.similarity import mean_per_sample, paired, range_per_sample, ssim_map, ssim_terms

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, finest first (Wang et al. 2003, section 3.2)."""


def mae(prediction: Array, target: Array) -> Float[Array, " batch"]:
    """Mean absolute error, in the unit of the images.

    Args:
        prediction: real, ``(batch, *spatial)``.
        target: real, of the same shape.

    Raises:
        InputError: for complex or integer images, or unequal shapes.
    """
    prediction, target = _real(prediction, target, "mae")
    return mean_per_sample(jnp.abs(prediction - target))


def mse(prediction: Array, target: Array) -> Float[Array, " batch"]:
    """Mean squared error, in the squared unit of the images.

    Arguments and errors are those of `mae`.
    """
    prediction, target = _real(prediction, target, "mse")
    return mean_per_sample((prediction - target) ** 2)


def rmse(prediction: Array, target: Array) -> Float[Array, " batch"]:
    """Root mean squared error, in the unit of the images.

    Arguments and errors are those of `mae`.
    """
    return jnp.sqrt(mse(prediction, target))


def nmse(prediction: Array, target: Array) -> Float[Array, " batch"]:
    """Squared error over the target's energy: ``|p - t|^2 / |t|^2``.

    Arguments and errors are those of `mae`. NaN for an empty target. As fastMRI
    defines it, but for one sample instead of a volume; the square of scikit-image's
    ``normalized_root_mse``.
    """
    prediction, target = _real(prediction, target, "nmse")
    energy = mean_per_sample(target**2)
    return _scored(mean_per_sample((prediction - target) ** 2) / energy, energy)


def psnr(
    prediction: Array, target: Array, *, data_range: ArrayLike | None = None
) -> Float[Array, " batch"]:
    """Peak signal-to-noise ratio in dB: ``10 log10(data_range^2 / mse)``.

    Args:
        prediction: real, ``(batch, *spatial)``.
        target: real, of the same shape.
        data_range: a number or ``(batch,)``; by default each target's maximum.

    Returns:
        ``(batch,)``; infinite for equal images, NaN for a range that is not positive.

    Raises:
        InputError: for complex or integer images, unequal shapes, or a range of
            another shape.
    """
    prediction, target = _real(prediction, target, "psnr")
    peak = _range(data_range, target, "psnr")
    error = mean_per_sample((prediction - target) ** 2)
    # The logarithm of a quotient would overflow where the difference of two does not.
    return _scored(20 * jnp.log10(peak) - 10 * jnp.log10(error), peak)


def ssim(
    prediction: Array, target: Array, *, data_range: ArrayLike | None = None
) -> Float[Array, " batch"]:
    """Structural similarity, the mean of `medjax.image.similarity.ssim_map`; at most 1.

    Args:
        prediction: real, ``(batch, *spatial)``, two or three spatial axes of at least 7.
        target: real, of the same shape.
        data_range: a number or ``(batch,)``; by default each target's maximum.

    Returns:
        ``(batch,)``; 1 for equal images, NaN for a range that is not positive.

    Raises:
        InputError: as `psnr`, and for images smaller than the window.
    """
    prediction, target = _real(prediction, target, "ssim")
    peak = _range(data_range, target, "ssim")
    return _scored(mean_per_sample(ssim_map(prediction, target, data_range=peak)), peak)


def ms_ssim(
    prediction: Array,
    target: Array,
    *,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
) -> Float[Array, " batch"]:
    """Structural similarity at several scales, each half as fine as the one before; at most 1.

    Wang, Simoncelli & Bovik, "Multiscale structural similarity for image quality assessment",
    Asilomar 2003, eq. 7: the product of the scales' mean contrast and structure, each to the
    power of its weight, and of the coarsest one's luminance. As in the paper, and unlike `ssim`,
    it has a Gaussian window of 11 with a deviation of 1.5, and covariances divided by n. What
    the paper leaves open is as in torchmetrics: a mean below zero counts as zero, and where two
    rows become one a last odd one is left out.

    Args:
        prediction: real, ``(batch, *spatial)``, two or three spatial axes of at least
            ``11 * 2 ** (scales - 1)``.
        target: real, of the same shape.
        data_range: a number or ``(batch,)``; by default each target's maximum.
        weights: of the scales, finest first; by default the paper's five. Smaller images
            take fewer, whose numbers are on another scale; the paper's sum to 1.

    Returns:
        ``(batch,)``; 1 for equal images, NaN for a range that is not positive.

    Raises:
        InputError: as `psnr`, for no weights, and for images too small for the scales.
    """
    prediction, target = _real(prediction, target, "ms_ssim")
    peak = _range(data_range, target, "ms_ssim")
    if not weights:
        raise InputError("ms_ssim: weights", "at least one", "none")
    smallest = len(_GAUSSIAN) * 2 ** (len(weights) - 1)
    if prediction.ndim not in (3, 4) or min(prediction.shape[1:]) < smallest:
        expected = (
            f"(batch, *spatial) with 2 or 3 spatial axes of at least {smallest} "
            f"for {len(weights)} scales"
        )
        raise InputError("ms_ssim", expected, prediction.shape)
    value = jnp.ones(target.shape[:1], target.dtype)
    for number, weight in enumerate(weights):
        luminance, structure = ssim_terms(prediction, target, data_range=peak, taps=_GAUSSIAN)
        last = number == len(weights) - 1
        here = mean_per_sample(luminance * structure if last else structure)
        value = value * jnp.maximum(here, 0) ** weight
        if not last:
            prediction, target = _halved(prediction), _halved(target)
    return _scored(value, peak)


def _halved(x: Array) -> Array:
    """Means of blocks of two along each spatial axis."""
    window = (1, *(2,) * (x.ndim - 1))
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, window, "VALID") / 2 ** (x.ndim - 1)


def _gaussian(width: int, deviation: float) -> tuple[float, ...]:
    taps = [math.exp(-0.5 * ((k - width // 2) / deviation) ** 2) for k in range(width)]
    return tuple(t / sum(taps) for t in taps)


_GAUSSIAN = _gaussian(11, 1.5)


def _real(prediction: Array, target: Array, what: str) -> tuple[Array, Array]:
    for a in (prediction, target):
        if jnp.iscomplexobj(a):
            raise InputError(what, "real images; compare magnitudes with jnp.abs", a.dtype)
    return paired(prediction, target, what=what)


def _range(data_range: ArrayLike | None, target: Array, what: str) -> Float[Array, " batch"]:
    if data_range is None:
        return jnp.max(target, axis=tuple(range(1, target.ndim)))
    return range_per_sample(data_range, target, what=what)


def _scored(value: Array, scale: Array) -> Float[Array, " batch"]:
    """NaN where there is no positive scale to score against."""
    return jnp.where(scale > 0, value, jnp.nan)

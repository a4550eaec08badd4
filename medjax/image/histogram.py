"""Scales of intensity: percentiles, windows, histogram matching and standardisation.

Every function takes NumPy arrays and gives NumPy arrays, or JAX arrays and gives JAX
arrays, traced ones too: it computes with the namespace that the array itself names
(the Python array API). So the host prepares volumes with the mathematics that the device
uses, and this file imports no JAX. One image at a time: ``jax.vmap`` gives batches.
Arrays of integers become float32; floating ones keep their dtype.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from medjax.core.errors import InputError

DECILES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)
"""Landmarks of `standardise`, in percent."""

CT_WINDOWS = {
    "brain": (40.0, 80.0),
    "stroke": (40.0, 40.0),
    "subdural": (75.0, 215.0),
    "temporal bone": (600.0, 2800.0),
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "angiography": (300.0, 600.0),
    "abdomen": (50.0, 400.0),
    "liver": (30.0, 150.0),
    "spine": (50.0, 250.0),
    "bone": (400.0, 1800.0),
}
"""Centre and width in Hounsfield units of the windows that radiologists read CT with."""


def window(image: Any, centre: float, width: float) -> Any:
    """Intensities from ``centre - width / 2`` to ``centre + width / 2`` as 0 to 1.

    Args:
        image: real, of any shape; Hounsfield units for `CT_WINDOWS`.
        centre: in the image's unit.
        width: more than 0.

    Returns:
        The image, cut to 0 and 1. That is DICOM's LINEAR_EXACT (PS3.3, C.11.2.1.3.2).

    Raises:
        InputError: for a width that is not positive, or a complex image.
    """
    if not width > 0:
        raise InputError("width", "a positive number", width)
    image = _floating(image)
    return ((image - (centre - width / 2)) / width).clip(0, 1)


def z_score(image: Any, mask: Any = None) -> Any:
    """Subtract the mean and divide by the standard deviation.

    Args:
        image: real, of any shape.
        mask: boolean, of the image's shape, the voxels that count; None for all. Others
            are scaled along.

    Returns:
        The image; zero where all that counts is one value.

    Raises:
        InputError: for a complex image, or a mask of another shape or kind or, unless it
            is a JAX array, one without a voxel (JAX gives NaN).
    """
    image = _floating(image)
    mask = _checked(mask, image)
    if mask is None:
        mean, deviation = image.mean(), image.std()
    else:
        weight = mask.astype(image.dtype)
        mean = (image * weight).sum() / weight.sum()
        deviation = (((image - mean) ** 2 * weight).sum() / weight.sum()) ** 0.5
    return (image - mean) / _nonzero(deviation)


def percentile(image: Any, percentiles: Any, mask: Any = None) -> Any:
    """Percentiles of an image, with linear interpolation between voxels.

    Args:
        image: real, of any shape.
        percentiles: ``(number,)``, 0 to 100.
        mask: boolean, of the image's shape, the voxels that count; None for all.

    Returns:
        ``(number,)``, in the image's dtype.

    Raises:
        InputError: as `z_score`.
    """
    image = _floating(image)
    mask = _checked(mask, image)
    xp = image.__array_namespace__()
    if mask is None:
        ordered, last = xp.sort(image.reshape(-1)), image.size - 1.0
    else:
        # Sizes may not depend on values under jit: what does not count goes to the end.
        ordered = xp.sort(xp.where(mask, image, xp.inf).reshape(-1))
        last = mask.sum().astype(float) - 1
    # Floats of JAX's default count ranks exactly up to 2^24.
    rank = (xp.asarray(percentiles).astype(float) / 100 * last).clip(0)
    below, above = xp.floor(rank), xp.ceil(rank)
    part = (rank - below).astype(image.dtype)
    low, high = ordered[below.astype(int)], ordered[above.astype(int)]
    values = low + part * (high - low)
    return values if mask is None else xp.where(last >= 0, values, xp.nan)


def rescale(image: Any, lower: float = 0.5, upper: float = 99.5, mask: Any = None) -> Any:
    """Percentiles ``lower`` and ``upper`` as 0 and 1, and what lies outside cut to them.

    Args:
        image: real, of any shape.
        lower: in percent, 0 to 100.
        upper: in percent, more than ``lower``.
        mask: as for `percentile`.

    Returns:
        The image, 0 to 1; zero where both percentiles are one value.

    Raises:
        InputError: as `percentile`, and for percentiles out of order.
    """
    if not 0 <= lower < upper <= 100:
        raise InputError("percentiles", "0 <= lower < upper <= 100", (lower, upper))
    image = _floating(image)
    low, high = percentile(image, (lower, upper), mask)
    return ((image - low) / _nonzero(high - low)).clip(0, 1)


def match(image: Any, reference: Any) -> Any:
    """The image with the histogram of another: the same order, the reference's values.

    A value whose part ``p`` of the image's voxels lies at or below becomes that below
    which part ``p`` of the reference's lies, by linear interpolation: exact, without
    bins (Gonzalez & Woods, Digital Image Processing, section 3.3; as scikit-image's
    ``match_histograms``). One channel: map over others.

    Args:
        image: real, of any shape.
        reference: real, of any other shape.

    Returns:
        An image of the first one's shape.

    Raises:
        InputError: for complex images.
    """
    image, reference = _floating(image), _floating(reference)
    xp = image.__array_namespace__()
    flat, target = image.reshape(-1), xp.sort(reference.reshape(-1))

    def below(ordered: Any, values: Any) -> Any:
        count = xp.searchsorted(ordered, values, side="right")
        return count.astype(float) / ordered.size

    # Equal values of the reference have equal ranks too, so they interpolate to themselves.
    part = below(xp.sort(flat), flat)
    matched = xp.interp(part, below(target, target), target.astype(part.dtype))
    return matched.astype(image.dtype).reshape(image.shape)


class Landmarks(NamedTuple):
    """Where the percentiles of a standardised image lie.

    Attributes:
        percentiles: ``(landmark,)``, in percent, increasing.
        values: ``(landmark,)``, intensities on the standard scale.
    """

    percentiles: Any
    values: Any


def fit_landmarks(
    images: Iterable[Any],
    masks: Iterable[Any] | None = None,
    *,
    percentiles: Sequence[float] = DECILES,
    scale: tuple[float, float] = (0.0, 100.0),
) -> Landmarks:
    """Learn a standard scale from images of one protocol: Nyúl & Udupa's training.

    Args:
        images: real, of any shapes; an iterator of them takes the memory of one.
        masks: boolean, one an image, the voxels that count; None for all. With a
            background, give a mask of the foreground: else the landmarks are air's.
        percentiles: at least two, increasing.
        scale: of the first and of the last landmark.

    Returns:
        Landmarks in float64, or in JAX's default for JAX arrays.

    Raises:
        InputError: for no image, unequal numbers of images and masks, percentiles out of
            order, and as `percentile`.

    Nyúl & Udupa, "On standardizing the MR image intensity scale", Magn Reson Med 42
    (1999) 1072, with the deciles of Nyúl, Udupa & Zhang, IEEE TMI 19 (2000) 143.
    """
    rows = [percentile(image, percentiles, mask) for image, mask in _pairs(images, masks)]
    if not rows:
        raise InputError("images", "at least one", 0)
    stacked = rows[0].__array_namespace__().stack(rows).astype(float)
    return mean_landmarks(stacked, percentiles=percentiles, scale=scale)


def mean_landmarks(
    values: Any,
    *,
    percentiles: Sequence[float] = DECILES,
    scale: tuple[float, float] = (0.0, 100.0),
) -> Landmarks:
    """`fit_landmarks` from each image's `percentile`, which workers can find apart.

    Args:
        values: ``(image, landmark)``.
        percentiles: ``(landmark,)``, those that were found.
        scale: of the first and of the last landmark.

    Raises:
        InputError: for another shape, percentiles out of order, and (NumPy) an image
            whose first and last percentile are one value.
    """
    if len(percentiles) < 2 or np.any(np.diff(percentiles) <= 0):
        raise InputError("percentiles", "at least two, increasing", tuple(percentiles))
    if values.ndim != 2 or values.shape[1] != len(percentiles):
        raise InputError("values", f"(image, {len(percentiles)})", values.shape)
    xp = values.__array_namespace__()
    first, width = values[:, :1], values[:, -1:] - values[:, :1]
    if xp is np and np.any(width <= 0):
        raise InputError("images", "first and last percentiles that differ", "equal ones")
    unit = ((values - first) / width).mean(0)
    return Landmarks(xp.asarray(percentiles, values.dtype), scale[0] + (scale[1] - scale[0]) * unit)


def standardise(image: Any, landmarks: Landmarks, mask: Any = None) -> Any:
    """Map an image's own percentiles to the standard scale: Nyúl & Udupa's transformation.

    Piecewise linear between landmarks; beyond the first and the last the slopes of the
    outer pieces go on. Where landmarks of the image are one value, as those of its
    background, the last of them counts.

    Args:
        image: real, of any shape.
        landmarks: from `fit_landmarks`.
        mask: boolean, of the image's shape, the voxels whose percentiles are taken. All
            are mapped.

    Returns:
        An image of the same shape.

    Raises:
        InputError: as `percentile`.
    """
    image = _floating(image)
    xp = image.__array_namespace__()
    target = xp.asarray(landmarks.values).astype(image.dtype)
    own = percentile(image, landmarks.percentiles, mask)
    width = own[1:] - own[:-1]
    slope = xp.where(width > 0, (target[1:] - target[:-1]) / xp.where(width > 0, width, 1), 0)
    piece = xp.searchsorted(own[1:-1], image.reshape(-1), side="right").reshape(image.shape)
    return target[:-1][piece] + slope.astype(image.dtype)[piece] * (image - own[:-1][piece])


def _pairs(images: Iterable[Any], masks: Iterable[Any] | None) -> Iterator[tuple[Any, Any]]:
    if masks is None:
        yield from ((image, None) for image in images)
        return
    for pair in itertools.zip_longest(images, masks):
        if pair[0] is None or pair[1] is None:
            raise InputError("masks", "one an image", "another number of them")
        yield pair


def _floating(image: Any) -> Any:
    kind = np.dtype(image.dtype).kind
    if kind == "c":
        raise InputError("image", "real intensities (abs gives magnitudes)", image.dtype)
    return image.astype(np.float32) if kind in "biu" else image


def _checked(mask: Any, image: Any) -> Any:
    if mask is None:
        return None
    if mask.shape != image.shape or mask.dtype != bool:
        expected = f"a boolean array of shape {image.shape}"
        raise InputError("mask", expected, f"{mask.dtype} {mask.shape}")
    if isinstance(mask, np.ndarray) and not mask.any():
        raise InputError("mask", "at least one voxel that counts", "none")
    return mask


def _nonzero(width: Any) -> Any:
    xp = width.__array_namespace__()
    return xp.where(width == 0, xp.ones_like(width), width)

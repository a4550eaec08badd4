"""Intensity scales of scanners: what `medjax.image.histogram` has, as methods."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from medjax.image import histogram

from .method import Harmoniser


def nyul(
    *,
    percentiles: Sequence[float] = histogram.DECILES,
    scale: tuple[float, float] = (0.0, 100.0),
) -> Harmoniser:
    """Standard scale of intensities by landmarks of the histogram (Nyúl & Udupa 1999).

    Args:
        percentiles: landmarks in percent.
        scale: of the first and of the last landmark.

    Returns:
        ``fit(images, masks=None)`` of training images and ``transform(landmarks, image,
        mask=None)``: `medjax.image.histogram.fit_landmarks` and its `standardise`.
    """
    fit = partial(histogram.fit_landmarks, percentiles=percentiles, scale=scale)
    return Harmoniser(
        fit, lambda state, image, mask=None: histogram.standardise(image, state, mask)
    )


def matching() -> Harmoniser:
    """Histogram matching to one reference image.

    Returns:
        ``fit(reference)``, whose state is that image, and ``transform(reference, image)``:
        `medjax.image.histogram.match`.
    """
    return Harmoniser(lambda reference: reference, lambda state, x: histogram.match(x, state))

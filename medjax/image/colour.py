"""Colour spaces of images.

As in `medjax.image.histogram`, NumPy arrays give NumPy arrays and JAX arrays JAX arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medjax.core.errors import InputError

# Linear sRGB to CIE XYZ, and the white of daylight (D65, 2 degrees): IEC 61966-2-1.
XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
# Where CIE's cube root turns into a line, so that black has a finite slope.
KNEE = 6 / 29


def rgb_to_lab(image: Any) -> Any:
    """sRGB to CIELAB: lightness 0 to 100, and how red (not green) and how yellow (not blue).

    Args:
        image: floating, ``(..., 3)``, 0 to 1.

    Returns:
        The same shape and dtype.

    Raises:
        InputError: for another shape or dtype.
    """
    xp = _checked(image)
    dark = image <= 0.04045
    linear = xp.where(dark, image / 12.92, ((xp.where(dark, 1, image) + 0.055) / 1.055) ** 2.4)
    t = _mixed(linear, XYZ_FROM_RGB / WHITE[:, None])
    low = t <= KNEE**3
    t = xp.where(low, t / (3 * KNEE**2) + 4 / 29, xp.where(low, 1, t) ** (1 / 3))
    x, y, z = t[..., 0], t[..., 1], t[..., 2]
    return xp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def lab_to_rgb(image: Any) -> Any:
    """CIELAB to sRGB: the inverse of `rgb_to_lab`.

    Args:
        image: floating, ``(..., 3)``.

    Returns:
        The same shape and dtype. Colours that no screen has lie outside 0 to 1.

    Raises:
        InputError: for another shape or dtype.
    """
    xp = _checked(image)
    y = (image[..., 0] + 16) / 116
    t = xp.stack([y + image[..., 1] / 500, y, y - image[..., 2] / 200], -1)
    xyz = xp.where(t <= KNEE, 3 * KNEE**2 * (t - 4 / 29), t**3)
    linear = _mixed(xyz, np.linalg.inv(XYZ_FROM_RGB) * WHITE[None])
    dark = linear <= 0.0031308
    return xp.where(dark, 12.92 * linear, 1.055 * xp.where(dark, 1, linear) ** (1 / 2.4) - 0.055)


def _checked(image: Any) -> Any:
    if image.shape[-1:] != (3,) or np.dtype(image.dtype).kind != "f":
        raise InputError("image", "floating (..., 3)", f"{image.dtype} {image.shape}")
    return image.__array_namespace__()


def _mixed(image: Any, matrix: np.ndarray) -> Any:
    """``matrix @ pixel``, in full precision: matrix units would round to bfloat16."""
    xp = image.__array_namespace__()
    channels = [
        sum(float(weight) * image[..., i] for i, weight in enumerate(row)) for row in matrix
    ]
    return xp.stack(channels, -1)

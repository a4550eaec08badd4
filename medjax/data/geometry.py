"""Where voxels are: orientation of axes, without touching a value."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from nibabel import orientations

from medjax.core.errors import InputError

from .image import Image


def oriented_shape(shape: tuple[int, ...], affine: np.ndarray) -> tuple[int, int, int]:
    """The spatial shape that `to_ras` would give an array of a spatial shape and affine."""
    order = orientations.io_orientation(affine)[:, 0].astype(int)
    x, y, z = ((*shape, 1)[:3][i] for i in np.argsort(order))
    return x, y, z


def to_ras(image: Image) -> tuple[Image, Callable[[np.ndarray], np.ndarray]]:
    """Permute and flip axes so that they run closest to right, anterior, superior.

    No voxel is resampled. A 2D image becomes a volume with one axis of length one.

    Returns:
        The image, ``(x, y, z)`` and its channels, and ``undo(array) -> array``, which
        takes an array on that grid (with further axes at the end, if any) back to the
        original one exactly, and raises `InputError` for one of another shape.
    """
    affine = invertible("affine", image.affine)
    spatial, rest = image.array.shape[: image.ndim], image.array.shape[image.ndim :]
    volume = image.array.reshape(*(*spatial, 1)[:3], *rest)
    there = orientations.io_orientation(affine)
    array = orientations.apply_orientation(volume, there)
    back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), there)
    moved = affine @ orientations.inv_ornt_aff(there, volume.shape[:3])
    undo = partial(_undo, back, array.shape[:3], spatial)
    return image.replace(array=array, affine=moved), undo


def _undo(
    back: np.ndarray, expected: tuple[int, ...], original: tuple[int, ...], array: np.ndarray
) -> np.ndarray:
    if array.shape[:3] != expected:
        raise InputError("array", f"the shape {expected} of the RAS image", array.shape)
    return orientations.apply_orientation(array, back).reshape(original + array.shape[3:])


def invertible(what: object, affine: np.ndarray) -> np.ndarray:
    """``affine`` as float64, known to have an inverse.

    Raises:
        InputError: naming ``what``, for another shape, numbers that are not finite, or
            a singular matrix.
    """
    affine = np.asarray(affine, np.float64)
    if affine.shape != (4, 4):
        raise InputError(what, "an affine of shape (4, 4)", f"shape {affine.shape}")
    if not np.isfinite(affine).all():
        raise InputError(what, "an affine of finite numbers", "NaN or infinity")
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    # Relative to the voxel's edges, so that the unit of length does not matter.
    if not abs(np.linalg.det(affine[:3, :3])) > 1e-6 * np.prod(sizes):
        raise InputError(what, "an affine with an inverse", "a singular one")
    return affine

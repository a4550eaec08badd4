"""Slices of a tilted gantry on an upright grid.

A gantry that leans makes slices that are shifted in their plane from one to the next:
voxels are parallelepipeds. `upright` moves every slice back by linear interpolation in
its plane, so that voxels are boxes; nothing is interpolated from slice to slice.
"""

from __future__ import annotations

import math

import numpy as np

_NO_SHIFT = 0.05  # pixels over all slices, under which an axis is left alone


def upright_grid(
    shape: tuple[int, int, int], affine: np.ndarray
) -> tuple[tuple[int, int, int], np.ndarray]:
    """The grid at right angles that holds every voxel of a sheared one.

    Args:
        shape: ``(x, y, z)``.
        affine: ``(4, 4)``, of which the third column alone is sheared.

    Returns:
        Its shape, and its affine with the same pixels and distance of slices.
    """
    shifts = _shifts(shape, affine)
    sizes = [n + math.ceil(shift.max()) for n, shift in zip(shape, shifts, strict=False)]
    upright = affine.copy()
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal /= np.linalg.norm(normal)
    upright[:3, 2] = normal * (affine[:3, 2] @ normal)
    for axis, shift in enumerate(shifts):
        upright[:3, 3] -= shift[0] * affine[:3, axis]
    return (sizes[0], sizes[1], shape[2]), upright


def upright(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A sheared volume on its `upright_grid`.

    Args:
        array: ``(x, y, z)`` or ``(x, y, z, channel)``.
        affine: ``(4, 4)``, as there.

    Returns:
        Of the same dtype, integers rounded. Where no slice is, the least value.
    """
    fill = array.min()
    for axis, shift in enumerate(_shifts(array.shape[:3], affine)):
        moved = np.moveaxis(array, axis, 0)
        size = len(moved) + math.ceil(shift.max())
        out = np.full((size, *moved.shape[1:]), fill, array.dtype)
        # The slice's axis, with the shifted one at the front, is the third in both cases.
        for index, pixels in enumerate(shift):
            plane = moved[:, :, index].astype(np.float64)
            begin, part = math.floor(pixels), pixels - math.floor(pixels)
            if part:
                edge = np.full((1, *plane.shape[1:]), float(fill))
                ahead, behind = np.concatenate([plane, edge]), np.concatenate([edge, plane])
                plane = (1 - part) * ahead + part * behind
            if array.dtype.kind in "iu":
                plane = np.rint(plane)
            out[begin : begin + len(plane), :, index] = plane.astype(array.dtype)
        array = np.moveaxis(out, 0, axis)
    return array


def _shifts(shape: tuple[int, ...], affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels by which each slice lies ahead of the grid's start, along x and along y."""
    steps = np.linalg.pinv(affine[:3, :2]) @ affine[:3, 2]
    found = []
    for step in steps:
        shift = step * np.arange(shape[2])
        shift = np.zeros_like(shift) if np.ptp(shift) < _NO_SHIFT else shift
        found.append(shift + max(0, math.ceil(-shift.min())))
    return found[0], found[1]

"""From one grid to another with the same axes: images by weights along each axis, labels by choice.

The two grids cover the same field of view about the same centre, so that the way back
is the way there with the grids exchanged. Along an axis a new voxel is a sum of a few
old ones, by one sparse matrix: far fewer products than a kernel in three dimensions.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse

from medjax.core.errors import InputError
from medjax.data.image import Image

INTERPOLATIONS = ("cubic", "linear")
THICK = 3.0
"""An axis whose voxels are longer than another's by more than this is thick: nnU-Net's number
(Isensee et al. 2021, Nat Methods 18:203-211)."""


def new_shape(
    shape: tuple[int, ...], old: tuple[float, ...], new: tuple[float, ...]
) -> tuple[int, ...]:
    """The spatial shape at another spacing: as many voxels as come nearest to the field of view."""
    sizes = zip(shape[:3], old, new, strict=True)
    return tuple(max(1, round(n * before / after)) for n, before, after in sizes)


def resample_image(
    image: Image, target: tuple[float, float, float], interpolation: str = "cubic"
) -> Image:
    """An image at another spacing, about the same centre.

    Kernels are Keys' cubic convolution (1981, IEEE Trans Acoust 29:1153-1160, a = -1/2)
    or linear, made wider by the ratio of the spacings where the new voxels are larger:
    what they cannot hold is averaged, not folded into the image. Where a `THICK` axis gets
    more voxels they are copies, as nnU-Net has it, since slices far apart say little of
    what is between them. Outside the image its edge goes on; no value leaves the range of
    the image. nnU-Net's cubic splines do neither average nor keep the range.

    Args:
        image: ``(x, y, z)`` and channels, if any.
        target: millimetres along x, y, z. An axis of length one keeps its spacing.
        interpolation: one of `INTERPOLATIONS`.

    Returns:
        float32 on the new grid; the image itself where it has that spacing already.
    """
    if interpolation not in INTERPOLATIONS:
        raise InputError("interpolation", f"one of {', '.join(INTERPOLATIONS)}", interpolation)
    shape, steps, affine = _grid(image, target)
    if steps == (1.0, 1.0, 1.0):
        return image
    thick = np.asarray(image.spacing) > THICK * min(image.spacing)
    kernels = [
        "nearest" if slices and step < 1 else interpolation
        for slices, step in zip(thick, steps, strict=True)
    ]
    return image.replace(array=onto_image(image.array, shape, steps, kernels), affine=affine)


def resample_labels(labels: Image, target: tuple[float, float, float]) -> Image:
    """Labels at another spacing: every new voxel has the label of the old one at its centre."""
    shape, steps, affine = _grid(labels, target)
    return labels.replace(array=onto_labels(labels.array, shape, steps), affine=affine)


def onto_image(
    array: np.ndarray,
    shape: tuple[int, ...],
    steps: tuple[float, ...],
    kernels: list[str],
) -> np.ndarray:
    """`resample_image` on a bare array.

    Args:
        array: ``(x, y, z)`` and one further axis, if any.
        shape: new sizes of the first three axes.
        steps: new over old spacing along each.
        kernels: "cubic", "linear" or "nearest" along each.
    """
    sizes = zip(array.shape, shape, steps, kernels, strict=False)
    weights = [_weights(*axis) for axis in sizes]
    if array.ndim == 3:
        return _channel(array, weights)
    return np.stack([_channel(array[..., c], weights) for c in range(array.shape[3])], -1)


def onto_labels(array: np.ndarray, shape: tuple[int, ...], steps: tuple[float, ...]) -> np.ndarray:
    """`resample_labels` on a bare array, with the arguments of `onto_image`."""
    places = []
    for size, new, step in zip(array.shape, shape, steps, strict=False):
        centres = np.floor(_centres(size, new, step) + 0.5).astype(int)
        places.append(centres.clip(0, size - 1))
    return array[np.ix_(*places)]


def labels_onto(labels: Image, shape: tuple[int, ...], affine: np.ndarray) -> Image:
    """Labels on any grid, by the nearest voxel; 0 where they do not reach."""
    to_old = np.linalg.inv(labels.affine) @ affine
    array = ndimage.affine_transform(
        labels.array, to_old[:3, :3], to_old[:3, 3], shape, order=0, mode="constant", cval=0
    )
    return labels.replace(array=array, affine=affine)


def _grid(
    image: Image, target: tuple[float, float, float]
) -> tuple[tuple[int, ...], tuple[float, ...], np.ndarray]:
    """Shape, steps in old voxels and affine of the grid at another spacing."""
    old = image.spacing
    new = tuple(t if n > 1 else s for t, s, n in zip(target, old, image.array.shape, strict=False))
    # Spacings from a header of single precision that were meant to be the same are the same.
    steps = tuple(1.0 if abs(b / a - 1) < 1e-5 else b / a for a, b in zip(old, new, strict=True))
    shape = new_shape(image.array.shape, (1.0, 1.0, 1.0), steps)
    first = [_centres(n, m, s)[0] for n, m, s in zip(image.array.shape, shape, steps, strict=False)]
    change = np.diag([*steps, 1.0])
    change[:3, 3] = first
    return shape, steps, image.affine @ change


def _centres(size: int, new: int, step: float) -> np.ndarray:
    """Where the centres of new voxels are, counted in old voxels, about one common centre."""
    return (np.arange(new) - (new - 1) / 2) * step + (size - 1) / 2


def _weights(size: int, new: int, step: float, kernel: str) -> sparse.csr_array:
    """``(new, size)`` float32, rows of sum one."""
    radius, function = _KERNELS[kernel]
    wide = max(step, 1.0)
    centres = _centres(size, new, step)
    first = np.ceil(centres - radius * wide).astype(int)
    taps = first[:, None] + np.arange(int(np.floor(2 * radius * wide)) + 1)
    away = (taps - centres[:, None]) / wide
    weights = function(away)
    if wide > 1:
        weights = _balanced(weights, away)
    rows = np.broadcast_to(np.arange(new)[:, None], taps.shape)
    entries = (rows.ravel(), taps.clip(0, size - 1).ravel())
    return sparse.csr_array((weights.ravel().astype(np.float32), entries), shape=(new, size))


def _balanced(weights: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Rows of sum one and mean distance zero, so that a ramp stays what it is.

    A kernel that was made wider by no whole number has neither, quite.
    """
    least = _linear(away)
    zeroth, first, second = ((least * away**power).sum(1) for power in range(3))
    lacking, tilt = 1 - weights.sum(1), -(weights * away).sum(1)
    determinant = zeroth * second - first**2
    level = (lacking * second - tilt * first) / determinant
    slope = (tilt * zeroth - lacking * first) / determinant
    return weights + (level[:, None] + slope[:, None] * away) * least


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _linear(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0.0)


def _nearest(x: np.ndarray) -> np.ndarray:
    # Half open, so that a centre between two voxels takes one of them.
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


_KERNELS = {"cubic": (2.0, _cubic), "linear": (1.0, _linear), "nearest": (0.5, _nearest)}


def _channel(array: np.ndarray, weights: list[sparse.csr_array]) -> np.ndarray:
    low, high = np.float32(array.min()), np.float32(array.max())
    x, y, z = (w.shape[0] for w in weights)
    flat = np.ascontiguousarray(array, np.float32).reshape(array.shape[0], -1)
    slabs = (weights[0] @ flat).reshape(x, *array.shape[1:])
    out = np.empty((x, y, z), np.float32)
    for slab, into in zip(slabs, out, strict=True):
        into[...] = (weights[2] @ np.ascontiguousarray((weights[1] @ slab).T)).T
    return np.clip(out, low, high, out=out)

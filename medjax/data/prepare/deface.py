"""Taking the face off a head scan: found by the shape of the head, whatever the contrast.

The outline of the head is fitted to an average one by rotation, translation and a scale
along each axis, and what lies in front of and below a plane in the average head is set to
the background. The plane touches the brains of all the heads that the average is of, a
margin off, so that no brain is cut (the idea of Quickshear: Schimke & Hale 2011, IEEE
Healthcare Informatics, which finds the plane by a mask of the subject's own brain; here
the outline finds it). The average head comes from label maps of twelve people;
``experiments/deface`` makes and tests it, leaving each of them out in turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from medjax.core.errors import InputError
from medjax.data.geometry import to_ras
from medjax.data.image import Image

GRID = 4.0
"""Millimetres from voxel to voxel of the average head."""
WORST = 6.0
"""Median distance in millimetres of the outlines beyond which a fit is no fit."""

_FAR = 30.0  # mm: distances count no further, as necks and shoulders differ
_BELOW = 150.0  # mm below the crown: the part of the outline that is fitted
_PITCHES = (-0.35, 0.0, 0.35)  # radians to start from: chins up and down
_POINTS = 4000
_SIZES = 1.4  # times as large, or as small, as the average: no head is


class Head(NamedTuple):
    """The average head.

    Attributes:
        distance: float32 ``(x, y, z)`` on RAS axes, `GRID` apart: millimetres to the
            outline, negative inside.
        crown: ``(3,)``, millimetres: above the middle of the head, at its top.
        normal: ``(3,)``: unit vector to the front and below.
        offset: the plane is ``normal @ p = offset``, in millimetres.
    """

    distance: np.ndarray
    crown: np.ndarray
    normal: np.ndarray
    offset: float


def deface(image: Image, head: Head | None = None) -> Image:
    """The image without the face: eyes, nose and mouth become background.

    Args:
        image: of a whole head, most of its crown in view, on any grid; MR, or CT
            without a headrest that touches the head.
        head: the average; by default the one that comes with the package.

    Returns:
        The image with the face at the image's lowest value; nothing else is changed.

    Raises:
        InputError: where no outline of a head is found, or it does not fit: then the
            face may still be there, and nothing is returned that could pass for
            defaced.
    """
    if image.ndim != 3:
        raise InputError("image", "a volume of a head", f"shape {image.array.shape}")
    head = head or average_head()
    first = image.array[..., 0] if image.channels else image.array
    ras, undo = to_ras(image.replace(array=first, channels=()))
    mask, affine = outline(ras)
    matrix, shift, residual = fit(mask, affine, head)
    sizes = np.linalg.svd(matrix, compute_uv=False)
    if residual > WORST or not 1 / _SIZES < sizes.min() <= sizes.max() < _SIZES:
        expected = f"a head, whose outline lies within {WORST:g} mm of the average one"
        got = f"{residual:.0f} mm, at {sizes.min():.2f} to {sizes.max():.2f} times its size"
        raise InputError("image", expected, got)
    # normal @ (matrix @ p + shift) > offset, for the millimetres p of each voxel.
    normal = head.normal @ matrix @ ras.affine[:3, :3]
    constant = head.normal @ (matrix @ ras.affine[:3, 3] + shift) - head.offset
    x, y, z = (n * np.arange(size) for n, size in zip(normal, ras.array.shape, strict=True))
    face = undo(x[:, None, None] + y[None, :, None] + z[None, None, :] > -constant)
    array = image.array.copy()
    array[face] = image.array.min()
    return image.replace(array=array, provenance={**image.provenance, "defaced": "yes"})


def average_head() -> Head:
    """The average head that comes with the package."""
    with np.load(Path(__file__).with_name("head.npz"), allow_pickle=False) as stored:
        return Head(
            stored["distance"].astype(np.float32) / 4,
            stored["crown"],
            stored["normal"],
            float(stored["offset"]),
        )


def outline(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """What is head and what is air, about `GRID` apart.

    Args:
        image: real ``(x, y, z)`` on RAS axes.

    Returns:
        bool ``(x, y, z)`` and its affine.

    Raises:
        InputError: for an image without anything that stands out.
    """
    factors = [max(1, round(GRID / s)) for s in image.spacing]
    small = image.array.astype(np.float32)
    affine = image.affine.copy()
    for axis, factor in enumerate(factors):
        count = small.shape[axis] // factor
        small = np.moveaxis(np.moveaxis(small, axis, 0)[: count * factor], 0, axis)
        shape = (*small.shape[:axis], count, factor, *small.shape[axis + 1 :])
        small = small.reshape(shape).mean(axis + 1)
        affine[:3, 3] += image.affine[:3, axis] * (factor - 1) / 2
        affine[:3, axis] *= factor
    low, high = np.percentile(small, (2, 98))
    if min(small.shape) < 8 or not high > low:
        raise InputError("image", "a head in air", "an image of one value")
    smooth = ndimage.gaussian_filter(np.clip(small, low, high), 0.5)
    mask = smooth > low + 0.5 * (_otsu(smooth) - low)
    mask = ndimage.binary_closing(np.pad(mask, 3), iterations=2)[3:-3, 3:-3, 3:-3]
    for axis in range(3):  # slice by slice: airways open to where the scan ends
        for i in range(mask.shape[axis]):
            plane = (slice(None),) * axis + (i,)
            mask[plane] = ndimage.binary_fill_holes(mask[plane])
    mask = ndimage.binary_opening(mask, iterations=1)
    parts, count = ndimage.label(mask)
    if count == 0:
        raise InputError("image", "a head in air", "nothing that stands out")
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]), affine


def fit(mask: np.ndarray, affine: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit an outline to the average head's.

    Args:
        mask: as `outline` gives it, and its affine.
        affine: ``(4, 4)``.
        head: the average.

    Returns:
        ``(3, 3)`` matrix and ``(3,)`` shift, from the scan's millimetres to the average
        head's, and the median distance of the outlines in millimetres.
    """
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1, 1:-1] = True  # where the scan ends, the head does not
    surface = np.argwhere(mask & ~ndimage.binary_erosion(mask) & inner)
    if len(surface) < 500:
        raise InputError("image", "a head in air", "an outline too small for one")
    points = surface @ affine[:3, :3].T + affine[:3, 3]
    top = np.percentile(points[:, 2], 99.5)
    points = points[points[:, 2] > top - _BELOW]
    points = points[:: max(1, len(points) // _POINTS)]
    upper = points[points[:, 2] > top - 80]
    crown = np.append((upper[:, :2].min(0) + upper[:, :2].max(0)) / 2, top)
    base = points - crown

    def placed(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix = Rotation.from_rotvec(p[:3]).as_matrix() * np.exp(p[6:])
        return matrix, head.crown + 100 * p[3:6]

    def distances(p: np.ndarray) -> np.ndarray:
        matrix, shift = placed(p)
        where = (base @ matrix.T + shift).T / GRID
        found = ndimage.map_coordinates(head.distance, where, order=1, mode="nearest")
        return np.clip(found, -_FAR, _FAR)

    def cost(p: np.ndarray) -> np.ndarray:
        # Heads differ by a tenth in size and are seldom far from upright: worth a few mm.
        prior = np.sqrt(len(base)) * np.concatenate([p[:3] / 0.5, 0 * p[3:6], p[6:] / 0.1])
        return np.concatenate([distances(p) / 4, 0.3 * prior])

    best = None
    for pitch in _PITCHES:
        start = np.zeros(9)
        start[0] = pitch
        found = optimize.least_squares(cost, start, loss="soft_l1", diff_step=1e-3, max_nfev=40)
        if best is None or found.cost < best.cost:
            best = found
    matrix, shift = placed(best.x)
    return matrix, shift - matrix @ crown, float(np.median(np.abs(distances(best.x))))


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts a histogram best (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    total = np.cumsum(counts * middles)
    gap = total[:-1] / np.maximum(below, 1) - (total[-1] - total[:-1]) / np.maximum(above, 1)
    return float(middles[np.argmax(below * above * gap**2)])

"""A case's files as one image and one label map on one grid, turned to RAS."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.formats import read_image
from medjax.data.geometry import to_ras
from medjax.data.image import Image

from .manifest import number
from .resample import labels_onto

SCANNER = (
    "manufacturer",
    "model",
    "body_part",
    "kernel",
    "field_strength",
    "echo_time",
    "repetition_time",
    "inversion_time",
    "flip_angle",
    "kvp",
    "slice_thickness",
    "tilt",
)
"""What of a header may enter a store; all else, whatever a format tells, stays outside."""

_CUBE = 32
_APART = 0.05
"""Voxels (of the shortest edge) that corners of two grids may lie apart and be one: what
headers in single precision and rounded positions differ by."""


def read_case(
    case: Case, channels: Sequence[str] = (), resample_labels: bool = False
) -> tuple[Image | None, Image | None, dict[str, Any]]:
    """A case's image and label on one RAS grid, and the geometry that they had.

    Args:
        case: its files.
        channels: which to read, in this order; all where empty.
        resample_labels: put a label on its image's grid, where its own is another.

    Raises:
        InputError: for channels or a label on another grid than the first channel's, and
            for labels that are not whole numbers.
    """
    names = tuple(channels) or tuple(case.images)
    parts, image, source = [], None, {}
    for name in names if case.images else ():
        path = case.images[name]
        read = read_image(path)
        turned = upright(read)
        source = source or _geometry(read)
        if parts and not same_grid(turned, parts[0][1]):
            expected = f"the grid of {case.images[names[0]].name}"
            raise InputError(path, expected, _other(turned, parts[0][1]))
        parts.append((name, turned))
    if parts:
        image = joined(parts)
    if case.label is None:
        return image, None, source
    read = read_image(case.label)
    label = upright(whole(case, read))
    source = source or _geometry(read)
    if image is not None and not same_grid(label, image):
        if not resample_labels:
            expected = "the grid of its image (or --resample-labels True)"
            raise InputError(case.label, expected, _other(label, image))
        label = labels_onto(label, image.array.shape[:3], image.affine)
    return image, label.replace(affine=label.affine if image is None else image.affine), source


def upright(image: Image) -> Image:
    """A volume on RAS axes; a flat picture, which has none, with a third axis of length one."""
    turned = to_ras(image)[0] if image.ndim == 3 else image.replace(array=image.array[:, :, None])
    return turned.replace(array=contiguous(turned.array))


def contiguous(array: np.ndarray) -> np.ndarray:
    """The array in memory in the order of its axes, as each step after goes through it.

    In cubes, since files have x fastest: row by row, sizes such as 256 keep a processor's
    cache from ever being hit.
    """
    if array.flags.c_contiguous:
        return array
    out = np.empty(array.shape, array.dtype)
    for place in itertools.product(*(range(0, n, _CUBE) for n in array.shape[:3])):
        cube = tuple(slice(start, start + _CUBE) for start in place)
        out[cube] = array[cube].copy(order="K")
    return out


def joined(parts: Sequence[tuple[str, Image]]) -> Image:
    """Channels of one image: those of each part, named after it where there are several."""
    if len(parts) == 1:
        return parts[0][1]
    arrays, names = [], []
    for name, part in parts:
        arrays.append(part.array if part.channels else part.array[..., None])
        names += [f"{name}/{channel}" for channel in part.channels] or [name]
    modalities = {part.modality for _, part in parts}
    return parts[0][1].replace(
        array=np.concatenate(arrays, -1),
        channels=tuple(names),
        modality=modalities.pop() if len(modalities) == 1 else "",
        interval=None,
    )


def same_grid(one: Image, other: Image) -> bool:
    """Whether two images have one shape in space and corners at the same places."""
    shape = one.array.shape[:3]
    if shape != other.array.shape[:3]:
        return False
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], [1], indexing="ij"))
    apart = (one.affine - other.affine)[:3] @ corners.reshape(4, -1)
    return float(np.linalg.norm(apart, axis=0).max()) <= _APART * min(other.spacing)


def whole(case: Case, label: Image) -> Image:
    """A label map, of integers.

    Raises:
        InputError: for channels, fractions, or numbers below 0 or beyond 31 bits.
    """
    array = label.array
    if label.channels:
        raise InputError(case.label, "labels on axes in space", f"shape {array.shape}")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise InputError(case.label, "whole numbers as labels", "fractions")
    low, high = array.min(), array.max()
    if low < 0 or high >= 2**31:
        raise InputError(case.label, "labels of 0 and more", f"{low:g} to {high:g}")
    if array.dtype.kind == "f":
        array = array.astype(np.int32)
    return label.replace(array=array)


def _geometry(image: Image) -> dict[str, Any]:
    """A source's grid and what else is kept of its header."""
    known: dict[str, Any] = {
        "shape": list(image.array.shape[: image.ndim]),
        "affine": image.affine.tolist(),
        "spacing": list(image.spacing),
        "dtype": str(image.array.dtype),
    }
    if image.interval is not None:
        known["interval"] = image.interval
    known["scanner"] = {k: number(v) for k, v in image.provenance.items() if k in SCANNER}
    return known


def _other(one: Image, other: Image) -> str:
    here, there = one.array.shape[:3], other.array.shape[:3]
    if here != there:
        return f"shape {here} instead of {there} on RAS axes"
    return "another position or spacing"

"""Back from a prepared case to the scan that it was made of, by its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.data.geometry import to_ras
from medjax.data.image import Image

from .resample import onto_image, onto_labels


def to_source_grid(array: np.ndarray, record: Mapping[str, Any], *, labels: bool) -> Image:
    """An array on a prepared case's grid, such as a prediction, on its scan's own grid.

    Args:
        array: of the prepared case's shape, and one further axis, if any.
        record: of the case.
        labels: take the nearest voxel, so that no new value comes up; else interpolate
            linearly, as float32.

    Returns:
        The image on the scan's axes; 0 where the case had been cropped.

    Raises:
        InputError: for an array of another shape.
    """
    shape, affine = tuple(record["source"]["shape"]), np.asarray(record["source"]["affine"])
    prepared = tuple(record["shape"])
    if array.shape[: len(prepared)] != prepared:
        raise InputError("array", f"the prepared shape {prepared}", array.shape)
    rest = array.shape[len(prepared) :]
    array = array.reshape(*(*prepared, 1)[:3], *rest)
    nothing = np.broadcast_to(np.zeros((), array.dtype), shape)
    turned, turn_back = to_ras(Image(nothing, affine)) if len(shape) == 3 else (None, None)
    full = turned.array.shape if turned else (*shape, 1)
    box = [slice(*ends) for ends in record.get("crop", [(0, n) for n in full])]
    if "steps" in record:
        inner = tuple(s.stop - s.start for s in box)
        steps = tuple(1 / step for step in record["steps"])
        if labels:
            array = onto_labels(array, inner, steps)
        else:
            array = onto_image(array, inner, steps, ["linear"] * 3)
    out = np.zeros((*full, *rest), array.dtype)
    out[tuple(box)] = array
    out = turn_back(out) if turn_back else out[:, :, 0]
    return Image(out, affine, tuple(str(i) for i in range(sum(rest))))


def to_source_intensity(array: np.ndarray, record: Mapping[str, Any]) -> np.ndarray:
    """Intensities of a prepared case on its scan's scale, save what was clipped.

    Args:
        array: of the prepared case, its channels last where there are several.
        record: of the case; one that was not normalised, or by no formula that can be
            undone (a histogram), gives `InputError` or the array as it is.
    """
    numbers = record.get("intensity", [])
    if not numbers:
        return array
    if any("scale" not in channel for channel in numbers):
        raise InputError("record", "a normalisation by shift and scale", "a histogram's")
    scale, shift = (np.asarray([c[k] for c in numbers], np.float32) for k in ("scale", "shift"))
    if array.ndim == 3:
        return array * scale[0] + shift[0]
    return array * scale + shift

"""How cases become samples.

A sample is a dict of NumPy arrays. What all readers share:

- ``classes``: float32, one number for each of the card's classes, as the owners gave
  it (0 and 1; -1 where they say "uncertain"), NaN where they say nothing;
- ``boxes``: float32 ``(box, number)``, what each number is says the card.

Volumes are ``(x, y, z)`` as in their files, and ``affine`` says where; flat pictures are
``(y, x)``, rows downwards. A label keeps its owners' values, and is -1 throughout where
the owners keep it to themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.formats import read_header, read_image
from medjax.data.image import Image

from .definition import Card, Sample


class Volumes:
    """One sample a case: ``image`` float32 ``(x, y, z, channel)``, ``label`` int16
    ``(x, y, z)`` and ``affine`` float32 ``(4, 4)``, from voxels to RAS+ millimetres.

    Image and label are taken to be on one grid, voxel by voxel, as every layout here has
    it; where their shapes differ the case is refused.
    """

    def count(self, case: Case) -> int:
        return 1

    def read(self, case: Case, card: Card) -> Sequence[Sample]:
        images = [self._image(path) for path in case.images.values()]
        label = None if case.label is None else self._label(case)
        grids = [*images, *([] if label is None else [label])]
        shapes = {grid.array.shape[:3] for grid in grids}
        if len(shapes) > 1:
            raise InputError(case.id, "images and label of one shape", sorted(shapes))
        sample = {"affine": grids[0].affine.astype(np.float32)}
        if card.channels:
            arrays = [i.array if i.channels else i.array[..., None] for i in images]
            image = np.concatenate([a.astype(np.float32, copy=False) for a in arrays], -1)
            if image.shape[-1] != len(card.channels):
                wanted = f"{len(card.channels)} channels: {', '.join(card.channels)}"
                raise InputError(case.id, wanted, image.shape[-1])
            sample["image"] = image
        if card.labels:
            shape = grids[0].array.shape[:3]
            sample["label"] = np.full(shape, -1, np.int16) if label is None else label.array
        return [sample | annotations(case, card)]

    def _image(self, path: Path) -> Image:
        image = read_image(path)
        if image.ndim != 3:
            raise InputError(path, "a volume", f"shape {image.array.shape}")
        return image

    def _label(self, case: Case) -> Image:
        image = self._image(case.label)
        return image.replace(array=whole(case.label, image.array))


class SeriesWithPictures(Volumes):
    """`Volumes` whose label is a folder of pictures, one for each DICOM file of the series.

    Pictures and DICOM files go together in the order of their names; where in the volume
    a slice lies, its DICOM header says.
    """

    def _label(self, case: Case) -> Image:
        series = next(iter(case.images.values()))
        slices = sorted(p for p in series.iterdir() if p.suffix.lower() == ".dcm")
        pictures = sorted(case.label.glob("*.png"))
        if len(slices) != len(pictures):
            raise InputError(case.label, f"{len(slices)} pictures, one a slice", len(pictures))
        header = read_header(series)
        label = np.full(header.shape[:3], -1, np.int16)
        to_voxel = np.linalg.inv(header.affine)
        for one, picture in zip(slices, pictures, strict=True):
            z = round(float((to_voxel @ read_header(one).affine[:, 3])[2]))
            plane = whole(picture, read_image(picture).array)
            if plane.shape != label.shape[:2] or not 0 <= z < label.shape[2]:
                wanted = f"a slice of {label.shape}"
                raise InputError(picture, wanted, f"shape {plane.shape} at place {z}")
            label[..., z] = plane
        return Image(label, header.affine)


class Pictures:
    """One sample a case: ``image`` ``(y, x, channel)`` in its file's dtype, grey or RGB
    as the card says, and ``label`` int16 ``(y, x)``.

    Args:
        offset: taken off what the file holds, where that is not zero; then int16.
    """

    def __init__(self, offset: int = 0):
        self.offset = offset

    def count(self, case: Case) -> int:
        return 1

    def read(self, case: Case, card: Card) -> Sequence[Sample]:
        (path,) = case.images.values()
        image = _upright(read_image(path).array)
        image = image if image.ndim == 3 else image[..., None]
        if image.shape[-1] < len(card.channels):
            wanted = f"a picture with {', '.join(card.channels)}"
            raise InputError(path, wanted, f"{image.shape[-1]} channels")
        # Grey pictures are at times stored as equal colours, and some have transparency.
        image = image[..., : len(card.channels)]
        if self.offset:
            image = (image.astype(np.int32) - self.offset).astype(np.int16)
        sample = {"image": image}
        if card.labels:
            sample["label"] = np.full(image.shape[:2], -1, np.int16)
            if case.label is not None:
                sample["label"] = whole(case.label, _upright(read_image(case.label).array))
            if sample["label"].shape != image.shape[:2]:
                got = sample["label"].shape
                raise InputError(case.label, f"a mask of shape {image.shape[:2]}", got)
        return [sample | annotations(case, card)]


def annotations(case: Case, card: Card) -> Sample:
    """``classes`` and ``boxes``, where the card has them."""
    found = {}
    if card.classes:
        values = [case.attributes.get(name, math.nan) for name in card.classes]
        found["classes"] = np.asarray(values, np.float32)
    if card.box:
        found["boxes"] = np.asarray(case.boxes, np.float32).reshape(-1, len(card.box))
    return found


def _upright(array: np.ndarray) -> np.ndarray:
    """A picture's ``(x, y)`` as ``(y, x)``."""
    return np.ascontiguousarray(np.swapaxes(array, 0, 1))


def whole(path: Path, array: np.ndarray) -> np.ndarray:
    """Labels as int16; some owners store them as floats."""
    with np.errstate(invalid="ignore"):
        labels = array.astype(np.int16)
    if not (labels == array).all():
        raise InputError(path, "labels that are whole numbers of 16 bits", "others")
    return labels

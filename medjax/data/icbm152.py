"""The ICBM 152 2009a nonlinear symmetric template: a head that everyone may have.

The average of 152 adults' T1 images and its tissue probabilities at 1 mm, of the
brain alone (Fonov et al. 2009, NeuroImage 47:S102; 2011, NeuroImage 54:313-327).
nilearn's package carries the files; they are read where they are, and nilearn
itself is not imported. It is one volume of one average subject: right for tests
and demonstrations, and for no claim about patients.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError, MissingExtraError

from .formats import nifti
from .host import box_average
from .image import Image
from .sources import VolumeSlices
from .splits import Splits, slabs

CONTRASTS = ("t1", "gm", "wm")

AXIAL = range(12, 149)
"""Axial slices with more than 22 cm² of brain (T1 above 0.1), by index along z."""


def path(contrast: str = "t1") -> Path:
    """The file of one contrast.

    Raises:
        InputError: for an unknown contrast.
        MissingExtraError: where nilearn is not installed.
    """
    if contrast not in CONTRASTS:
        raise InputError("contrast", f"one of {', '.join(CONTRASTS)}", repr(contrast))
    found = importlib.util.find_spec("nilearn")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("nilearn", "demo", "the ICBM 152 template")
    name = f"mni_icbm152_{contrast}_tal_nlin_sym_09a_converted.nii.gz"
    return Path(found.submodule_search_locations[0]) / "datasets" / "data" / name


def load(contrast: str = "t1") -> Image:
    """One contrast on its grid, ``(197, 233, 189)`` voxels of 1 mm on RAS axes.

    Args:
        contrast: ``t1``, or ``gm`` or ``wm``, the probability of grey or white matter.

    Returns:
        float32 in 0 to 1 (the files hold 0 to 255) and the affine.

    Raises:
        InputError: for an unknown contrast.
        MissingExtraError: where nilearn is not installed.
    """
    image = nifti.read(path(contrast))
    return image.replace(array=image.array.astype(np.float32) / np.float32(255))


def slices(*, shape: tuple[int, int] = (112, 96), spacing_mm: int = 2) -> VolumeSlices:
    """Axial T1 slices of the ICBM 152 template that contain brain.

    Sample i is slice ``AXIAL[i]`` of the template, z = i - 60 mm in its space.
    Neighbours are 1 mm apart: a split needs a gap (`splits`).

    Args:
        shape: ``(y, x)``. The default holds the whole brain at 2 mm.
        spacing_mm: size of a pixel; blocks of 1 mm are averaged.

    Raises:
        InputError: for a spacing below 1.
        MissingExtraError: where nilearn is not installed.
    """
    if spacing_mm < 1:
        raise InputError("spacing_mm", "a whole number of millimetres, at least 1", spacing_mm)
    volume = load().array[:, :, AXIAL.start : AXIAL.stop]
    averaged = box_average(volume, spacing_mm, axes=(0, 1))
    return VolumeSlices(averaged, axis="axial", shape=shape, group="icbm152")


def splits(*, shape: tuple[int, int] = (112, 96), spacing_mm: int = 2) -> Splits:
    """Slabs of `slices`: 16 to validate, 16 to test, 5 mm to the next slice of another side."""
    source = slices(shape=shape, spacing_mm=spacing_mm)
    return slabs(source, validation=(36, 52), test=(80, 96), gap=5)

"""An image and where it is: what every format is read to and written from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from medjax.core.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Header:
    """What is known of an image before its voxels are read.

    Attributes:
        shape: of the array.
        dtype: of the array.
        affine: ``(4, 4)`` float64, from voxel indices to millimetres, RAS+.
        channels: names along the last axis; empty where all axes are in space.
        modality: such as "MR" or "CT" (DICOM's terms); "" where the file does not say.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    affine: np.ndarray
    channels: tuple[str, ...] = ()
    modality: str = ""

    @property
    def ndim(self) -> int:
        """Axes in space."""
        return len(self.shape) - bool(self.channels)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres from voxel to voxel along each axis in space."""
        return spacing(self.affine, self.ndim)


@dataclasses.dataclass(frozen=True, eq=False)
class Image:
    """Voxels and where they are.

    A flat picture (PNG, TIFF) has x to the right and y downwards, and millimetres in
    its own plane: where a patient's right is, such a file does not say.

    Attributes:
        array: ``(x, y)`` or ``(x, y, z)``, and one more axis where there are channels.
        affine: ``(4, 4)`` float64, from voxel indices to millimetres, RAS+.
        channels: names along the last axis (colours, contrasts, times); empty where
            all axes are in space.
        modality: such as "MR" or "CT" (DICOM's terms); "" where the file does not say.
        interval: seconds between the entries of the last axis, where they are times.
        provenance: what is known of how the image came to be, by name; nothing of a
            person.

    Raises:
        InputError: for an array and channels that do not fit, or an affine of another
            shape.
    """

    array: np.ndarray
    affine: np.ndarray
    channels: tuple[str, ...] = ()
    modality: str = ""
    interval: float | None = None
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.ndim not in (2, 3):
            raise InputError("array", "two or three axes in space", f"shape {self.array.shape}")
        if self.channels and len(self.channels) != self.array.shape[-1]:
            got = f"{len(self.channels)} for shape {self.array.shape}"
            raise InputError("channels", "a name for each entry of the last axis", got)
        if self.affine.shape != (4, 4):
            raise InputError("affine", "shape (4, 4)", self.affine.shape)

    @property
    def ndim(self) -> int:
        """Axes in space."""
        return self.array.ndim - bool(self.channels)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres from voxel to voxel along each axis in space."""
        return spacing(self.affine, self.ndim)

    def replace(self, **changes: object) -> Image:
        """The image with some of its attributes changed."""
        return dataclasses.replace(self, **changes)


def spacing(affine: np.ndarray, ndim: int = 3) -> tuple[float, ...]:
    """Lengths of an affine's columns."""
    return tuple(float(n) for n in np.linalg.norm(affine[:3, :ndim], axis=0))

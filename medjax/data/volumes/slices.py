"""Slices of volumes, alone or with their neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.data.sources import AXES, Sample
from medjax.data.store import CaseRecord, Store

from .base import FromStore, centred, numbered, require_place, require_size


class Slices(FromStore):
    """Slices along any axis, oriented as all of `medjax.data.sources`.

    Samples are ``{"image": float32 (y, x, channel), "label": (y, x), "index"}``, where y
    and x are the second and the first of the two axes that the slice keeps. With
    neighbours (2.5D) the channels of the slices come one after the other, from
    ``-neighbours`` to ``+neighbours``; at the ends of the volume its last slice again.
    The store's axes must run to the right, front and top, as a prepared one's do. A slice
    costs a slab of chunks; for many slices give the store a cache.

    Args:
        store: as `FromStore`, of volumes.
        axis: the plane, "sagittal", "coronal" or "axial".
        shape: ``(y, x)`` of the slices, cropped or padded about the centre; None takes
            them as they are.
        neighbours: slices on each side.
        foreground: take only slices that have a label.
        **entries: as `FromStore`.

    Raises:
        InputError: as `FromStore`, for another plane, no slices at all, and naming the
            case, for axes that run elsewhere, or a shape other than the first case's
            where no ``shape`` is given.
    """

    def __init__(
        self,
        store: Store | str | Path,
        *,
        axis: str = "axial",
        shape: tuple[int, int] | None = None,
        neighbours: int = 0,
        foreground: bool = False,
        **entries: Any,
    ):
        super().__init__(store, **entries)
        if axis not in AXES:
            raise InputError("axis", f"one of {', '.join(AXES)}", repr(axis))
        if neighbours < 0:
            raise InputError("neighbours", "a number of at least 0", neighbours)
        if foreground and self.label is None:
            raise InputError("foreground", "a label to tell it", "label=None")
        if self.ndim != 3:
            raise InputError(self.store.path, "volumes", f"images of {self.ndim} axes")
        self.axis, self.neighbours = AXES.index(axis), neighbours
        self.planes = tuple(a for a in range(3) if a != self.axis)
        for case in self.cases:
            _require_ras(self.name(case), case.entries[self.image].affine)
        if shape is None:
            self._require_one_plane()
        self.size = None if shape is None else require_size("shape", shape, 2)
        slices = [self._slices(case, foreground) for case in self.cases]
        self._numbers = np.concatenate(slices)
        self._ends = np.cumsum([len(s) for s in slices])
        if not len(self):
            raise InputError(self.store.path, "slices with a label", "none")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def place(self, index: int) -> tuple[int, int]:
        return int(np.searchsorted(self._ends, index, side="right")), int(self._numbers[index])

    def __getitem__(self, index: int) -> Sample:
        require_place(self, index)
        number, middle = self.place(index)
        case = self.cases[number]
        shape = self.shape(case)
        last = shape[self.axis] - 1
        wanted = np.clip(np.arange(-self.neighbours, self.neighbours + 1) + middle, 0, last)
        first, size = int(wanted[0]), list(shape)
        if self.size is not None:
            # Of the planes' axes a < b, x of the slice runs along a and y along b.
            for a, n in zip(self.planes, self.size[::-1], strict=True):
                size[a] = n
        start = list(centred(shape, size))
        start[self.axis], size[self.axis] = first, int(wanted[-1]) - first + 1
        sample = self.take(case, start, size)
        # From (x, y, z, channel) to (slice, x, y, channel), and then to (y, x, all channels).
        slices = np.moveaxis(sample["image"], self.axis, 0)[wanted - first]
        image = slices.transpose(2, 1, 0, 3).reshape(*slices.shape[2:0:-1], -1)
        made = {"image": np.ascontiguousarray(image)}
        if self.label is not None:
            label = sample["label"].take(middle - first, self.axis).T
            made["label"] = np.ascontiguousarray(label)
        return numbered(made, index)

    def _slices(self, case: CaseRecord, foreground: bool) -> np.ndarray:
        if not foreground:
            return np.arange(self.shape(case)[self.axis])
        runs = case.entries[self.label].runs[self.axis]
        return np.concatenate([np.arange(0), *(np.arange(a, b) for a, b in runs)])

    def _require_one_plane(self) -> None:
        first = self.shape(self.cases[0])
        for case in self.cases:
            shape = self.shape(case)
            if any(shape[a] != first[a] for a in self.planes):
                expected = f"slices of the first case's shape in {first} (give a shape)"
                raise InputError(self.name(case), expected, shape)


def _require_ras(what: str, affine: np.ndarray) -> None:
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    nearest = np.abs(directions).argmax(axis=0).tolist()
    if nearest != [0, 1, 2] or not (np.diag(directions) > 0).all():
        raise InputError(what, "axes to the right, front and top (reorient it)", "others")

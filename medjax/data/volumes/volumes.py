"""Whole volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medjax.data.sources import Sample
from medjax.data.store import Store

from .base import FromStore, centred, numbered, require_place, require_size


class Volumes(FromStore):
    """The cases of a store, each a sample.

    Samples are ``{"image": float32 (x, y, z, channel), "label": (x, y, z), "index"}``,
    without z for a store of 2D images.

    Args:
        store: as `FromStore`.
        shape: crop and pad to this shape in space; the centre ``n // 2`` stays the centre.
            None takes cases as they are.
        mixed: allow cases of several shapes, which only form batches of one.
        **entries: as `FromStore`.

    Raises:
        InputError: as `FromStore`, and naming a case of another shape than the first,
            where neither ``shape`` nor ``mixed`` is given.
    """

    def __init__(
        self,
        store: Store | str | Path,
        shape: Sequence[int] | None = None,
        *,
        mixed: bool = False,
        **entries: Any,
    ):
        super().__init__(store, **entries)
        self.size = None if shape is None else require_size("shape", shape, self.ndim)
        if shape is None and not mixed:
            self.same_shape("give a shape to crop and pad to, or mixed=True for batches of one")

    def __getitem__(self, index: int) -> Sample:
        require_place(self, index)
        case = self.cases[index]
        shape = self.shape(case)
        size = self.size or shape
        return numbered(self.take(case, centred(shape, size), size), index)

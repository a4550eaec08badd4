"""Patches of volumes: at random to train, on a grid to evaluate."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.core.random import generator
from medjax.data.sources import Sample
from medjax.data.store import CaseRecord, Store

from .base import FromStore, centred, numbered, require_place, require_size


class Patches(FromStore):
    """Random patches, some of which are drawn to hold foreground.

    With the probability ``foreground``, a label is drawn among the case's own, all alike,
    then one of its voxels, and the patch is centred there as far as the borders let it;
    else it lies anywhere within the volume. This is nnU-Net's sampling (Isensee et al.
    2021, Nat Methods 18:203-211; supplement), save that there a fixed third of each batch
    holds foreground, and that patches may reach over borders only where the volume is
    smaller than they are. A patch costs the chunks that it meets.

    Samples are ``{"image": float32 (*size, channel), "label": (*size), "index"}``.
    ``draw(index, rng)`` depends on its arguments alone, ``source[index]`` is the one of a
    generator keyed by the index.

    Args:
        store: as `FromStore`.
        size: of a patch along each axis in space; beyond the borders of a smaller volume
            is padding.
        per_volume: samples of each case in an epoch.
        foreground: probability of a patch that holds a drawn voxel of a label. A case
            without labels is drawn from anywhere.
        **entries: as `FromStore`.

    Raises:
        InputError: as `FromStore`, and for other sizes and probabilities.
    """

    def __init__(
        self,
        store: Store | str | Path,
        size: Sequence[int],
        *,
        per_volume: int = 1,
        foreground: float = 0.33,
        **entries: Any,
    ):
        super().__init__(store, **entries)
        self.size = require_size("size", size, self.ndim)
        if per_volume < 1:
            raise InputError("per_volume", "a positive number", per_volume)
        if not 0 <= foreground <= 1:
            raise InputError("foreground", "a probability", foreground)
        self.per_volume, self.foreground = per_volume, foreground

    def __len__(self) -> int:
        return len(self.cases) * self.per_volume

    def place(self, index: int) -> tuple[int, int]:
        return divmod(index, self.per_volume)

    def __getitem__(self, index: int) -> Sample:
        return self.draw(index, generator(0, index))

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """A random patch of the index's case."""
        require_place(self, index)
        case = self.cases[self.place(index)[0]]
        return numbered(self.take(case, self._start(case, rng), self.size), index)

    def _start(self, case: CaseRecord, rng: np.random.Generator) -> tuple[int, ...]:
        shape = self.shape(case)
        # Drawn in any case, so that what is drawn after does not depend on the labels.
        wanted, position = rng.random(), rng.random(len(shape))
        voxel = self._voxel(case, rng) if wanted < self.foreground else None
        starts = []
        for axis, (n, m, middle) in enumerate(
            zip(shape, self.size, centred(shape, self.size), strict=True)
        ):
            if n <= m:
                starts.append(middle)
            elif voxel is None:
                starts.append(int(position[axis] * (n - m + 1)))
            else:
                starts.append(min(max(voxel[axis] - m // 2, 0), n - m))
        return tuple(starts)

    def _voxel(self, case: CaseRecord, rng: np.random.Generator) -> tuple[int, ...] | None:
        if self.label is None:
            return None
        known = case.entries[self.label]
        kept = [(label, n) for label, n in zip(known.counts, known.samples, strict=True) if n]
        if not kept:
            return None
        label, count = kept[rng.integers(len(kept))]
        return self.store.sample(case.id, self.label, label, int(rng.integers(count)))


class GridPatches(FromStore):
    """Patches in a grid that covers every voxel, with where each belongs.

    Along each axis as few equidistant patches as the overlap allows, the first and the
    last flush with the borders; where a volume is smaller than a patch, one about its
    centre.

    Samples are those of `Patches`, and ``case`` int32, which of the cases it is of, and
    ``start`` int32 ``(axes,)``, the voxel at which it begins (negative where padding
    comes first).

    Args:
        store: as `FromStore`.
        size: of a patch along each axis in space.
        overlap: of neighbours, as a part of the patch, at least 0 and below 1.
        **entries: as `FromStore`.

    Raises:
        InputError: as `FromStore`, and for other sizes and overlaps.
    """

    def __init__(
        self,
        store: Store | str | Path,
        size: Sequence[int],
        *,
        overlap: float = 0.5,
        **entries: Any,
    ):
        super().__init__(store, **entries)
        self.size = require_size("size", size, self.ndim)
        if not 0 <= overlap < 1:
            raise InputError("overlap", "a part of at least 0 and below 1", overlap)
        self.overlap = overlap
        counts = [int(np.prod([len(s) for s in self._axes(c)])) for c in self.cases]
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def place(self, index: int) -> tuple[int, int]:
        case = int(np.searchsorted(self._ends, index, side="right"))
        return case, index - (int(self._ends[case - 1]) if case else 0)

    def starts(self, case: CaseRecord) -> list[tuple[int, ...]]:
        """Where the patches of a case begin, in the order of its samples."""
        return list(itertools.product(*self._axes(case)))

    def __getitem__(self, index: int) -> Sample:
        require_place(self, index)
        number, within = self.place(index)
        case = self.cases[number]
        axes = self._axes(case)
        places = np.unravel_index(within, [len(a) for a in axes])
        start = tuple(a[int(p)] for a, p in zip(axes, places, strict=True))
        sample = numbered(self.take(case, start, self.size), index)
        sample["case"] = np.asarray(number, np.int32)
        sample["start"] = np.asarray(start, np.int32)
        return sample

    def _axes(self, case: CaseRecord) -> list[list[int]]:
        shape = self.shape(case)
        axes = []
        for n, m, middle in zip(shape, self.size, centred(shape, self.size), strict=True):
            step = max(1, int(m * (1 - self.overlap)))
            count = 1 + -(-max(n - m, 0) // step)
            axes.append([middle] if n <= m else [i * (n - m) // (count - 1) for i in range(count)])
        return axes

"""What sources of a prepared store share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.sources import Sample
from medjax.data.store import CaseRecord, Store


class FromStore:
    """An image and its label of some cases of a store.

    Args:
        store: a `Store`, or the path of one.
        image: the entry of intensities.
        label: the entry of labels, on the image's grid; None for none.
        padding: what lies beyond the image's border; None for each channel's least value,
            as air would be. Beyond a label's border lies 0.
        cases: numbers or ids of the cases; None for all.

    Raises:
        InputError: for a store without cases, and naming the case, for one that lacks an
            entry, whose label has another shape, or whose image has other channels or
            axes than the first case's.
    """

    def __init__(
        self,
        store: Store | str | Path,
        *,
        image: str = "image",
        label: str | None = "label",
        padding: float | None = None,
        cases: Sequence[int | str] | None = None,
    ):
        self.store = store if isinstance(store, Store) else Store(store)
        self.image, self.label, self.padding = image, label, padding
        chosen = self.store.cases if cases is None else [self.store.case(c) for c in cases]
        if not chosen:
            raise InputError(self.store.path, "at least one case", "none")
        self.cases: tuple[CaseRecord, ...] = tuple(chosen)
        dtypes = set()
        first = self.store.entry(self.cases[0].id, image)
        for case in self.cases:
            known = self.store.entry(case.id, image)
            if (known.ndim, known.channels) != (first.ndim, first.channels):
                expected = f"{first.ndim} axes in space and the first case's channels"
                got = f"{known.ndim} and {len(known.channels)} channels"
                raise InputError(self.name(case), expected, got)
            if label is not None:
                marked = self.store.entry(case.id, label)
                dtypes.add(marked.dtype)
                if marked.kind != "label" or marked.shape != known.spatial:
                    got = f"{marked.kind} of shape {marked.shape}"
                    raise InputError(self.name(case), f"a label of shape {known.spatial}", got)
        self.ndim = first.ndim
        self.dtype = np.result_type(*dtypes) if dtypes else None
        """Of labels: one that holds those of every case."""

    def __len__(self) -> int:
        return len(self.cases)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The subject of each sample."""
        return tuple(self.cases[self.place(i)[0]].subject for i in range(len(self)))

    def place(self, index: int) -> tuple[int, int]:
        """Which of the cases a sample is of, and which of that case's samples it is."""
        return index, 0

    def name(self, case: CaseRecord) -> str:
        """The case in error messages."""
        return f"{self.store.path}: case {case.id}"

    def shape(self, case: CaseRecord) -> tuple[int, ...]:
        """Of a case in space."""
        return case.entries[self.image].spatial

    def same_shape(self, remedy: str) -> tuple[int, ...]:
        """The shape of all cases.

        Raises:
            InputError: naming the first case of another shape, and the remedy.
        """
        shape = self.shape(self.cases[0])
        for case in self.cases:
            if self.shape(case) != shape:
                expected = f"the first case's shape {shape}, as batches need ({remedy})"
                raise InputError(self.name(case), expected, self.shape(case))
        return shape

    def take(
        self,
        case: CaseRecord,
        start: Sequence[int],
        size: Sequence[int],
        channels: slice | None = None,
    ) -> Sample:
        """A box of a case, which may reach over the borders.

        Args:
            case: one of the cases.
            start: its first voxel.
            size: of the box.
            channels: of the image, where not all are wanted.

        Returns:
            ``image`` float32 ``(*size, channel)`` and, where there is one, ``label``
            ``(*size)`` of ``self.dtype``.
        """
        known = case.entries[self.image]
        fill = self.padding
        if fill is None:
            least = known.statistics["whole"]["min"]
            fill = np.asarray(least[channels or slice(None)], np.float32)
        image = self._box(case, self.image, start, size, fill, channels)
        sample = {"image": image if known.channels else image[..., None]}
        if self.label is not None:
            label = self._box(case, self.label, start, size, 0)
            sample["label"] = label.astype(self.dtype, copy=False)
        return sample

    def _box(
        self,
        case: CaseRecord,
        entry: str,
        start: Sequence[int],
        size: Sequence[int],
        fill: float | np.ndarray,
        channels: slice | None = None,
    ) -> np.ndarray:
        known = case.entries[entry]
        low = [max(s, 0) for s in start]
        high = [min(s + n, m) for s, n, m in zip(start, size, known.spatial, strict=True)]
        region = (*map(slice, low, high), *([] if channels is None else [channels]))
        inside = self.store.read(case.id, entry, region)
        if inside.shape[: known.ndim] == tuple(size):
            return inside
        out = np.empty((*size, *inside.shape[known.ndim :]), inside.dtype)
        out[...] = fill if known.channels or np.ndim(fill) == 0 else fill[0]
        ends = zip(low, high, start, strict=True)
        out[tuple(slice(a - s, b - s) for a, b, s in ends)] = inside
        return out


def require_place(source: FromStore, index: int) -> None:
    """Raise IndexError for a sample that is not there."""
    if not 0 <= index < len(source):
        raise IndexError(f"sample {index} of {len(source)}")


def require_size(name: str, size: Sequence[int], axes: int) -> tuple[int, ...]:
    """A size as a tuple; `InputError` for another number of axes, or none that is positive."""
    if len(size) != axes or min(size) < 1:
        raise InputError(name, f"{axes} positive sizes", tuple(size))
    return tuple(int(n) for n in size)


def numbered(sample: Sample, index: int) -> Sample:
    """A sample with its place."""
    return {**sample, "index": np.asarray(index, np.int32)}


def centred(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """Where a box begins whose centre ``n // 2`` is the array's."""
    return tuple(n // 2 - m // 2 for n, m in zip(shape, size, strict=True))

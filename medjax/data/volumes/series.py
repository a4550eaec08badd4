"""Series in time: the frames of one scan, or one subject's scans in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.data.sources import Sample
from medjax.data.store import CaseRecord, Store

from .base import FromStore, centred, numbered, require_place, require_size


class Series(FromStore):
    """``length`` consecutive times, each combination once.

    Where the image's last axis is time (`medjax.data.Image.interval` is set), these are
    frames of one case: ``{"image": float32 (time, x, y, z, 1), "label": (x, y, z),
    "index"}``. Otherwise they are sessions of one subject, in their natural order ("2"
    before "10"): ``{"image": float32 (time, x, y, z, channel), "label": (time, x, y, z),
    "index"}``. Whoever has fewer times is left out.

    Args:
        store: as `FromStore`.
        length: times of a sample.
        shape: crop and pad to this shape in space, about the centre; None takes cases as
            they are.
        **entries: as `FromStore`.

    Raises:
        InputError: as `FromStore`, where nobody has as many times, and naming a case of
            another shape than the first where no ``shape`` is given.
    """

    def __init__(
        self,
        store: Store | str | Path,
        length: int,
        *,
        shape: Sequence[int] | None = None,
        **entries: Any,
    ):
        super().__init__(store, **entries)
        if length < 1:
            raise InputError("length", "a positive number", length)
        self.length = length
        self.size = None if shape is None else require_size("shape", shape, self.ndim)
        if shape is None:
            self.same_shape("give a shape to crop and pad to")
        self.frames = self.cases[0].entries[self.image].interval is not None
        self._windows = self._of_frames() if self.frames else self._of_sessions()
        if not self._windows:
            unit = "frames" if self.frames else "sessions of one subject"
            raise InputError(self.store.path, f"at least {length} {unit}", "fewer everywhere")

    def __len__(self) -> int:
        return len(self._windows)

    def place(self, index: int) -> tuple[int, int]:
        numbers, first = self._windows[index]
        return numbers[0], first

    def __getitem__(self, index: int) -> Sample:
        require_place(self, index)
        numbers, first = self._windows[index]
        frames = slice(first, first + self.length) if self.frames else None
        samples = [self._whole(self.cases[n], frames) for n in numbers]
        if self.frames:
            (sample,) = samples
            image = np.moveaxis(sample["image"], -1, 0)[..., None]
            sample["image"] = np.ascontiguousarray(image)
        else:
            sample = {name: np.stack([s[name] for s in samples]) for name in samples[0]}
        return numbered(sample, index)

    def _whole(self, case: CaseRecord, frames: slice | None) -> Sample:
        shape = self.shape(case)
        size = self.size or shape
        return self.take(case, centred(shape, size), size, frames)

    def _of_frames(self) -> list[tuple[tuple[int, ...], int]]:
        counts = [len(case.entries[self.image].channels) for case in self.cases]
        return [((n,), t) for n, c in enumerate(counts) for t in range(c - self.length + 1)]

    def _of_sessions(self) -> list[tuple[tuple[int, ...], int]]:
        subjects: dict[str, list[int]] = {}
        for number, case in enumerate(self.cases):
            subjects.setdefault(case.subject, []).append(number)
        windows = []
        for numbers in subjects.values():
            numbers.sort(key=lambda n: (_natural(self.cases[n].session), self.cases[n].id))
            for first in range(len(numbers) - self.length + 1):
                windows.append((tuple(numbers[first : first + self.length]), first))
        return windows


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]

"""The samples of a public data set, read where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.host import Recent

from .cards import card
from .definition import Card

FULL = "full"
"""The split of cases that their owners put into none."""


class CaseSource:
    """The samples of some cases, by index.

    What a sample holds is the reader's to say: see ``card.reader``. The sample's place
    is ``index``, int32.

    Args:
        card: whose cases they are.
        cases: in the order wanted.

    Raises:
        InputError: naming the file, for what shows without reading samples; reading one
            raises it for the rest.
    """

    def __init__(self, card: Card, cases: Sequence[Case]):
        self.card, self.cases = card, tuple(cases)
        self.counts = tuple(card.reader.count(case) for case in self.cases)
        self._ends = np.cumsum(self.counts, dtype=np.int64)
        self._read = Recent(self._samples, 1)

    def _samples(self, place: int) -> Sequence[dict[str, np.ndarray]]:
        return self.card.reader.read(self.cases[place], self.card)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.cases else 0

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        place = int(np.searchsorted(self._ends, index, side="right"))
        within = index - int(self._ends[place]) + self.counts[place]
        return {**self._read(place)[within], "index": np.asarray(index, np.int32)}

    @property
    def groups(self) -> tuple[str, ...]:
        """The subject of each sample, by its owners' name for them."""
        pairs = zip(self.cases, self.counts, strict=True)
        return tuple(s for case, count in pairs for s in (case.subject,) * count)

    @property
    def attributes(self) -> tuple[Mapping[str, str | float | int], ...]:
        """What is known of each sample's case: id, session, age, site; not its classes."""
        pairs = zip(self.cases, self.counts, strict=True)
        return tuple(a for case, count in pairs for a in (self._known(case),) * count)

    def _known(self, case: Case) -> dict[str, str | float | int]:
        rest = {k: v for k, v in case.attributes.items() if k not in self.card.classes}
        return {"id": case.id, **({"session": case.session} if case.session else {}), **rest}


def source(name: str, folder: str | Path, split: str | None = None) -> CaseSource:
    """The samples of a public data set, read where it lies.

    Args:
        name: of the card.
        folder: in the layout that the card shows.
        split: one of the owners', `FULL` for cases in none; None for all cases.

    Raises:
        InputError: for an unknown name or split, and as `Card.cases`.
    """
    splits = by_split(card(name).cases(folder))
    if split is None:
        return CaseSource(card(name), [case for cases in splits.values() for case in cases])
    if split not in splits:
        raise InputError("split", f"one of {', '.join(splits)}", repr(split))
    return CaseSource(card(name), splits[split])


def by_split(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Cases by their owners' split, those in none under `FULL`."""
    splits: dict[str, list[Case]] = {}
    for case in cases:
        splits.setdefault(case.split or FULL, []).append(case)
    return splits

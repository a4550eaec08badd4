"""Which sample comes at which place: all that a batch's contents depend on.

A place is a number from 0, over all hosts and workers. Everything about the sample
there follows from (seed, place): which one it is, and the random numbers it is drawn
with. Whoever computes it, and when, makes no difference.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from grain.experimental import index_shuffle

from medjax.core.errors import InputError, MedjaxError
from medjax.core.random import generator

from .host import Recent
from .sources import Sample, Source, drawn

Transform = Callable[[Sample, np.random.Generator], Sample]

_ATTEMPTS = 100  # broken samples in a row, before the source itself is taken to be broken
_ENDLESS = sys.maxsize // 2  # half, as it is rounded up to whole batches
_BLOCK = 1000  # places in which a mixture's weights hold exactly


@dataclass(frozen=True)
class Mixture:
    """Sources to draw from in given proportions, each with epochs of its own.

    In every 1000 places each source has its share, in an order that is new each time.
    Samples get an entry ``part``, int32, the source's number; ``index`` counts on from
    source to source, so that no two samples share one.

    Args:
        sources: any sources whose samples form batches with each other.
        weights: positive; only their ratios matter, to a thousandth of the sum.

    Raises:
        InputError: for other weights, or an empty source.
    """

    sources: Sequence[Source]
    weights: Sequence[float]

    def __post_init__(self):
        if len(self.weights) != len(self.sources) or not self.sources:
            got = f"{len(self.weights)} for {len(self.sources)} sources"
            raise InputError("weights", "one for each source", got)
        if not np.isfinite(self.weights).all() or min(self.weights) <= 0:
            raise InputError("weights", "positive numbers", tuple(self.weights))
        if self.counts.min() < 1:
            raise InputError("weights", "at least a thousandth of their sum", tuple(self.weights))

    @property
    def counts(self) -> np.ndarray:
        """Places of each source in a block: the weights, by largest remainders."""
        exact = np.asarray(self.weights, np.float64) / np.sum(self.weights) * _BLOCK
        counts = np.floor(exact).astype(int)
        counts[np.argsort(counts - exact, kind="stable")[: _BLOCK - counts.sum()]] += 1
        return counts


class Shuffled:
    """Epoch after epoch without end, each in a random order of its own.

    The order is a permutation that is computed place by place (grain's
    ``index_shuffle``, a cipher on the index), so that nothing of the source's size is
    stored. A batch may reach from one epoch into the next.

    Args:
        source: any source.
        seed: of order, drawing and transform, below 2**32.
        transform: ``(sample, rng) -> sample``.
        skip: pass over samples that raise a `MedjaxError`, else raise it.
    """

    def __init__(self, source: Source, *, seed: int, transform: Transform | None, skip: bool):
        _require_samples(source)
        if not 0 <= seed < 2**32:
            raise InputError("seed", "a number in 0 to 2**32 - 1", seed)
        self.source, self.seed, self.transform, self.skip = source, seed, transform, skip

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, place: int) -> tuple[Sample, list[str]]:
        """The sample at a place, and the errors of those that should have been there."""
        size = len(self.source)
        epoch, within = divmod(place, size)
        key = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0])
        index = index_shuffle(within, max_index=size - 1, seed=key, rounds=4)
        return first_good(lambda i: self._at(epoch, i), index, size, self.skip)

    def _at(self, epoch: int, index: int) -> Sample:
        rng = generator(self.seed, epoch, index)
        sample = drawn(self.source, index, rng)
        return sample if self.transform is None else self.transform(sample, rng)


class Mixed:
    """The places of a `Mixture`; arguments as those of `Shuffled`."""

    def __init__(self, mixture: Mixture, *, seed: int, transform: Transform | None, skip: bool):
        self.mixture, self.seed = mixture, seed
        self.parts = []
        for part, source in enumerate(mixture.sources):
            own = int(np.random.SeedSequence((seed, 2**31 + part)).generate_state(1)[0])
            self.parts.append(Shuffled(source, seed=own, transform=transform, skip=skip))
        self.offsets = np.cumsum([0, *(len(source) for source in mixture.sources)])
        self._blocks = Recent(self._block, 4)

    def __len__(self) -> int:
        return _ENDLESS

    def _block(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Each place's source, and how many of that source come before it in the block."""
        counts = self.mixture.counts
        order = np.repeat(np.arange(len(counts)), counts)
        order = generator(self.seed, 2**31, block).permutation(order)
        ranks = np.empty(_BLOCK, int)
        for part, count in enumerate(counts):
            ranks[order == part] = np.arange(count)
        return order, ranks

    def __getitem__(self, place: int) -> tuple[Sample, list[str]]:
        """As `Shuffled`'s."""
        block, within = divmod(place, _BLOCK)
        order, ranks = self._blocks(block)
        part = int(order[within])
        own = block * int(self.mixture.counts[part]) + int(ranks[within])
        sample, errors = self.parts[part][own]
        index = np.asarray(sample["index"] + self.offsets[part], np.int32)
        return {**sample, "index": index, "part": np.asarray(part, np.int32)}, errors


class InOrder:
    """Every sample once, then the last one for ever.

    The entry ``valid`` is False for what only fills: after the end, or in a broken
    sample's place.
    """

    def __init__(self, source: Source, *, skip: bool):
        _require_samples(source)
        self.source, self.skip = source, skip

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, place: int) -> tuple[Sample, list[str]]:
        """As `Shuffled`'s."""
        size = len(self.source)
        sample, errors = first_good(self.source.__getitem__, min(place, size - 1), size, self.skip)
        valid = place < size and not errors
        # After the end the last one is read again, and its error told already.
        return {**sample, "valid": np.asarray(valid)}, errors if place < size else []


def first_good(
    read: Callable[[int], Sample], index: int, size: int, skip: bool
) -> tuple[Sample, list[str]]:
    """The sample at an index or, where that is broken and may be, at the next one that is not."""
    errors: list[str] = []
    for attempt in range(min(size, _ATTEMPTS) if skip else 1):
        try:
            return read((index + attempt) % size), errors
        except MedjaxError as error:
            if not skip:
                raise
            errors.append(str(error))
    got = f"{len(errors)} broken ones in a row; the first: {errors[0]}"
    raise InputError("source", "samples that can be read", got)


def _require_samples(source: Source) -> None:
    if len(source) == 0:
        raise InputError("source", "at least one sample", "none")

"""Training, validation and test sets that share no subject, or say how far apart they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.core.random import generator

from .sources import Source, Subset


@dataclass(frozen=True)
class Splits:
    """Three sources that cannot leak into each other; unpacks as a tuple of them.

    Attributes:
        train: to fit.
        validation: to choose.
        test: to report.
        gap: None where no subject is on two sides, the rule. A number where all
            three are subsets of one source whose neighbours resemble each other,
            as the slices of one volume do: then no sample has one of its subject
            on another side within ``gap`` places.

    Raises:
        InputError: where either does not hold, or a side is empty. It tells how
            many subjects are concerned, not which.
    """

    train: Source
    validation: Source
    test: Source
    gap: int | None = None

    def __post_init__(self):
        for name in ("train", "validation", "test"):
            if len(getattr(self, name)) == 0:
                raise InputError(name, "at least one sample", "none")
        for a, b in combinations(self, 2):
            shared = set(a.groups) & set(b.groups)
            if shared and self.gap is None:
                count = len(set(a.groups) | set(b.groups))
                got = f"{len(shared)} of {count} subjects on two sides"
                raise InputError("splits", "every subject on one side only", got)
            if shared:
                _require_apart(a, b, shared, self.gap)

    def __iter__(self) -> Iterator[Source]:
        return iter((self.train, self.validation, self.test))

    def record(self) -> dict[str, Any]:
        """What a run keeps of it, as JSON: who is on which side, by SHA-256 and not by name.

        Whoever has the names can tell whether a subject was trained on; whoever has
        only the record learns no name.
        """
        return {
            name: {
                "samples": len(part),
                "subjects": sorted({_digest(group) for group in part.groups}),
            }
            for name, part in zip(("train", "validation", "test"), self, strict=True)
        }


def by_group(
    source: Source,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    *,
    strata: Sequence[Any] | None = None,
    together: Sequence[Any] | None = None,
) -> Splits:
    """Split by subject, at random.

    Args:
        source: any source.
        fractions: of the subjects, to train, validate and test; positive, of sum one.
            Validation and test get the nearest whole number, at least one subject,
            training the rest.
        seed: the same one gives the same split, in whatever order the samples come.
        strata: a label for each sample, such as a diagnosis: every side gets its share
            of each, as nearly as whole subjects allow. A subject counts as the first of
            its labels in sorted order.
        together: something else for each sample that no two sides may share, such as
            the site: subjects of one site then stay together.

    Raises:
        InputError: for other fractions, too few subjects, or strata or sites of
            another number.
    """
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError("fractions", "three positive numbers of sum one", fractions)
    units = _units(source, together)
    dealt = _dealt(units, strata, seed)
    held = [max(1, round(f * len(dealt))) for f in fractions[1:]]
    if sum(held) >= len(dealt):
        got = f"{len(dealt)} subjects"
        raise InputError("by_group", f"more than {sum(held)} subjects for {fractions}", got)
    # Every so many of the dealt ones, so that each side has its share of every stratum.
    sides = np.zeros(len(dealt), int)
    for side, count in enumerate(held, start=1):
        free = np.flatnonzero(sides == 0)
        sides[_spread(free, count)] = side
    return _splits(source, units, dealt, sides)


def k_fold(
    source: Source,
    *,
    folds: int = 5,
    fold: int,
    validation: float = 0.1,
    seed: int = 0,
    strata: Sequence[Any] | None = None,
    together: Sequence[Any] | None = None,
) -> Splits:
    """One fold of a cross-validation by subject: every subject is tested in exactly one.

    Args:
        source: any source.
        folds: how many there are.
        fold: which one is the test set, from 0.
        validation: fraction of the other subjects to choose with; at least one.
        seed: as for `by_group`, and so are the rest. The folds of one seed belong
            together.

    Raises:
        InputError: for a fold that is not there, or too few subjects.
    """
    if folds < 2 or not 0 <= fold < folds:
        raise InputError("fold", f"0 to folds - 1, of at least 2 (folds = {folds})", fold)
    units = _units(source, together)
    dealt = _dealt(units, strata, seed)
    if len(dealt) < max(folds, 3):
        expected = f"at least {max(folds, 3)} subjects for {folds} folds"
        raise InputError("k_fold", expected, f"{len(dealt)} subjects")
    sides = np.where(np.arange(len(dealt)) % folds == fold, 2, 0)
    rest = np.flatnonzero(sides == 0)
    count = max(1, round(validation * len(rest)))
    sides[_spread(rest, count)] = 1
    return _splits(source, units, dealt, sides)


def leave_out(
    source: Source, groups: Sequence[Any], group: Any, *, validation: float = 0.1, seed: int = 0
) -> Splits:
    """Test on one site (or scanner, or year), train on the others.

    Args:
        source: any source.
        groups: the site of each sample.
        group: the one to test on.
        validation: fraction of the other subjects to choose with; at least one.
        seed: as for `by_group`.

    Raises:
        InputError: where the site is not there, or one of its subjects is elsewhere too.
    """
    _require_each(source, "groups", groups)
    test = np.asarray([g == group for g in groups])
    if not test.any():
        raise InputError("group", f"one of {sorted(map(str, set(groups)))}", repr(group))
    units = _units(source, None)
    dealt = _dealt(units, None, seed)
    inside, outside = set(units[test]), set(units[~test])
    sides = np.asarray([2 if u in inside and u not in outside else 0 for u in dealt])
    rest = np.asarray([i for i, u in enumerate(dealt) if u not in inside])
    if len(rest) < 2 or inside & outside:
        got = f"{len(rest)}, and {len(inside & outside)} at several sites"
        raise InputError("leave_out", "at least two subjects at other sites alone", got)
    count = max(1, round(validation * len(rest)))
    sides[_spread(rest, count)] = 1
    return _splits(source, units, dealt, sides)


def official(source: Source, sides: Sequence[str]) -> Splits:
    """The split that a data set's owners publish.

    Args:
        source: any source.
        sides: "train", "validation" or "test" for each sample; others go to nobody.

    Raises:
        InputError: for another number of them, or a side without a sample.
    """
    _require_each(source, "sides", sides)
    names = np.asarray(sides)
    return Splits(
        *(Subset(source, np.flatnonzero(names == n)) for n in ("train", "validation", "test"))
    )


def slabs(
    source: Source, *, validation: tuple[int, int], test: tuple[int, int], gap: int
) -> Splits:
    """Split one volume by slabs of neighbouring slices.

    Args:
        source: samples in the order of the volume.
        validation: first place of its slab, and the one after its last.
        test: the same.
        gap: samples this near to a held-out slab go to nobody; at least one.

    Raises:
        InputError: for a slab outside the source, slabs nearer to each other than
            ``gap`` allows, or nothing left to train on.
    """
    if gap < 1:
        raise InputError("gap", "at least one slice", gap)
    places = np.arange(len(source))
    free = np.ones(len(source), bool)
    for name, (start, stop) in (("validation", validation), ("test", test)):
        if not 0 <= start < stop <= len(source):
            raise InputError(name, f"a slab within 0 to {len(source)}", (start, stop))
        free &= (places < start - gap) | (places >= stop + gap)
    return Splits(
        Subset(source, places[free]),
        Subset(source, range(*validation)),
        Subset(source, range(*test)),
        gap,
    )


def _units(source: Source, together: Sequence[Any] | None) -> np.ndarray:
    """What must stay on one side, for each sample: its subject, or all that it is tied to."""
    groups = np.asarray([str(g) for g in source.groups])
    if together is None:
        return groups
    _require_each(source, "together", together)
    # Subjects and sites tie each other: the parts that a graph of them falls into.
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            root[name] = name = root[root[name]]
        return name

    ties = [(f"subject {g}", f"together {t}") for g, t in zip(groups, together, strict=True)]
    for one, other in ties:
        a, b = sorted((find(one), find(other)))
        root[b] = a
    return np.asarray([find(one) for one, _ in ties])


def _dealt(units: np.ndarray, strata: Sequence[Any] | None, seed: int) -> np.ndarray:
    """Each unit once, in a random order, but stratum after stratum."""
    names = np.unique(units)
    order = generator(seed).permutation(names)
    if strata is None:
        return order
    if len(strata) != len(units):
        raise InputError("strata", f"one for each of {len(units)} samples", len(strata))
    stratum: dict[str, str] = {}
    for unit, label in zip(units, map(str, strata), strict=True):
        stratum[unit] = min(label, stratum.get(unit, label))
    return order[np.argsort([stratum[unit] for unit in order], kind="stable")]


def _spread(places: np.ndarray, count: int) -> np.ndarray:
    """Some of the places, evenly far from each other."""
    return places[((2 * np.arange(count) + 1) * len(places)) // (2 * count)]


def _splits(source: Source, units: np.ndarray, dealt: np.ndarray, sides: np.ndarray) -> Splits:
    parts = (np.flatnonzero(np.isin(units, dealt[sides == side])) for side in range(3))
    return Splits(*(Subset(source, part) for part in parts))


def _require_each(source: Source, name: str, values: Sequence[Any]) -> None:
    if len(values) != len(source):
        raise InputError(name, f"one for each of {len(source)} samples", len(values))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _require_apart(a: Source, b: Source, shared: set[str], gap: int) -> None:
    if not (isinstance(a, Subset) and isinstance(b, Subset) and a.source is b.source):
        raise InputError("splits", "subsets of one source where a gap is given", "others")
    groups = a.source.groups
    for group in shared:
        left = np.sort([i for i in a.indices if groups[i] == group])
        right = np.asarray([i for i in b.indices if groups[i] == group])
        after = np.searchsorted(left, right)
        nearest = min(
            np.abs(left[np.clip(after, 0, len(left) - 1)] - right).min(),
            np.abs(left[np.clip(after - 1, 0, len(left) - 1)] - right).min(),
        )
        if nearest <= gap:
            got = f"samples {nearest} apart"
            raise InputError("splits", f"more than {gap} places between sides", got)

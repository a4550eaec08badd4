"""Label-fraction curves: what a protocol makes of 1, 10 and 100 % of the labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.core.random import generator

from .protocol import LABELS, Outcome, Protocol, describe
from .sets import Labelled, Sets

FRACTIONS = (0.01, 0.1, 1.0)
"""The usual ones, since Henaff et al. 2020 and Chen et al. 2020 (SimCLR)."""

SUBSETS = (
    "labels: a fraction of each class, at least one sample, whole subjects; of training and "
    "of validation alike; a smaller fraction's are among a larger one's"
)


def label_subset(samples: Labelled, fraction: float, *, seed: int = 0) -> Labelled:
    """A part of the labels, stratified by class, in whole subjects.

    Subjects are put in a random order; of each class come as many of the first subjects that
    have it as it takes to reach its share, at least one sample. Where subjects have many
    samples or several classes the part is larger than the fraction: ``len`` of the result
    says how large. With one seed, a smaller fraction's samples are among a larger one's.

    Args:
        samples: with their ``groups``; without, each sample is a subject.
        fraction: of the samples of each class, in (0, 1].
        seed: of the order.

    Raises:
        InputError: for another fraction.
    """
    if not 0 < fraction <= 1:
        raise InputError("fraction", "a number in (0, 1]", fraction)
    groups = np.asarray(samples.groups or range(len(samples)))
    names, units = np.unique(groups, return_inverse=True)
    rank = generator(seed, 0x5B5E7).permutation(len(names))[units]
    chosen = np.zeros(len(names), bool)
    for label in np.unique(samples.labels):
        # Ranks of the subjects of the class's samples, first subject first.
        ordered = np.sort(rank[samples.labels == label])
        wanted = max(1, round(fraction * len(ordered)))
        chosen[ordered[:wanted]] = True
    return samples.take(np.flatnonzero(chosen[rank]))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Outcomes by label fraction; ``print`` shows the protocol and a table.

    Attributes:
        protocol: with its choices.
        outcomes: fraction to one outcome a seed.
    """

    protocol: Protocol
    outcomes: dict[float, tuple[Outcome, ...]]

    def values(self, metric: str = "balanced_accuracy") -> dict[float, np.ndarray]:
        """Fraction to the metric on test, one number a seed."""
        return {
            fraction: np.asarray([outcome.test[metric] for outcome in outcomes])
            for fraction, outcomes in self.outcomes.items()
        }

    def __str__(self) -> str:
        lines = [describe(self.protocol), f"  {SUBSETS}"]
        for fraction, outcomes in self.outcomes.items():
            sizes = sorted({outcome.samples["train"] for outcome in outcomes})
            cells = []
            for metric, label in LABELS.items():
                values = self.values(metric)[fraction]
                spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
                cells.append(f"{label} {values.mean():.3f}{spread}")
            count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
            runs = f"{len(outcomes)} seed{'s' if len(outcomes) > 1 else ''}"
            lines.append(f"  {fraction:.0%} of the labels ({count}), {runs}: {', '.join(cells)}")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "protocol": [*describe(self.protocol).splitlines(), SUBSETS],
            "outcomes": {
                f"{fraction:g}": [o.record() for o in outcomes]
                for fraction, outcomes in self.outcomes.items()
            },
        }


def label_curve(
    protocol: Protocol,
    sets: Sets,
    *,
    fractions: Sequence[float] = FRACTIONS,
    seeds: Sequence[int] = (0, 1, 2),
) -> Curve:
    """Run a protocol on parts of the labels.

    Args:
        protocol: any.
        sets: as the protocol takes them. The part is taken of validation too: who has few
            labels cannot choose with many (Oliver et al. 2018). The test set stays whole.
        fractions: of the labels.
        seeds: of the parts and of the protocol; a result that no seed changes is computed
            once.
    """
    outcomes = {}
    for fraction in fractions:
        fixed = fraction == 1 and not protocol.seeded
        found = []
        for seed in seeds[:1] if fixed else seeds:
            train = label_subset(sets.train, fraction, seed=seed)
            validation = label_subset(sets.validation, fraction, seed=seed)
            found.append(protocol(Sets(train, validation, sets.test, sets.classes), seed))
        outcomes[fraction] = tuple(found)
    return Curve(protocol=protocol, outcomes=outcomes)

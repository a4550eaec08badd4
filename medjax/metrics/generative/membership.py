"""Whether scores of a model tell who was in its training set."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.stats import rankdata

from medjax.core.errors import InputError
from medjax.core.random import generator

LEVEL = 0.95
"""Of the interval, and of what chance can do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Membership:
    """How well scores tell who was in the training set; prints its interval and its chance.

    Attributes:
        advantage: the largest difference of true and false positive rates over thresholds.
        low: lower end of its 95 % bootstrap interval.
        high: its upper end.
        chance: the 95th percentile of the advantage where membership is shuffled. A largest
            difference is above 0 by chance alone: an advantage below this says nothing.
        p_value: share of shuffles with as large an advantage.
        area: under the receiver operating characteristic, 0.5 for guessing.
        threshold: of the scores, where the difference is largest.
        members: how many.
        others: how many.
    """

    advantage: float
    low: float
    high: float
    chance: float
    p_value: float
    area: float
    threshold: float
    members: int
    others: int

    @property
    def leaks(self) -> bool:
        """Whether the advantage is larger than chance explains at 5 %."""
        return self.advantage > self.chance

    def __str__(self) -> str:
        return (
            f"membership advantage {self.advantage:.3f} ({self.low:.3f} to {self.high:.3f}; "
            f"up to {self.chance:.3f} by chance, p {self.p_value:.2g}), area {self.area:.3f}, "
            f"{self.members} members, {self.others} others"
        )

    def record(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**dataclasses.asdict(self), "leaks": self.leaks}


def membership_advantage(
    members: np.ndarray, others: np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> Membership:
    """What an attacker gains who guesses "was trained on" from a score.

    Yeom et al. 2018, Privacy risk in machine learning: analyzing the connection to
    overfitting, arXiv:1709.01604, definition 4: true minus false positive rate of the guess.
    There the threshold is the mean training loss; here it is the best one, chosen on these
    samples, which bounds every threshold and so is too large by chance: see `Membership`.
    The strength is that of this score alone. A stronger attack may find what it does not.

    Args:
        members: scores of training images, ``(sample,)``, higher for "was trained on", such as
            minus the loss, a discriminator's logit, or minus the distance to the nearest of many
            generated images.
        others: scores of images that were held out, of the same distribution.
        resamples: of the bootstrap and of shuffles.
        seed: of both.

    Raises:
        InputError: for scores of other shapes, NaN, or fewer than two of a kind.
    """
    kinds = {"members": np.asarray(members), "others": np.asarray(others)}
    for name, scores in kinds.items():
        if scores.ndim != 1 or len(scores) < 2 or not np.issubdtype(scores.dtype, np.floating):
            expected = "floating-point scores (sample,), at least two"
            raise InputError(name, expected, f"{scores.dtype} {scores.shape}")
        if np.isnan(scores).any():
            raise InputError(name, "scores without NaN", f"{int(np.isnan(scores).sum())} of them")
    if resamples < 1:
        raise InputError("resamples", "at least 1", resamples)
    m, n = kinds["members"], kinds["others"]
    pooled = np.concatenate([m, n]).astype(np.float64)
    # Scores as places among the different values: resampling then counts, and sorts no more.
    levels, places = np.unique(pooled, return_inverse=True)
    inside, outside = places[: len(m)], places[len(m) :]
    gain = _gains(inside, outside, len(levels))
    rng = generator(seed)
    boot, shuffled = [], []
    for _ in range(resamples):
        draw = (rng.choice(x, size=len(x)) for x in (inside, outside))
        boot.append(_gains(*draw, len(levels)).max())
        mixed = rng.permutation(places)
        shuffled.append(_gains(mixed[: len(m)], mixed[len(m) :], len(levels)).max())
    low, high = np.quantile(boot, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    ranks = rankdata(pooled)[: len(m)].sum() - len(m) * (len(m) + 1) / 2
    best = int(gain.argmax())
    return Membership(
        advantage=float(gain[best]),
        low=float(low),
        high=float(high),
        chance=float(np.quantile(shuffled, LEVEL)),
        p_value=float((1 + np.sum(np.array(shuffled) >= gain[best])) / (1 + resamples)),
        area=float(ranks / (len(m) * len(n))),
        threshold=float(levels[min(best, len(levels) - 1)]),
        members=len(m),
        others=len(n),
    )


def _gains(inside: np.ndarray, outside: np.ndarray, levels: int) -> np.ndarray:
    """True minus false positive rate for "at least this level", and 0 for nobody."""
    rates = (np.bincount(x, minlength=levels)[::-1].cumsum() / len(x) for x in (inside, outside))
    true, false = rates
    return np.append((true - false)[::-1], 0.0)

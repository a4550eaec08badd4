"""What images are worth that were generated: does another task gain by training with them?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from medjax.core.errors import InputError

from .statistics import LEVEL

Train = Callable[[Any, int], float]
"""``(set, seed) -> score`` on test images that are in no set."""


@dataclasses.dataclass(frozen=True)
class Gain:
    """The difference of two sets' scores, seed by seed.

    Attributes:
        mean: of the differences; above 0 where the score is higher than the control's.
        low: lower end of the 95 % interval of the mean.
        high: its upper end.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Worth:
    """Scores by set, and gains over every control; ``print`` shows the table.

    Attributes:
        scores: set to one score a seed, ``(seeds,)``.
        controls: names of the sets that the others are compared with.
        seeds: of training.
        metric: what a score is.
    """

    scores: Mapping[str, np.ndarray]
    controls: tuple[str, ...]
    seeds: tuple[int, ...]
    metric: str

    def gains(self) -> dict[str, dict[str, Gain]]:
        """Set to control to what it gains over it."""
        return {
            name: {c: paired_gain(values - self.scores[c]) for c in self.controls if c != name}
            for name, values in self.scores.items()
            if name != self.controls[0]
        }

    def __str__(self) -> str:
        width = max(map(len, self.scores))
        gains = self.gains()
        lines = [f"{self.metric}, {len(self.seeds)} seeds, mean ± sd; gain (95 % interval)"]
        for name, values in self.scores.items():
            over = "; ".join(f"over {c} {gain}" for c, gain in gains.get(name, {}).items())
            said = over or "control"
            lines.append(
                f"  {name:<{width}}  {values.mean():.3f} ± {values.std(ddof=1):.3f}  {said}"
            )
        lines.append("  The intervals are over seeds, on one test set: not over other patients.")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """The same as JSON."""
        gains = {
            name: {c: dataclasses.asdict(gain) for c, gain in found.items()}
            for name, found in self.gains().items()
        }
        return {
            "metric": self.metric,
            "seeds": list(self.seeds),
            "controls": list(self.controls),
            "scores": {name: values.tolist() for name, values in self.scores.items()},
            "gains": gains,
        }


def downstream_worth(
    train: Train,
    sets: Mapping[str, Any],
    *,
    controls: Sequence[str] = ("real",),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    metric: str = "score",
) -> Worth:
    """Train on each set with each seed, and compare.

        downstream_worth(
            train,
            {"real": real, "real, augmented": flipped, "real and generated": both},
            controls=("real", "real, augmented"),
        )

    What generated images add is worth something where classical augmentation does not add it
    for nothing, so that this is a control too. All sets are trained alike: give ``train`` a
    number of steps, not of epochs, or the larger set is trained for longer.

    Args:
        train: trains from scratch and scores, higher for better; a seed gives the same first
            parameters and order for all sets. What differs by more than its images, such as an
            augmentation in training, is said by the set, which may be anything.
        sets: by name, in the order of the table.
        controls: names of those to compare with.
        seeds: at least two.
        metric: what the score is, as printed.

    Returns:
        The table. Gains are paired by seed, their intervals Student's t: exact for normal
        differences; a percentile bootstrap of a few seeds would be too narrow.

    Raises:
        InputError: for a control that is no set, none, nothing to compare, or fewer than two
            different seeds.
    """
    if not controls or not set(controls) <= set(sets):
        raise InputError(
            "controls", f"names among {', '.join(sets)}", ", ".join(controls) or "none"
        )
    if len(sets) < 2:
        raise InputError("sets", "a set besides the control", ", ".join(sets))
    if len(set(seeds)) < max(2, len(seeds)):
        raise InputError("seeds", "at least two, all different", list(seeds))
    scores: dict[str, list[float]] = {name: [] for name in sets}
    for seed in seeds:
        for name, chosen in sets.items():
            scores[name].append(float(train(chosen, seed)))
    return Worth(
        scores={name: np.array(values) for name, values in scores.items()},
        controls=tuple(controls),
        seeds=tuple(seeds),
        metric=metric,
    )


def paired_gain(differences: np.ndarray) -> Gain:
    """The mean of differences of two scores, seed by seed, with Student's 95 % interval.

    Args:
        differences: ``(seed,)``, at least two.
    """
    n, mean = len(differences), float(differences.mean())
    half = student.ppf((1 + LEVEL) / 2, n - 1) * differences.std(ddof=1) / np.sqrt(n)
    return Gain(mean, float(mean - half), float(mean + half))

"""Whether generated images are copies of training images.

It takes real images that were held out, of the same distribution as the training images but of
other subjects: without them a small distance means nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu, norm

from medjax.core.errors import InputError
from medjax.core.random import generator

from .features import FeatureSet, same_extractor
from .neighbours import nearest

LEVEL = 0.95
"""Of intervals."""

_STEPS = 100  # of k-means, at most


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Copies:
    """How near generated images are to training images; prints its extractor.

    Attributes:
        nearest: place of each generated image's nearest training image, ``(generated,)``.
        distance: to it, ``(generated,)``.
        ratio: of the distance to the nearest of a training sample as large as the held-out set
            to that to the nearest held-out image, ``(generated,)``: far below 1 for a copy.
        closer: the share of generated images that are nearer to training than to held-out
            images; 0.5 where none is remembered.
        low: lower end of its 95 % interval (Wilson 1927), generated images as independent.
        high: the upper end.
        statistic: data-copying statistic of Meehan et al.: how many standard deviations the
            generated lie nearer (below 0) or farther (above 0) from the training images than
            held-out ones do, the mean over cells.
        p_value: of a statistic as low or lower where nothing is copied.
        cells: that took part, of how many.
        extractor: of the features.
    """

    nearest: np.ndarray
    distance: np.ndarray
    ratio: np.ndarray
    closer: float
    low: float
    high: float
    statistic: float
    p_value: float
    cells: tuple[int, int]
    extractor: str

    def __str__(self) -> str:
        return (
            f"data-copying statistic {self.statistic:.2f} (p {self.p_value:.2g}, "
            f"{self.cells[0]} of {self.cells[1]} cells; below 0 is copying); "
            f"{self.closer:.1%} nearer to training than to held-out images "
            f"({self.low:.1%} to {self.high:.1%}; 50 % expected); features: {self.extractor}"
        )

    def record(self) -> dict[str, Any]:
        """The same as JSON."""
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in found.items()}


def data_copying(
    train: FeatureSet,
    held_out: FeatureSet,
    generated: FeatureSet,
    *,
    cells: int = 5,
    least: int = 20,
    seed: int = 0,
) -> Copies:
    """Are generated images nearer to the training images than other real images are?

    Meehan, Chaudhuri & Dasgupta 2020, A non-parametric test to detect data-copying in
    generative models, arXiv:2004.05675: the space is cut into cells by k-means of
    the training images; in each, Mann and Whitney's test compares the distances of generated
    and of held-out images to the nearest training image in it; the statistic is the mean of
    the standardised tests, weighted by the held-out images of the cells. As there, but for
    mid-ranks of equal distances, and cells without a training or held-out image, which are left
    out. The p-value is this implementation's: of independent normal tests in the cells.

    The test sees copies in the features' space: of an extractor that tells no subjects apart
    it can find none. The generator's images may also be nearer because they are blurred, or
    near the centre of the distribution; look at the pairs.

    Args:
        train: features of the images that the generator learned from.
        held_out: of others, of the same distribution and preparation.
        generated: of generated images.
        cells: of k-means; 1 for one test of all.
        least: generated images that a cell must have to count.
        seed: of k-means and of the training sample for ratios.

    Raises:
        InputError: for features of two extractors, no cell that counts, or fewer than one.
    """
    extractor = same_extractor(train, held_out, generated)
    if not 1 <= cells <= len(train):
        raise InputError("cells", f"1 to {len(train)}, the training samples", cells)
    t, h, g = train.values, held_out.values, generated.values
    rng = generator(seed)
    closest = nearest(g, t)
    # The nearest of more is nearer: equally many, or the ratio would show the counts.
    size = min(len(t), len(h))
    to_train, to_held_out = (
        nearest(g, x[rng.permutation(len(x))[:size]]).distance[:, 0] for x in (t, h)
    )
    wins = (to_train < to_held_out) + 0.5 * (to_train == to_held_out)
    low, high = _wilson(float(wins.mean()), len(g))
    statistic, p_value, counted = _cells(t, h, g, cells, least, rng)
    tiny = np.finfo(np.float64).tiny
    return Copies(
        nearest=closest.index[:, 0],
        distance=closest.distance[:, 0],
        ratio=np.maximum(to_train, tiny) / np.maximum(to_held_out, tiny),
        closer=float(wins.mean()),
        low=low,
        high=high,
        statistic=statistic,
        p_value=p_value,
        cells=(counted, cells),
        extractor=extractor,
    )


def _cells(
    t: np.ndarray, h: np.ndarray, g: np.ndarray, cells: int, least: int, rng: np.random.Generator
) -> tuple[float, float, int]:
    """The statistic, its p-value and the number of cells that count."""
    centres = _centres(t, t[rng.choice(len(t), size=cells, replace=False)])
    of_t, of_h, of_g = (nearest(x, centres).index[:, 0] for x in (t, h, g))
    scores, weights = [], []
    for cell in range(cells):
        inside = t[of_t == cell], h[of_h == cell], g[of_g == cell]
        if min(map(len, inside)) and len(inside[2]) >= least:
            of_held_out, of_generated = (nearest(x, inside[0]).distance[:, 0] for x in inside[1:])
            scores.append(standardised_ranks(of_generated, of_held_out))
            weights.append(len(inside[1]))
    if not scores:
        expected = f"a cell of training and held-out images with {least} generated ones or more"
        raise InputError("data_copying", expected, f"none of {cells}")
    share = np.array(weights) / np.sum(weights)
    statistic = float(share @ scores)
    return statistic, float(norm.cdf(statistic / np.linalg.norm(share))), len(scores)


def _centres(t: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """k-means by Lloyd's steps; a centre that loses all its samples stays where it is."""
    for _ in range(_STEPS):
        cell = nearest(t, centres).index[:, 0]
        found = [
            t[cell == i].mean(axis=0) if (cell == i).any() else c for i, c in enumerate(centres)
        ]
        if np.array_equal(found, centres):
            break
        centres = np.stack(found)
    return centres


def standardised_ranks(values: np.ndarray, control: np.ndarray) -> float:
    """How much larger values are than a control's: Mann and Whitney's U, standardised.

    Args:
        values: ``(m,)``.
        control: ``(n,)``.

    Returns:
        Above 0 where values are larger; about normal where both are of one distribution.
    """
    m, n = len(values), len(control)
    larger = mannwhitneyu(values, control, method="asymptotic").statistic
    return float((larger - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def _wilson(share: float, count: int) -> tuple[float, float]:
    z = norm.ppf((1 + LEVEL) / 2)
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return float(centre - half), float(centre + half)

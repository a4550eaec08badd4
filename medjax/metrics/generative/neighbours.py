"""Nearest neighbours among features, and the manifolds that balls about them make.

Distances are Euclidean, in float64 on the host, for some queries at a time: memory does not
grow with the square of the set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from medjax.core.errors import InputError

from .features import FeatureSet, Score, same_extractor

_CHUNK = 1024  # queries whose distances are in memory at a time


class Neighbours(NamedTuple):
    """The nearest keys of each query, nearest first.

    Attributes:
        distance: ``(query, neighbour)``.
        index: places among the keys, ``(query, neighbour)``.
    """

    distance: np.ndarray
    index: np.ndarray


class PrecisionRecall(NamedTuple):
    """Two scores, of which neither says anything without the other.

    Attributes:
        precision: the share of generated samples that lie where real ones are.
        recall: the share of real samples that lie where generated ones are.
    """

    precision: Score
    recall: Score


class DensityCoverage(NamedTuple):
    """Two scores, of which neither says anything without the other.

    Attributes:
        density: how many real samples' balls a generated one lies in, relative to ``k``; it is
            about 1 for equal distributions, and may be more.
        coverage: the share of real samples with a generated one in their ball.
    """

    density: Score
    coverage: Score


def nearest(
    queries: np.ndarray, keys: np.ndarray, k: int = 1, *, leave_out_self: bool = False
) -> Neighbours:
    """The ``k`` nearest keys of each query.

    Args:
        queries: ``(query, channel)``.
        keys: ``(key, channel)``.
        k: how many.
        leave_out_self: queries are the keys, and none is a neighbour of itself.

    Raises:
        InputError: for more neighbours than there are.
    """
    available = len(keys) - leave_out_self
    if not 1 <= k <= available:
        raise InputError("k", f"1 to {available}, the samples there are", k)
    distances, places = [], []
    for start, squared in _squared(queries, keys):
        if leave_out_self:
            rows = np.arange(len(squared))
            squared[rows, start + rows] = np.inf
        index = np.argpartition(squared, k - 1, axis=1)[:, :k]
        difference = queries[start : start + len(squared), None] - keys[index]
        distance = np.linalg.norm(difference, axis=-1)  # anew, without cancellation
        order = np.argsort(distance, axis=1, kind="stable")
        distances.append(np.take_along_axis(distance, order, axis=1))
        places.append(np.take_along_axis(index, order, axis=1))
    return Neighbours(np.concatenate(distances), np.concatenate(places))


def precision_recall(real: FeatureSet, generated: FeatureSet, *, k: int = 3) -> PrecisionRecall:
    """Precision and recall of generated images by manifolds of k-th nearest neighbours.

    Kynkäänniemi et al. 2019, Improved precision and recall metric for assessing generative
    models, arXiv:1904.06991, eq. 1 and 2: the union of the balls about a set's samples that
    reach to their k-th nearest neighbour in the set stands for where the set lies. Both depend
    on the number of samples, and a single outlier's ball can hold much (Naeem et al. 2020).

    Args:
        real: features of real images.
        generated: of generated ones, by the same extractor.
        k: 3 in the paper.

    Returns:
        Shares, with binomial standard errors that take the balls as given.

    Raises:
        InputError: for features of two extractors, or no more than ``k`` samples of a kind.
    """
    found = _inside(real, generated, k)
    make = _maker(real, generated, k)
    precision = make("precision", found.per_generated > 0)
    return PrecisionRecall(precision, make("recall", found.in_generated))


def density_coverage(real: FeatureSet, generated: FeatureSet, *, k: int = 5) -> DensityCoverage:
    """Density and coverage: precision and recall that outliers move less.

    Naeem et al. 2020, Reliable fidelity and diversity metrics for generative models,
    arXiv:2002.09797, section 3.2: both by the balls of real samples alone.

    Args:
        real: features of real images.
        generated: of generated ones, by the same extractor.
        k: 5 in the paper, for coverage of about 0.97 where distributions are equal and the
            sets as large as each other.

    Returns:
        Two scores, with standard errors over the samples that take the balls as given.

    Raises:
        InputError: as `precision_recall`.
    """
    found = _inside(real, generated, k)
    make = _maker(real, generated, k)
    density = make("density", found.per_generated / k)
    return DensityCoverage(density, make("coverage", found.covered))


class _Inside(NamedTuple):
    per_generated: np.ndarray  # in how many real samples' balls, (generated,)
    covered: np.ndarray  # whether a generated sample is in the ball of it, (real,)
    in_generated: np.ndarray  # whether it is in a generated sample's ball, (real,)


def _inside(real: FeatureSet, generated: FeatureSet, k: int) -> _Inside:
    same_extractor(real, generated)
    x, y = real.values, generated.values
    of_real, of_generated = (
        nearest(v, v, k, leave_out_self=True).distance[:, -1] ** 2 for v in (x, y)
    )
    counts = []
    covered, found = np.zeros(len(x), bool), np.zeros(len(x), bool)
    for start, squared in _squared(y, x):
        within = squared <= of_real
        counts.append(within.sum(axis=1))
        covered |= within.any(axis=0)
        found |= (squared <= of_generated[start : start + len(squared), None]).any(axis=0)
    return _Inside(np.concatenate(counts), covered, found)


def _maker(real: FeatureSet, generated: FeatureSet, k: int):
    def make(metric: str, values: np.ndarray) -> Score:
        return Score(
            metric=metric,
            value=float(np.mean(values)),
            error=float(np.std(values) / np.sqrt(len(values))),
            extractor=real.extractor,
            samples={"real": len(real), "generated": len(generated)},
            detail=f"k = {k}, ± standard error over samples with the balls as given",
        )

    return make


def _squared(queries: np.ndarray, keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Squared distances ``(some queries, keys)`` with the place of the first of these queries."""
    centre = keys.mean(axis=0)  # about it, numbers are smaller and lose fewer digits
    keys, queries = keys - centre, queries - centre
    own = np.sum(keys**2, axis=1)
    for start in range(0, len(queries), _CHUNK):
        part = queries[start : start + _CHUNK]
        total = np.sum(part**2, axis=1)[:, None] + own
        squared = total - 2 * (part @ keys.T)
        # What rounding alone can make of equal samples is no distance.
        yield start, np.where(squared > 16 * np.finfo(np.float64).eps * total, squared, 0.0)

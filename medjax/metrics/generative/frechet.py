"""Fréchet distance of two sets of features, from all of them or from statistics of parts."""

from __future__ import annotations

import dataclasses

import numpy as np

from medjax.core.errors import InputError

from .features import FeatureSet, Score, same_extractor


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of a set of features, which can be added part by part.

    Attributes:
        count: samples.
        mean: float64 ``(channel,)``.
        scatter: the sum of squares and products about the mean, float64 ``(channel, channel)``.
        extractor: of the features.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray
    extractor: str

    @property
    def values(self) -> np.ndarray:
        """The mean as one row, so that widths are compared as those of a `FeatureSet`."""
        return self.mean[None]

    @property
    def covariance(self) -> np.ndarray:
        """Divided by one less than the samples."""
        return self.scatter / (self.count - 1)

    def merged(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan, Golub & LeVeque 1983).

        Raises:
            InputError: for features of another extractor or width.
        """
        same_extractor(self, other)
        count = self.count + other.count
        step = other.mean - self.mean
        cross = np.outer(step, step) * (self.count * other.count / count)
        mean = self.mean + step * (other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + cross, self.extractor)


def moments(features: FeatureSet) -> Moments:
    """Mean and covariance of features.

    For sets that are never in memory as a whole, volumes above all:

        functools.reduce(Moments.merged, (moments(extractor(images)) for images in batches))
    """
    mean = features.values.mean(axis=0)
    centred = features.values - mean
    return Moments(len(features), mean, centred.T @ centred, features.extractor)


def frechet_distance(real: FeatureSet | Moments, generated: FeatureSet | Moments) -> Score:
    """Fréchet distance between Gaussians fitted to two sets of features: FID; lower is better.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` (Heusel et al. 2017, GANs trained by a two
    time-scale update rule converge to a local Nash equilibrium, arXiv:1706.08500, eq. 6). FID
    is this number of Inception-v3's pooled features; of another extractor's it is on another
    scale.

    In float64 on the host. The trace of the root is that of ``(R C2 R)^(1/2)`` with ``R`` the
    root of ``C1``: eigenvalues of symmetric matrices alone, those that rounding made of zeros
    taken for zeros. So it stands where a covariance has no full rank, where the general root of
    ``C1 C2`` may be complex.

    Args:
        real: features or `Moments` of real images, at least two.
        generated: of generated ones, by the same extractor.

    Returns:
        The distance; 0 for equal sets. It is biased upwards, the more the fewer samples there
        are (Chong & Forsyth 2020, arXiv:1911.07023): compare numbers of equal counts alone.

    Raises:
        InputError: for features of two extractors, or fewer than two samples.
    """
    extractor = same_extractor(real, generated)
    r, g = (s if isinstance(s, Moments) else moments(s) for s in (real, generated))
    for name, s in (("real", r), ("generated", g)):
        if s.count < 2:
            raise InputError(name, "at least two samples", s.count)
    root = _root(r.covariance)
    cross = np.sqrt(_eigenvalues(root @ g.covariance @ root)).sum()
    trace = np.trace(r.covariance) + np.trace(g.covariance) - 2 * cross
    few = min(r.count, g.count) <= r.mean.size
    return Score(
        metric="Fréchet distance",
        value=max(float(np.sum((r.mean - g.mean) ** 2) + trace), 0.0),
        extractor=extractor,
        samples={"real": r.count, "generated": g.count},
        detail=f"no more samples than the {r.mean.size} channels" if few else "",
    )


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(_clean(values))) @ vectors.T


def _eigenvalues(matrix: np.ndarray) -> np.ndarray:
    return _clean(np.linalg.eigvalsh((matrix + matrix.T) / 2))


def _clean(values: np.ndarray) -> np.ndarray:
    """Eigenvalues with those below the rounding of the largest as zeros."""
    rounding = len(values) * np.finfo(np.float64).eps * np.abs(values).max()
    return np.where(values > rounding, values, 0.0)

"""Kernel distance of two sets of features."""

from __future__ import annotations

import numpy as np

from medjax.core.errors import InputError
from medjax.core.random import generator

from .features import FeatureSet, Score, same_extractor

SUBSET = 1000
"""Samples of each kind at a time where there are many."""


def kernel_distance(
    real: FeatureSet, generated: FeatureSet, *, subset_size: int | None = None, seed: int = 0
) -> Score:
    """Squared maximum mean discrepancy with the kernel ``(x.y / channels + 1)^3``: KID.

    Bińkowski et al. 2018, Demystifying MMD GANs, arXiv:1801.01401, section 4; the unbiased
    estimate (Gretton et al. 2012, JMLR 13, eq. 3), the mean over subsets. Subsets of the
    paper's kind overlap, and their spread says little of the mean's error; here they share no
    sample, so that the standard error is that of independent parts. In float64 on the host.

    Args:
        real: features of real images.
        generated: of generated ones, by the same extractor.
        subset_size: of each kind; by default a tenth of the smaller set, at most 1000. The
            expected value does not depend on it.
        seed: of who is in which subset.

    Returns:
        The distance; lower is better. Its expectation is 0 for equal distributions whatever the
        counts, and so it may be negative. No standard error where there is one subset.

    Raises:
        InputError: for features of two extractors, fewer than two samples of either kind, or
            subsets larger than these or smaller than two.
    """
    extractor = same_extractor(real, generated)
    smaller = min(len(real), len(generated))
    if smaller < 2:
        raise InputError("features", "at least two samples of each kind", smaller)
    size = max(2, min(SUBSET, smaller // 10)) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise InputError("subset_size", f"2 to {smaller}, the samples there are", size)
    count = smaller // size
    x, y = (
        f.values[generator(seed, place).permutation(len(f))[: count * size]]
        for place, f in enumerate((real, generated))
    )
    pairs = zip(np.split(x, count), np.split(y, count), strict=True)
    values = np.array([_discrepancy(*pair) for pair in pairs])
    error = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return Score(
        metric="kernel distance",
        value=float(values.mean()),
        error=error,
        extractor=extractor,
        samples={"real": len(real), "generated": len(generated)},
        detail=f"{count} disjoint subsets of {size}, ± standard error of their mean",
    )


def _discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    return _within(_kernel(x, x)) + _within(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _within(kernel: np.ndarray) -> float:
    """The mean over pairs of different samples."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))

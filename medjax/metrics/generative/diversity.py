"""How alike images of one set are to each other."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.batches import in_batches
from medjax.core.errors import InputError
from medjax.core.random import generator
from medjax.metrics.image import MS_SSIM_WEIGHTS, ms_ssim

from .features import PIXELS, Score


def ms_ssim_diversity(
    images: np.ndarray,
    *,
    pairs: int = 1000,
    data_range: float,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    seed: int = 0,
    batch_size: int = 16,
    kind: str = "generated",
) -> Score:
    """Mean MS-SSIM of random pairs of different images: lower is more diverse.

    Odena et al. 2017, Conditional image synthesis with auxiliary classifier GANs,
    arXiv:1610.09585, section 4.2 (there within each class: give the images of one). It means
    something beside the same number of real images alone: brains are alike.

    Args:
        images: real, ``(sample, *spatial, channel)``; the channels are compared one by one.
        pairs: how many, at most all there are.
        data_range: see `medjax.metrics.image.ms_ssim`.
        weights: see there; fewer for smaller images.
        seed: of the pairs.
        batch_size: pairs on the device at a time.
        kind: of the images, as printed.

    Returns:
        The mean, and the standard error that independent pairs would have: pairs share images,
        so that the true one is larger where there are few.

    Raises:
        InputError: for fewer than two images, or images that `ms_ssim` refuses.
    """
    count = len(images)
    if count < 2:
        raise InputError("images", "at least two", count)
    if pairs < 1:
        raise InputError("pairs", "at least 1", pairs)
    chosen = _pairs(count, pairs, seed)

    @jax.jit
    def compare(both):
        first, second = (
            # A channel is an image of its own.
            jnp.moveaxis(both[:, side], -1, 1).reshape(-1, *images.shape[1:-1])
            for side in range(2)
        )
        found = ms_ssim(first, second, data_range=data_range, weights=weights)
        return found.reshape(len(both), -1).mean(axis=1)

    def compare_places(places: np.ndarray):
        return compare(images[places])

    values = in_batches(compare_places, min(batch_size, len(chosen)))(chosen)
    values = values.astype(np.float64)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return Score(
        metric="MS-SSIM of pairs",
        value=float(values.mean()),
        error=float(error),
        extractor=PIXELS,
        samples={kind: count},
        detail=f"{len(values)} pairs, {len(weights)} scales, range {data_range:g}, "
        "± standard error over pairs",
    )


def _pairs(count: int, wanted: int, seed: int) -> np.ndarray:
    """Different pairs of different samples, ``(pair, 2)``, in random order."""
    total = count * (count - 1) // 2
    chosen = generator(seed).choice(total, size=min(wanted, total), replace=False)
    # The pairs in the order (0, 1), (0, 2), (1, 2), (0, 3), ...: the k-th second has k before it.
    second = np.floor((1 + np.sqrt(1 + 8.0 * chosen)) / 2).astype(np.int64)
    return np.stack([chosen - second * (second - 1) // 2, second], axis=1)

"""Inception score: whether a classifier is sure of each generated image, and names all classes."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, logsumexp

from medjax.core.errors import InputError
from medjax.core.random import generator

from .features import FeatureSet, Score


def inception_score(logits: FeatureSet, *, splits: int = 10, seed: int = 0) -> Score:
    """``exp E_x KL(p(y|x) | p(y))`` of a classifier, the mean over splits; higher is better.

    Salimans et al. 2016, Improved techniques for training GANs, arXiv:1606.03498, section 4.
    It never sees a real image, so that it tells of neither fidelity nor copying, and of a
    classifier that does not know the images' classes it tells nothing (Barratt & Sharma 2018,
    arXiv:1801.01973). In float64 on the host.

    Args:
        logits: of generated images, ``(sample, class)``, such as of
            `medjax.metrics.generative.from_backbone` with ``logits=True``.
        splits: parts that are scored by themselves; 10 in the paper.
        seed: of who is in which part.

    Returns:
        Between 1 and the number of classes. The published ± is the deviation of the splits;
        here it is the standard error of their mean. A part of few samples scores too high.

    Raises:
        InputError: for more splits than samples, or none.
    """
    count = len(logits)
    if not 1 <= splits <= count:
        raise InputError("splits", f"1 to {count}, the number of samples", splits)
    order = generator(seed).permutation(count)
    values = []
    for part in np.array_split(order, splits):
        log = log_softmax(logits.values[part], axis=1)
        mean = logsumexp(log, axis=0, keepdims=True) - np.log(len(part))
        values.append(np.exp(np.sum(np.exp(log) * (log - mean), axis=1).mean()))
    error = float(np.std(values, ddof=1) / np.sqrt(splits)) if splits > 1 else float("nan")
    return Score(
        metric="inception score",
        value=float(np.mean(values)),
        error=error,
        extractor=logits.extractor,
        samples={"generated": count},
        detail=f"{splits} splits, ± standard error of their mean" if splits > 1 else "1 split",
    )

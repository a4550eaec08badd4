"""Losses of segmentation: logits ``(batch, *spatial, class)``, labels ``(batch, *spatial)``.

Labels are integers from 0 up to the number of classes; background is a class like
any other. Sums are in float32 or wider.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.similarity import mean_per_sample

SMOOTH = 1e-5
"""Added to both sides of Dice's quotient, in voxels: nnU-Net's and MONAI's value."""


def cross_entropy(logits: Array, labels: Array) -> Float[Array, " batch"]:
    """Mean over voxels of the cross-entropy in nats.

    Args:
        logits: floating point, ``(batch, *spatial, class)``.
        labels: integers, ``(batch, *spatial)``.

    Raises:
        InputError: for other dtypes or shapes.
    """
    logits, labels = _checked(logits, labels, "cross_entropy")
    # By a mask, not by taking the label's logit: the gradient of that is a scatter, which
    # is slow on every platform.
    mask = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    own = jnp.sum(jnp.where(mask, logits, 0), axis=-1)
    return mean_per_sample(jax.nn.logsumexp(logits, axis=-1) - own)


def dice(logits: Array, labels: Array) -> Float[Array, " batch"]:
    """One minus the mean over classes of the soft Dice coefficient of softmax probabilities.

    Args:
        logits: floating point, ``(batch, *spatial, class)``.
        labels: integers, ``(batch, *spatial)``.

    Returns:
        ``(batch,)`` between 0 and 1.

    Raises:
        InputError: for other dtypes or shapes.

    Dice of a class is ``(2 sum(p t) + s) / (sum(p) + sum(t) + s)`` with ``s = 1e-5``,
    sums over the voxels of one sample. The denominator is that of Drozdzal et al.
    2016; Milletari et al. 2016 (V-Net) square its terms. A class absent from a sample
    costs up to ``1 / classes`` until its probabilities vanish.
    """
    logits, labels = _checked(logits, labels, "dice")
    p = jax.nn.softmax(logits, axis=-1)
    t = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    both, in_p, in_t = (jnp.sum(a, axis=tuple(range(1, p.ndim - 1))) for a in (p * t, p, t))
    return 1 - jnp.mean((2 * both + SMOOTH) / (in_p + in_t + SMOOTH), axis=-1)


def dice_cross_entropy(logits: Array, labels: Array) -> Float[Array, " batch"]:
    """The sum of `dice` and `cross_entropy`, of which nnU-Net's loss is one form.

    Arguments and errors are those of `dice`. nnU-Net (Isensee et al. 2021) leaves the
    background out of Dice and in some of its configurations (2D, full resolution beside a
    coarse one) pools its sums over the batch; neither is done here, where each sample has
    a loss of its own.
    """
    return dice(logits, labels) + cross_entropy(logits, labels)


def _checked(logits: Array, labels: Array, what: str) -> tuple[Array, Array]:
    kinds = f"{logits.dtype} {logits.shape} and {labels.dtype} {labels.shape}"
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise InputError(what, "logits in floating point", kinds)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(what, "integer labels", kinds)
    if logits.ndim < 3 or logits.shape[:-1] != labels.shape:
        raise InputError(what, "logits (batch, *spatial, class), labels (batch, *spatial)", kinds)
    wide = jnp.finfo(logits.dtype).bits > 32
    return logits.astype(jnp.float64 if wide else jnp.float32), labels.astype(jnp.int32)

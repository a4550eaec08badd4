"""Metrics of classification: ``(scores, labels)`` of a set of samples.

Scores are floating point ``(batch, class)``, of any scale: logits, probabilities or votes;
the class of the largest is the prediction, of equal ones the first. Labels are integers
``(batch,)`` from 0; a sample with a label that is no class counts as wrong, and to the rest of
every class. Metrics other than `accuracy` belong to the set, not to its samples.

A class without samples is not scored: NaN, and left out of the balanced accuracy. A NaN among
the scores is no prediction, and makes NaN of all that depends on it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float


def accuracy(scores: Array, labels: Array) -> Float[Array, " batch"]:
    """1 where the largest score is the label's, else 0.

    Args:
        scores: floating, ``(batch, class)``.
        labels: integers, ``(batch,)``.

    Raises:
        InputError: for other dtypes or shapes.
    """
    scores, labels = _checked(scores, labels, "accuracy")
    right = (jnp.argmax(scores, axis=-1) == labels).astype(jnp.float32)
    return jnp.where(jnp.isnan(scores).any(axis=-1), jnp.nan, right)


def recall(scores: Array, labels: Array) -> Float[Array, " class"]:
    """The accuracy on the samples of each class: sensitivity, one class against the rest.

    Arguments and errors are those of `accuracy`. NaN for a class without samples.
    """
    right = accuracy(scores, labels)
    members = _members(scores, labels)
    # Where, not a product: one sample's NaN is the NaN of its own class alone.
    sums = jnp.sum(jnp.where(members, right[:, None], 0), axis=0)
    return sums / jnp.sum(members, axis=0, dtype=jnp.float32)


def balanced_accuracy(scores: Array, labels: Array) -> Float[Array, ""]:
    """The mean of `recall` over the classes that have samples.

    Arguments and errors are those of `accuracy`. Chance is one over the number of classes,
    however rare some are (Brodersen et al. 2010, ICPR).
    """
    found = recall(scores, labels)
    there = _members(scores, labels).any(axis=0)
    return jnp.mean(found, where=there)


def auc(scores: Array, labels: Array) -> Float[Array, " class"]:
    """Area under the receiver operating characteristic of each class against the rest.

    Arguments and errors are those of `accuracy`.

    Returns:
        The chance that a sample of the class scores higher in it than one of the rest, with
        half a win for equal scores: Mann and Whitney's statistic by mid-ranks (Hanley &
        McNeil 1982). NaN for a class that no sample or every sample belongs to.
    """
    scores, labels = _checked(scores, labels, "auc")
    members = _members(scores, labels)

    def one(score: Array, member: Array) -> Array:
        ordered = jnp.sort(score)
        below, up_to = (jnp.searchsorted(ordered, score, side=s) for s in ("left", "right"))
        rank = 0.5 * (below + up_to + 1).astype(jnp.float32)
        inside = jnp.sum(member, dtype=jnp.float32)
        outside = member.size - inside
        area = (jnp.mean(rank, where=member) - 0.5 * (inside + 1)) / outside
        known = (inside > 0) & (outside > 0) & ~jnp.isnan(score).any()
        return jnp.where(known, area, jnp.nan)

    return jax.vmap(one, in_axes=1)(scores, members)


def _members(scores: Array, labels: Array) -> Array:
    """Whose class it is, bool ``(batch, class)``."""
    classes = with_rank(jnp.arange(scores.shape[-1], dtype=jnp.int32), 2)
    return labels[:, None].astype(jnp.int32) == classes


def _checked(scores: Array, labels: Array, what: str) -> tuple[Array, Array]:
    kinds = f"{scores.dtype} {scores.shape} and {labels.dtype} {labels.shape}"
    if not jnp.issubdtype(scores.dtype, jnp.floating):
        raise InputError(what, "scores in floating point", kinds)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(what, "integer labels", kinds)
    if scores.ndim != 2 or 0 in scores.shape or labels.shape != scores.shape[:1]:
        raise InputError(what, "scores (batch, class) and labels (batch,)", kinds)
    return scores.astype(jnp.float32), labels.astype(jnp.int32)

"""Momentum contrast: keys come from a slow copy of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Key
from medjax.learners.learner import Learner
from medjax.losses.contrastive import info_nce, queue_nce
from medjax.losses.pairs import unit

from .heads import Embedder, mlp
from .passes import passes, teacher_passes
from .pretrain import (
    MEMORY,
    TEACHER,
    Outcome,
    Schedule,
    collections_of,
    pretraining,
    spread,
)
from .simclr import PAIR

QUEUE = "queue"


def moco_v1(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    queue: int = 65536,
    momentum: Schedule = 0.999,
    temperature: float = 0.07,
    views: Sequence[str] = PAIR,
    image: str = "image",
) -> Learner:
    """MoCo (He et al. 2020, arXiv:1911.05722): a queue of keys from a momentum encoder.

    As in the paper: the query is of the first view, its key of the second, negatives are the
    queue's keys, oldest out first; a linear projection to 128. What differs: batch norm is
    over the global batch, so that there are no devices to shuffle samples between. The paper
    shuffles because a query can find its key by their common statistics; take an encoder
    with group or layer norm where that happens.

    Args:
        encoder: as for `simclr`.
        optimizer: any Optax transformation.
        projector: see `simclr`.
        queue: number of keys in it; filled with random unit vectors at the start.
        momentum: of the key encoder, a number or a function of the step.
        temperature: of the loss.
        views: the batch's entries of the query's and the key's view.
        image: see `simclr`.

    Returns:
        A learner as `simclr` makes it; ``spread`` is the keys'. The key encoder's parameters
        are ``extras["teacher"]``, the queue ``variables["memory"]["queue"]``, newest first.

    Raises:
        InputError: for an empty queue.
    """
    head = mlp(projector, 128)
    return _queued(encoder, optimizer, head, queue, momentum, temperature, views, image)


def moco_v2(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    queue: int = 65536,
    momentum: Schedule = 0.999,
    temperature: float = 0.2,
    views: Sequence[str] = PAIR,
    image: str = "image",
) -> Learner:
    """MoCo v2 (Chen, Fan, Girshick & He 2020, arXiv:2003.04297): with SimCLR's head.

    `moco_v1` with an MLP of 2048 and 128 and a temperature of 0.2. Stronger augmentation and
    a cosine schedule of the learning rate, its other changes, are the caller's. Arguments
    and errors are those of `moco_v1`.
    """
    head = mlp(projector, 2048, 128)
    return _queued(encoder, optimizer, head, queue, momentum, temperature, views, image)


def moco_v3(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    predictor: Any = None,
    momentum: Schedule = 0.99,
    temperature: float = 0.2,
    views: Sequence[str] = PAIR,
    image: str = "image",
) -> Learner:
    """MoCo v3 (Chen, Xie & He 2021, arXiv:2104.02057): no queue; a predictor; both ways.

    As in the paper (algorithm 1): keys are those of the global batch, the loss is symmetric
    and times ``2 temperature``; projector of three layers and predictor of two, with batch
    norm. What differs: both views go through batch norm as one batch. The frozen patch
    projection that steadies a ViT is the optimiser's (mask its gradient).

    Args:
        encoder: as for `simclr`.
        optimizer: any Optax transformation.
        projector: by default 4096, 4096 and 256.
        predictor: of the projection; by default 4096 and 256.
        momentum: of the key encoder; the paper's is ``cosine(0.99, 1.0, steps)``.
        temperature: of the loss.
        views: the batch's entries of the two views.
        image: see `simclr`.

    Returns:
        A learner as `simclr` makes it; the key encoder is ``extras["teacher"]``.
    """
    module = Embedder(
        encoder,
        mlp(projector, 4096, 4096, 256, norm=True, last_norm=True),
        mlp(predictor, 4096, 256, norm=True, last_norm=True),
    )

    def objective(params, state, batch, key):
        pair = [batch[name] for name in views]
        students, collections = passes(module, params, collections_of(state), pair, key)
        teachers, beside = teacher_passes(module, state, pair, key)
        q1, q2 = (one.prediction for one in students)
        k1, k2 = (projection for _, projection in teachers)
        there = info_nce(q1, k2, temperature=temperature)
        back = info_nce(q2, k1, temperature=temperature)
        values = 2 * temperature * (there + back)
        return Outcome(values, collections, {TEACHER: beside}, {"spread": spread(k1)})

    return pretraining(
        module,
        objective,
        optimizer,
        example=lambda batch: (batch[views[0]],),
        image=image,
        teacher=("encoder", "projector"),
        momentum=momentum,
    )


def _queued(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    projector: Any,
    length: int,
    momentum: Schedule,
    temperature: float,
    views: Sequence[str],
    image: str,
) -> Learner:
    if length < 1:
        raise InputError("queue", "a length of at least 1", length)
    module = Embedder(encoder, projector)

    def memory(key, params, collections, batch):
        variables = {"params": params, **collections}
        shapes = jax.eval_shape(module.apply, variables, batch[views[0]])
        return {QUEUE: random_unit(key, (length, shapes.projection.shape[-1]))}

    def objective(params, state, batch, key):
        query, key_view = (batch[name] for name in views)
        (student,), collections = passes(module, params, collections_of(state), [query], key)
        ((_, found),), beside = teacher_passes(module, state, [key_view], key)
        queue = state.variables[MEMORY][QUEUE]
        values = queue_nce(student.projection, found, queue, temperature=temperature)
        after = {TEACHER: beside, QUEUE: enqueued(queue, unit(found))}
        return Outcome(values, collections, after, {"spread": spread(found)})

    return pretraining(
        module,
        objective,
        optimizer,
        example=lambda batch: (batch[views[0]],),
        image=image,
        memory=memory,
        teacher=("encoder", "projector"),
        momentum=momentum,
    )


def enqueued(
    queue: Float[Array, "length dim"], keys: Float[Array, "batch dim"]
) -> Float[Array, "length dim"]:
    """The queue with new keys at its head and as many of its oldest gone."""
    # Whole, not in place at a pointer: any batch size serves, and it is a copy of megabytes.
    return jnp.concatenate([keys.astype(queue.dtype), queue])[: queue.shape[0]]


def random_unit(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Unit vectors, evenly over the sphere."""
    return unit(jax.random.normal(key, shape))

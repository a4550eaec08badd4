"""BYOL: a student predicts its own slow copy; there are no negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optax

from medjax.learners.learner import Learner
from medjax.losses.distillation import cosine_regression

from .heads import Embedder, mlp
from .passes import passes, teacher_passes
from .pretrain import (
    TEACHER,
    Outcome,
    Schedule,
    collections_of,
    pretraining,
    spread,
)
from .simclr import PAIR


def byol(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    predictor: Any = None,
    momentum: Schedule = 0.996,
    views: Sequence[str] = PAIR,
    image: str = "image",
) -> Learner:
    """BYOL (Grill et al. 2020, arXiv:2006.07733): bootstrap your own latent.

    As in the paper: the loss of eq. 2 both ways, a slow target network, projector and predictor
    of two layers with batch norm after the first. What differs: both views go through batch
    norm as one batch. Norms of the global batch are what keeps it from collapsing in practice:
    watch ``spread`` where encoder and heads have none.

    Args:
        encoder: as for `simclr`.
        optimizer: any Optax transformation; the paper's is LARS with weight decay.
        projector: by default 4096 and 256.
        predictor: of the projection; by default 4096 and 256.
        momentum: of the target network; the paper's is ``cosine(0.996, 1.0, steps)``.
        views: the batch's entries of the two views.
        image: see `simclr`.

    Returns:
        A learner as `simclr` makes it; the target network is ``extras["teacher"]``.
    """
    module = Embedder(
        encoder, mlp(projector, 4096, 256, norm=True), mlp(predictor, 4096, 256, norm=True)
    )

    def objective(params, state, batch, key):
        pair = [batch[name] for name in views]
        students, collections = passes(module, params, collections_of(state), pair, key)
        teachers, beside = teacher_passes(module, state, pair, key)
        first, second = (one.prediction for one in students)
        (_, of_first), (_, of_second) = teachers
        values = cosine_regression(first, of_second) + cosine_regression(second, of_first)
        return Outcome(values, collections, {TEACHER: beside}, {"spread": spread(of_first)})

    return pretraining(
        module,
        objective,
        optimizer,
        example=lambda batch: (batch[views[0]],),
        image=image,
        teacher=("encoder", "projector"),
        momentum=momentum,
    )

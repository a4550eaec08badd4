"""Methods whose negatives are the other samples of the batch: SimCLR and its kin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import optax

from medjax.core.types import Array, Batch, Float
from medjax.learners.learner import Learner
from medjax.losses.contrastive import nt_xent, supervised_contrastive

from .heads import Embedder, mlp
from .passes import passes
from .pretrain import Outcome, collections_of, pretraining, spread

PAIR = ("first", "second")
"""The entries of a pair of views."""


def simclr(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    temperature: float = 0.1,
    views: Sequence[str] = PAIR,
    image: str = "image",
) -> Learner:
    """SimCLR (Chen et al. 2020, arXiv:2002.05709): two views of an image find each other.

    As in the paper: `nt_xent` over the ``2 batch`` views of the global batch, a projector of
    two layers, both views in one pass. What differs: views are the caller's (see
    `medjax.augment.views`), and so is the optimiser (the paper's is LARS). Memory does not
    grow with the square of the batch.

    Args:
        encoder: any module ``(images, train=...) -> (batch, channel)``, 2D or 3D.
        optimizer: any Optax transformation.
        projector: ``(features, train) -> (batch, dim)``; by default an MLP of 2048 and 128.
        temperature: of the cosines; 0.1 is the best of the paper's table 5.
        views: the batch's entries of the two views.
        image: the batch's entry that `predict` gives the features of.

    Returns:
        A learner whose scalars are ``loss``, ``gradient_norm`` and ``spread`` of the
        projections (`medjax.learners.contrastive.pretrain.spread`), and whose `predict`
        returns the encoder's features, without the projector.
    """

    def loss(first: Array, second: Array, batch: Batch) -> Float[Array, " batch"]:
        return nt_xent(first, second, temperature=temperature)

    return in_batch(encoder, optimizer, mlp(projector, 2048, 128), loss, views, image)


def supcon(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    temperature: float = 0.1,
    label: str = "label",
    views: Sequence[str] = PAIR,
    image: str = "image",
) -> Learner:
    """Supervised contrastive learning (Khosla et al. 2020, arXiv:2004.11362).

    All views of a class are positives of each other (eq. 2, "out"). A linear classifier on
    the frozen features follows, as in the paper.

    Args:
        encoder: as for `simclr`, as are the others.
        optimizer: see there.
        projector: see there.
        temperature: see there.
        label: the batch's entry of classes, integer ``(batch,)``.
        views: see there.
        image: see there.
    """

    def loss(first: Array, second: Array, batch: Batch) -> Float[Array, " batch"]:
        both = jnp.stack([first, second], 1).reshape(-1, first.shape[-1])
        labels = jnp.repeat(batch[label], 2)
        values = supervised_contrastive(both, labels, temperature=temperature)
        return jnp.mean(values.reshape(-1, 2), 1)

    return in_batch(encoder, optimizer, mlp(projector, 2048, 128), loss, views, image)


def in_batch(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    projector: Any,
    loss: Callable[[Array, Array, Batch], Float[Array, " batch"]],
    views: Sequence[str],
    image: str,
) -> Learner:
    """A learner by a loss between the projections of two views, ``(first, second, batch)``."""
    module = Embedder(encoder, projector)

    def objective(params, state, batch, key):
        pair = [batch[name] for name in views]
        embedded, collections = passes(module, params, collections_of(state), pair, key)
        first, second = (one.projection for one in embedded)
        values = loss(first, second, batch)
        return Outcome(values, collections, {}, {"spread": spread(first)})

    return pretraining(
        module, objective, optimizer, example=lambda batch: (batch[views[0]],), image=image
    )

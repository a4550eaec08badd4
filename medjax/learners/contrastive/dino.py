"""DINO: self-distillation with no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.views import LARGE, small_names
from medjax.core.arrays import with_rank
from medjax.core.types import Array, Float, PyTree
from medjax.learners.learner import Learner
from medjax.losses.distillation import centred_softmax, distillation

from .heads import Embedder, PrototypeHead
from .passes import passes, teacher_passes
from .pretrain import (
    MEMORY,
    TEACHER,
    Outcome,
    Schedule,
    at,
    collections_of,
    pretraining,
    spread,
)

CENTRE = "centre"


def dino(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    momentum: Schedule = 0.996,
    temperature: float = 0.1,
    teacher_temperature: Schedule = 0.04,
    centre_momentum: float = 0.9,
    held_steps: int = 0,
    large: Sequence[str] = LARGE,
    small: Sequence[str] = small_names(8),
    image: str = "image",
) -> Learner:
    """DINO (Caron et al. 2021, arXiv:2104.14294): what a teacher sees in large views.

    As in the paper: the teacher sees the large views, the student all; cross-entropy over all
    pairs of different views (eq. 3), a centre of the teacher's logits (eq. 4), which goes with
    the global batch, schedules of the teacher's momentum and temperature. Large and small
    views are a pass each. `predict` uses the teacher, as the paper's evaluations do.

    Args:
        encoder: as for `simclr`; takes views of both sizes.
        optimizer: any Optax transformation.
        projector: ``(features, train) -> (batch, prototypes)``; by default `PrototypeHead`.
        momentum: of the teacher; the paper's is ``cosine(0.996, 1.0, steps)``.
        temperature: of the student.
        teacher_temperature: a number or a function of the step; the paper's rises in a line
            to 0.07 (``optax.linear_schedule(0.04, 0.07, steps)``).
        centre_momentum: of the centre.
        held_steps: steps, from the start, in which no gradient reaches the prototypes: an
            epoch's in the paper.
        large: the batch's entries of large views, as `multi_crop` makes them.
        small: likewise of small ones; none is fine.
        image: see `simclr`.

    Returns:
        A learner whose scalars are ``loss``, ``gradient_norm``, ``spread`` of the teacher's
        features, and ``teacher_entropy`` in nats: collapse shows as 0 or as the logarithm of
        the number of prototypes. The teacher is ``extras["teacher"]``, the centre
        ``variables["memory"]["centre"]``.
    """
    module = Embedder(encoder, PrototypeHead() if projector is None else projector)

    def memory(key, params, collections, batch):
        variables = {"params": params, **collections}
        shapes = jax.eval_shape(module.apply, variables, batch[large[0]])
        return {CENTRE: jnp.zeros(shapes.projection.shape[-1])}

    def objective(params, state, batch, key):
        params = held(params, state.step < held_steps)
        views = [batch[name] for name in (*large, *small)]
        students, collections = passes(module, params, collections_of(state), views, key)
        teachers, beside = teacher_passes(module, state, views[: len(large)], key)
        centre = state.variables[MEMORY][CENTRE]
        cool = at(teacher_temperature, state.step)
        targets = [centred_softmax(logits, centre, cool) for _, logits in teachers]
        values = paired(targets, [one.projection for one in students], temperature)
        seen = jnp.stack([jnp.mean(logits, 0) for _, logits in teachers]).mean(0)
        after = centre_momentum * centre + (1 - centre_momentum) * seen
        scalars = {"spread": spread(teachers[0][0]), "teacher_entropy": entropy(targets[0])}
        return Outcome(values, collections, {TEACHER: beside, CENTRE: after}, scalars)

    return pretraining(
        module,
        objective,
        optimizer,
        example=lambda batch: (batch[large[0]],),
        image=image,
        memory=memory,
        teacher=("encoder", "projector"),
        momentum=momentum,
        predict_with_teacher=True,
    )


def paired(
    targets: Sequence[Array], logits: Sequence[Array], temperature: float
) -> Float[Array, " batch"]:
    """Mean `distillation` over pairs of a teacher's view and another view of the student.

    Args:
        targets: the teacher's distributions of the first views.
        logits: the student's of all views, in the same order.
        temperature: the student's.
    """
    terms = [
        distillation(student, target, temperature=temperature)
        for i, target in enumerate(targets)
        for j, student in enumerate(logits)
        if i != j
    ]
    return jnp.stack(terms).mean(0)


def held(params: PyTree, hold: Array) -> PyTree:
    """Parameters of which the leaves named ``prototypes`` get no gradient where ``hold``."""

    def one(path: Any, leaf: Array) -> Array:
        if getattr(path[-1], "key", None) != "prototypes":
            return leaf
        return jnp.where(with_rank(hold, leaf.ndim), jax.lax.stop_gradient(leaf), leaf)

    return jax.tree_util.tree_map_with_path(one, params)


def entropy(probabilities: Float[Array, "batch prototype"]) -> Float[Array, ""]:
    """Mean entropy in nats."""
    safe = jnp.where(probabilities > 0, probabilities, 1)
    return -jnp.mean(jnp.sum(probabilities * jnp.log(safe), -1))

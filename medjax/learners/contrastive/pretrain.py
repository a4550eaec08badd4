"""From an objective over views to a learner: what all methods here share.

What changes where:

- The optimiser's step changes ``state.params``, and with them a slow copy of the student, the
  teacher, ``state.extras["teacher"]``.
- A forward pass changes ``state.variables``: the student's own collections (batch statistics)
  and one more, ``"memory"``: the teacher's collections, a queue, a centre, a memory bank. They
  pass from micro-batch to micro-batch under `accumulated`, as batch statistics do.

So with `accumulated` a queue takes in each micro-batch's keys and a centre moves with each
micro-batch. What cannot be accumulated is a loss over the pairs of a batch (`simclr`, `moco_v3`,
`supcon`, `micle`, `convirt`, `local_global`, KoLeo and Sinkhorn in `dinov2`): it is then that of
the micro-batch, with fewer negatives. `moco_v1`, `moco_v2`, `medaug`, `pirl`, `byol` and `dino`
lose nothing but what batch norm and centring see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from medjax.core.types import Array, Batch, Float, Key, PyTree, Scalars
from medjax.learners.learner import Gradients, Learner, Phase, State
from medjax.losses.pairs import unit

Schedule = Callable[[Array], Any] | float
"""A number, or a function of the step (any Optax schedule)."""

TEACHER = "teacher"
MEMORY = "memory"


class Outcome(NamedTuple):
    """What an objective gives.

    Attributes:
        values: one a sample, whose mean is minimised.
        collections: the student's collections after its passes.
        memory: the next ``state.variables["memory"]``, of the same structure.
        scalars: what to report beside the loss.
    """

    values: Float[Array, " batch"]
    collections: PyTree
    memory: dict[str, PyTree]
    scalars: Scalars


Objective = Callable[[PyTree, State, Batch, Key[Array, ""]], Outcome]
"""``(params, state, batch, key) -> Outcome``; gradients are taken of ``params`` alone."""


def pretraining(
    module: Any,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    example: Callable[[Batch], tuple],
    image: str = "image",
    memory: Callable[[Key[Array, ""], PyTree, PyTree, Batch], dict[str, PyTree]] | None = None,
    teacher: Sequence[str] = (),
    momentum: Schedule = 0.0,
    predict_with_teacher: bool = False,
) -> Learner:
    """A learner whose `predict` gives the features of an encoder that learns without labels.

    Args:
        module: has the parts of the method, and a method ``encode(images, train)``.
        objective: what is minimised.
        optimizer: any Optax transformation.
        example: from a batch to the arguments of ``module`` that make all its parameters.
        image: the batch's entry that `predict` reads; training does not.
        memory: ``(key, params, collections, batch) -> memory`` at the start.
        teacher: parts of the module of which a teacher is kept; none keeps none.
        momentum: of the teacher: ``teacher <- m teacher + (1 - m) student`` after each step,
            a function of the number of steps taken before.
        predict_with_teacher: predict with its parameters, not the student's.
    """

    def init(key, batch):
        variables = dict(module.init(key, *example(batch), train=False))
        params = variables.pop("params")
        extras = {}
        if teacher:
            # A copy: state is donated to the step, and a buffer can be given away once.
            extras[TEACHER] = jax.tree.map(jnp.copy, {name: params[name] for name in teacher})
        if memory is not None or teacher:
            own = (
                {}
                if memory is None
                else memory(jax.random.fold_in(key, 1), params, variables, batch)
            )
            if teacher:
                own[TEACHER] = jax.tree.map(jnp.copy, variables)
            variables[MEMORY] = own
        return State(jnp.zeros((), jnp.int32), params, variables, optimizer.init(params), extras)

    def gradients(state, batch, key):
        def mean(params):
            outcome = objective(params, state, batch, key)
            variables = dict(outcome.collections)
            if MEMORY in state.variables:
                variables[MEMORY] = jax.lax.stop_gradient(outcome.memory)
            return jnp.mean(outcome.values), (variables, outcome.scalars)

        (value, (variables, scalars)), grads = jax.value_and_grad(mean, has_aux=True)(state.params)
        report = {"loss": value, "gradient_norm": optax.tree.norm(grads), **scalars}
        return Gradients(grads, variables, jax.lax.stop_gradient(report))

    def update(state, computed):
        # Optax raises floats to integer powers, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt = optimizer.update(computed.grads, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        extras = state.extras
        if teacher:
            rate = 1 - at(momentum, state.step)
            slow = jax.tree.map(
                lambda t, s: t + rate.astype(t.dtype) * (s - t),
                extras[TEACHER],
                {name: params[name] for name in teacher},
            )
            extras = {**extras, TEACHER: slow}
        return state.replace(
            params=params, variables=computed.variables, optimizer=opt, extras=extras
        )

    def predict(state, batch):
        params, collections = state.params, collections_of(state)
        if predict_with_teacher:
            params, collections = state.extras[TEACHER], state.variables[MEMORY][TEACHER]
        return module.apply(
            {"params": params, **collections}, batch[image], train=False, method="encode"
        )

    return Learner(init, (Phase(gradients, update),), predict)


def at(schedule: Schedule, step: Array) -> Float[Array, ""]:
    """The value of a schedule at a step, float32."""
    with jax.numpy_dtype_promotion("standard"):
        value = schedule(step) if callable(schedule) else schedule
    return jnp.asarray(value, jnp.float32)


def cosine(start: float, end: float, steps: int) -> Callable[[Array], Float[Array, ""]]:
    """From ``start`` to ``end`` in ``steps`` steps along half a cosine; then ``end``.

    ``cosine(0.996, 1.0, steps)`` is the momentum of BYOL (arXiv:2006.07733), DINO
    and MoCo v3.
    """

    def schedule(step: Array) -> Float[Array, ""]:
        share = jnp.minimum(step.astype(jnp.float32) / steps, 1)
        return end - (end - start) * 0.5 * (1 + jnp.cos(jnp.pi * share))

    return schedule


def collections_of(state: State) -> dict[str, PyTree]:
    """The student's collections beside its parameters."""
    return {name: tree for name, tree in state.variables.items() if name != MEMORY}


def encoder_variables(state: State, *, teacher: bool = False) -> dict[str, PyTree]:
    """The variables of the bare encoder, to be fine-tuned: ``encoder.apply(variables, ...)``.

    Args:
        state: of any learner of this package.
        teacher: take the teacher's, as `dino` and `dinov2` do for their features.
    """
    params, collections = state.params, collections_of(state)
    if teacher:
        params, collections = state.extras[TEACHER], state.variables[MEMORY][TEACHER]
    parts = {name: tree["encoder"] for name, tree in collections.items() if "encoder" in tree}
    return {"params": params["encoder"], **parts}


def spread(features: Float[Array, "batch channel"]) -> Float[Array, ""]:
    """A monitor of collapse: 0 where all features are one, about 1 where they fill the sphere.

    The mean standard deviation of unit vectors' channels times the root of their number (Chen
    & He 2021, SimSiam, arXiv:2011.10566, section 4.1).
    """
    x = unit(jax.lax.stop_gradient(features))
    return jnp.mean(jnp.std(x, 0)) * x.shape[-1] ** 0.5

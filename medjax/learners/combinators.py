"""Combinators: take a learner, return a learner."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Key, PyTree

from .learner import Gradients, Learner, Phase, State


def augmented(learner: Learner, transform: Callable[[Key[Array, ""], Batch], Batch]) -> Learner:
    """Train on ``transform(key, batch)``: augmentation or simulation, on the device.

    Args:
        learner: any learner.
        transform: ``(key, batch) -> batch``, pure; sees the whole (sharded) batch.

    `predict` is left alone: what a network is evaluated on is prepared by the
    evaluation, with a transform of its own.

    All phases of a step see the same transformed batch: they draw from the same
    key, and XLA keeps one copy of the work.
    """

    def init(key, batch):
        return learner.init(key, transform(key, batch))

    def prepared(phase: Phase) -> Phase:
        def gradients(state, batch, key):
            data_key = jax.random.fold_in(key, _DATA)
            return phase.gradients(state, transform(data_key, batch), key)

        return phase._replace(gradients=gradients)

    return learner._replace(init=init, phases=tuple(map(prepared, learner.phases)))


_DATA = 0x0DA7A  # folded into a step's key for the data, so that it meets no key of the network


def averaged(learner: Learner, decay: float = 0.999) -> Learner:
    """Predict with an exponential moving average of the parameters.

    ``average <- d average + (1 - d) params`` after every step, with
    ``d = min(decay, (1 + t) / (10 + t))`` at step ``t`` from 0, so that a short
    run is not held back by its start (the warm-up of TensorFlow's
    ExponentialMovingAverage). The average lives in ``state.extras["average"]``.

    Args:
        learner: any learner.
        decay: between 0 and 1.

    Raises:
        InputError: for a decay outside [0, 1).
    """
    if not 0 <= decay < 1:
        raise InputError("decay", "a number in [0, 1)", decay)
    *before, last = learner.phases

    def init(key, batch):
        state = learner.init(key, batch)
        # A copy: state is donated to the step, and a buffer can be given away once.
        average = jax.tree.map(jnp.copy, state.params)
        return state.replace(extras={**state.extras, "average": average})

    def update(state, computed):
        state = last.update(state, computed)
        t = state.step.astype(jnp.float32)
        d = jnp.minimum(decay, (1 + t) / (10 + t))
        average = jax.tree.map(
            lambda a, p: a + (1 - d).astype(a.dtype) * (p - a),
            state.extras["average"],
            state.params,
        )
        return state.replace(extras={**state.extras, "average": average})

    def predict(state, batch):
        return learner.predict(state.replace(params=state.extras["average"]), batch)

    return Learner(init, (*before, last._replace(update=update)), predict)


def settled(state: State) -> State:
    """The state with averaged parameters in place, where `averaged` keeps an average of them."""
    return state.replace(params=state.extras.get("average", state.params))


def variables_of(state: State) -> dict[str, PyTree]:
    """The variables of a learner's one network, averaged where there is an average."""
    return {"params": settled(state).params, **state.variables}


def accumulated(learner: Learner, parts: int) -> Learner:
    """Compute each gradient over ``parts`` micro-batches in turn: the memory of one.

    The gradient is the mean of the parts' gradients, so a mean loss is
    unchanged but for rounding. Batch statistics pass from part to part; scalars
    are means. Micro-batches take every ``parts``-th sample, so that a batch
    sharded over devices keeps all of them at work.

    Args:
        learner: any learner.
        parts: how many; must divide the batch.

    Raises:
        InputError: for ``parts`` below one, or, when traced, one that does not
            divide the batch.
    """
    if parts < 1:
        raise InputError("parts", "a number of at least 1", parts)

    def split(batch: Batch) -> Batch:
        def one(x):
            if x.shape[0] % parts:
                raise InputError("parts", f"a divisor of the batch size {x.shape[0]}", parts)
            return jnp.moveaxis(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 1, 0)

        return jax.tree.map(one, batch)

    def accumulate(phase: Phase) -> Phase:
        def gradients(state, batch, key):
            def body(carry, part):
                index, micro = part
                total, variables = carry
                got = phase.gradients(
                    state.replace(variables=variables), micro, jax.random.fold_in(key, index)
                )
                sums = jax.tree.map(jnp.add, total, (got.grads, got.scalars))
                return (sums, got.variables), None

            micro = split(batch)
            first = jax.tree.map(lambda x: x[0], micro)
            shapes = jax.eval_shape(phase.gradients, state, first, key)
            zeros = jax.tree.map(
                lambda s: jnp.zeros(s.shape, s.dtype), (shapes.grads, shapes.scalars)
            )
            (sums, variables), _ = jax.lax.scan(
                body, (zeros, state.variables), (jnp.arange(parts), micro)
            )
            grads, scalars = jax.tree.map(lambda s: s / parts, sums)
            return Gradients(grads, variables, scalars)

        return phase._replace(gradients=gradients)

    return learner._replace(phases=tuple(map(accumulate, learner.phases)))

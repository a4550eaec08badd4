"""From an objective over several of a module's methods to a learner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from medjax.core.types import Array
from medjax.learners.learner import Gradients, Learner, Phase, State
from medjax.learners.objective import descend

Loss = Callable[[Array, Array], Array]
"""``(prediction, target) -> (batch,)``."""


class Methods(NamedTuple):
    """A module whose `apply` takes a method's name before its inputs."""

    module: Any

    def apply(self, variables: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return self.module.apply(variables, *inputs, method=method, **options)


def by_methods(
    module: Any,
    objective: Callable,
    optimizer: optax.GradientTransformation,
    inputs: tuple[str, ...],
    *,
    first: str = "__call__",
) -> Learner:
    """Minimise ``objective(network, variables, batch, key, step)``.

    Args:
        module: a Flax module with methods that take ``train``.
        objective: as `medjax.learners.objective.Objective`, but that ``network(variables,
            method, *inputs, key=key)`` is of a method, and with the number of steps taken.
        optimizer: any Optax transformation.
        inputs: the batch's entries that the module takes.
        first: the method that makes all its parameters.
    """

    def init(key, batch):
        arguments = (batch[name] for name in inputs)
        variables = dict(module.init(key, *arguments, train=False, method=first))
        params = variables.pop("params")
        return State(jnp.zeros((), jnp.int32), params, variables, optimizer.init(params))

    def phase(step: Array) -> Phase:
        def at_step(network, variables, batch, key):
            return objective(network, variables, batch, key, step)

        return descend(Methods(module), at_step, optimizer)

    def gradients(state, batch, key) -> Gradients:
        return phase(state.step).gradients(state, batch, key)

    def predict(state, batch):
        variables = {"params": state.params, **state.variables}
        return module.apply(variables, *(batch[name] for name in inputs), train=False)

    update = phase(jnp.zeros((), jnp.int32)).update
    return Learner(init, (Phase(gradients, update),), predict)

"""A combinator that reports moving averages of scalars, to read a noisy log by."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError

from .learner import Learner, Phase

SMOOTHED = "smoothed"


def smoothed(learner: Learner, names: Sequence[str] = (), *, decay: float = 0.98) -> Learner:
    """Report ``smooth/NAME`` beside scalars: their exponential moving average over steps.

    Single steps of players that train against each other tell little: a discriminator that is
    right in one batch of eight is not yet one that has won. Rules of
    `medjax.training.watch` may go by the averages. They begin as plain means over the steps
    taken, so that the start has no bias.

    Args:
        learner: any; its step is the same.
        names: of scalars, by default all.
        decay: of the average; 0.98 is a memory of about 50 steps.

    Returns:
        A learner whose averages are ``state.extras["smoothed"]``.

    Raises:
        InputError: for a decay outside [0, 1); when called, for names that are no scalars.
    """
    if not 0 <= decay < 1:
        raise InputError("decay", "a number in [0, 1)", decay)

    def init(key, batch):
        state = learner.init(key, batch)
        _, scalars = jax.eval_shape(learner.step, state, batch, key)
        if missing := [name for name in names if name not in scalars]:
            raise InputError("names", f"among {', '.join(sorted(scalars))}", ", ".join(missing))
        start = {name: jnp.zeros((), jnp.float32) for name in names or scalars}
        return state.replace(extras={**state.extras, SMOOTHED: start})

    def averaged(phase: Phase) -> Phase:
        def gradients(state, batch, key):
            computed = phase.gradients(state, batch, key)
            rate = jnp.maximum(1 - decay, 1 / (state.step.astype(jnp.float32) + 1))
            means = {
                f"smooth/{name}": mean + rate * (computed.scalars[name].astype(jnp.float32) - mean)
                for name, mean in state.extras[SMOOTHED].items()
                if name in computed.scalars
            }
            return computed._replace(scalars={**computed.scalars, **means})

        def update(state, computed):
            means = {
                name: computed.scalars.get(f"smooth/{name}", mean)
                for name, mean in state.extras[SMOOTHED].items()
            }
            state = phase.update(state, computed)
            return state.replace(extras={**state.extras, SMOOTHED: means})

        return Phase(gradients, update)

    return learner._replace(init=init, phases=tuple(map(averaged, learner.phases)))

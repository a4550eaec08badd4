"""Moving averages: their formula, of which scalars, and that nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.learners import Gradients, Learner, Phase, State, smoothed


def counting():
    """A learner of two phases that reports the square of its step, and the step."""

    def phase(report):
        return Phase(lambda state, *_: Gradients({}, {}, report(state)), lambda state, _: state)

    start = State(jnp.zeros((), jnp.int32), {}, {}, ())
    phases = (
        phase(lambda state: {"square": (state.step**2).astype(jnp.bfloat16)}),
        phase(lambda state: {"loss": state.step.astype(jnp.float32)}),
    )
    return Learner(lambda key, batch: start, phases, lambda state, batch: batch)


def test_averages_are_means_at_first_and_forget_later():
    learner = smoothed(counting(), decay=0.75)
    state = learner.init(jax.random.key(0), {})
    step = jax.jit(learner.step)
    mean = {"loss": 0.0, "square": 0.0}
    for number in range(6):
        state, scalars = step(state, {}, jax.random.key(0))
        for name, value in (("loss", number), ("square", number**2)):
            mean[name] += max(0.25, 1 / (number + 1)) * (value - mean[name])
            np.testing.assert_allclose(scalars[f"smooth/{name}"], mean[name], rtol=1e-6)
            np.testing.assert_array_equal(scalars[f"smooth/{name}"], state.extras["smoothed"][name])
        assert scalars["loss"] == number
    assert set(scalars) == {"loss", "square", "smooth/loss", "smooth/square"}


def test_only_what_is_named():
    learner = smoothed(counting(), ("loss",))
    state = learner.init(jax.random.key(0), {})
    assert set(state.extras["smoothed"]) == {"loss"}
    with pytest.raises(InputError, match="names: expected among loss, square, got rank"):
        smoothed(counting(), ("rank",)).init(jax.random.key(0), {})
    with pytest.raises(InputError, match="decay"):
        smoothed(counting(), decay=1.0)

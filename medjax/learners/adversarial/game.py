"""Two networks that train against each other: what all adversarial learners share.

A step is one phase a turn: first the discriminator's, once or several times, then the
generator's. Each player has its own parameters, collections and optimiser's state:

    state.params     {"generator": ..., "discriminator": ...}
    state.optimizer  {"generator": ..., "discriminator": ...}
    state.variables  {"generator": ..., "discriminator": ..., "memory": ...}

The memory holds what a method remembers beside: a chance of augmentation, a mean path length,
a pool of images, the discriminator's last loss. It passes from micro-batch to micro-batch under
`accumulated`, as batch statistics do. A player's pass through the other's network leaves the
other's collections as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key, PyTree, Scalars
from medjax.learners.learner import Gradients, Learner, Phase, State

GENERATOR = "generator"
DISCRIMINATOR = "discriminator"
MEMORY = "memory"
AVERAGE = "average"


class Outcome(NamedTuple):
    """What a player's objective gives.

    Attributes:
        value: what it minimises, a scalar.
        collections: its own after its passes.
        memory: the next ``state.variables["memory"]``, of the same structure.
        scalars: what to report.
    """

    value: Float[Array, ""]
    collections: PyTree
    memory: dict[str, PyTree]
    scalars: Scalars


Objective = Callable[[PyTree, State, Batch, Key[Array, ""]], Outcome]
"""``(params, state, batch, key) -> Outcome``; gradients are of ``params``, the player's own."""


class Player(NamedTuple):
    """One side of the game.

    Attributes:
        init: ``(key, batch) -> variables`` of its module, ``{"params": ..., ...}``.
        objective: what it minimises.
        optimizer: any Optax transformation.
    """

    init: Callable[[Key[Array, ""], Batch], Mapping[str, PyTree]]
    objective: Objective
    optimizer: optax.GradientTransformation


def game(
    generator: Player,
    discriminator: Player,
    *,
    predict: Callable[[State, Batch], PyTree],
    memory: Callable[[State, Batch], dict[str, PyTree]] = lambda state, batch: {},
    discriminator_steps: int = 1,
    average: float | None = None,
) -> Learner:
    """A learner of two players.

    Args:
        generator: moves last.
        discriminator: moves first.
        predict: ``(state, batch) -> outputs``; ``state.params["generator"]`` is the average
            where there is one.
        memory: ``(state, batch) -> memory`` at the start.
        discriminator_steps: its moves a step. Each sees its own part of the batch, every
            so-manieth sample, and so does the generator; so the batch must be as many times
            larger.
        average: decay of an exponential moving average of the generator's parameters in
            ``state.extras["average"]``, with the warm-up of `medjax.learners.averaged`, by
            which `predict` goes; None for none.

    Returns:
        A learner whose scalars are ``generator_loss`` (``loss`` too), ``discriminator_loss``,
        their ``loss_ratio`` (the discriminator's by the generator's, in magnitude),
        ``generator_gradient_norm``, ``discriminator_gradient_norm``, and the objectives' own.

    Raises:
        InputError: for a decay outside [0, 1) or fewer moves than one; when called, for a batch
            that the moves do not divide.
    """
    if discriminator_steps < 1:
        raise InputError("discriminator_steps", "at least 1", discriminator_steps)
    if average is not None and not 0 <= average < 1:
        raise InputError("average", "a number in [0, 1), or None", average)
    players = {DISCRIMINATOR: discriminator, GENERATOR: generator}

    def init(key, batch):
        batch = _part(batch, 0, discriminator_steps)
        params, variables, optimizer = {}, {}, {}
        for number, (name, player) in enumerate(players.items()):
            own = dict(player.init(jax.random.fold_in(key, number), batch))
            params[name] = own.pop("params", {})
            variables[name] = own
            optimizer[name] = player.optimizer.init(params[name])
        extras = {}
        if average is not None:
            # A copy: state is donated to the step, and a buffer can be given away once.
            extras[AVERAGE] = jax.tree.map(jnp.copy, params[GENERATOR])
        state = State(jnp.zeros((), jnp.int32), params, variables, optimizer, extras)
        last = {"discriminator_loss": jnp.zeros((), jnp.float32)}
        return state.replace(variables={**variables, MEMORY: {**memory(state, batch), **last}})

    def turn(name: str, number: int, part: int) -> Phase:
        player = players[name]

        def gradients(state, batch, key):
            batch = _part(batch, part, discriminator_steps)
            key = jax.random.fold_in(key, number)

            def value(params):
                outcome = player.objective(params, state, batch, key)
                return outcome.value, outcome

            derivative = jax.value_and_grad(value, has_aux=True)
            (loss, outcome), grads = derivative(state.params[name])
            report = {
                f"{name}_loss": loss,
                f"{name}_gradient_norm": optax.tree.norm(grads),
                **outcome.scalars,
            }
            kept = {**state.variables[MEMORY], **outcome.memory}
            if name == DISCRIMINATOR:
                kept["discriminator_loss"] = loss
            else:
                report["loss"] = loss
                report["loss_ratio"] = jnp.abs(kept["discriminator_loss"]) / (jnp.abs(loss) + 1e-8)
            variables = {**state.variables, name: outcome.collections, MEMORY: kept}
            return Gradients(grads, *jax.lax.stop_gradient((variables, report)))

        def update(state, computed):
            # Optax raises floats to integer powers, which strict promotion forbids.
            with jax.numpy_dtype_promotion("standard"):
                updates, optimizer = player.optimizer.update(
                    computed.grads, state.optimizer[name], state.params[name]
                )
            params = optax.apply_updates(state.params[name], updates)
            extras = state.extras
            if name == GENERATOR and average is not None:
                extras = {**extras, AVERAGE: _averaged(extras[AVERAGE], params, state.step)}
            return state.replace(
                params={**state.params, name: params},
                variables=computed.variables,
                optimizer={**state.optimizer, name: optimizer},
                extras=extras,
            )

        return Phase(gradients, update)

    def _averaged(slow: PyTree, params: PyTree, step: Array) -> PyTree:
        t = step.astype(jnp.float32)
        rate = 1 - jnp.minimum(average, (1 + t) / (10 + t))
        return jax.tree.map(lambda a, p: a + rate.astype(a.dtype) * (p - a), slow, params)

    def predicted(state, batch):
        if average is not None:
            state = state.replace(params={**state.params, GENERATOR: state.extras[AVERAGE]})
        return predict(state, batch)

    turns = [turn(DISCRIMINATOR, number, number) for number in range(discriminator_steps)]
    turns.append(turn(GENERATOR, discriminator_steps, 0))
    return Learner(init, tuple(turns), predicted)


def generator_variables(state: State) -> dict[str, PyTree]:
    """The generator's variables, averaged where they are: what is kept when training is over.

    Args:
        state: of a learner of `game`.
    """
    params = state.extras.get(AVERAGE, state.params[GENERATOR])
    return {"params": params, **state.variables[GENERATOR]}


def applied(
    module: Any,
    params: PyTree,
    collections: PyTree,
    inputs: tuple,
    key: Key[Array, ""],
    *,
    method: str | None = None,
) -> tuple[Any, PyTree]:
    """A module's output in training, and its collections after.

    The keys of "dropout", "noise" and "style" are folded from ``key``.
    """
    method = {} if method is None else {"method": method}
    if not method:
        method["train"] = True
    return module.apply(
        {"params": params, **collections},
        *inputs,
        mutable=list(collections),
        rngs={name: jax.random.fold_in(key, i) for i, name in enumerate(_RNGS)},
        **method,
    )


def lazily(step: Array, every: int, value: Callable[[], PyTree], otherwise: PyTree) -> PyTree:
    """``value()`` in every so-manieth step, and ``otherwise`` in between, where it costs nothing.

    Lazy regularisation (Karras et al. 2020, arXiv:1912.04958, section 3.1). The caller weighs it
    ``every`` times as much, so that its mean over steps is that of a term in each step.
    """
    if every == 1:
        return value()
    return jax.lax.cond(step % every == 0, value, lambda: otherwise)


def _part(batch: Batch, number: int, parts: int) -> Batch:
    """Every ``parts``-th sample from ``number`` on: a batch over devices stays where it is."""

    def one(x: Array) -> Array:
        if x.shape[0] % parts:
            raise InputError(
                "discriminator_steps", f"a divisor of the batch size {x.shape[0]}", parts
            )
        return x[number::parts]

    return batch if parts == 1 else jax.tree.map(one, dict(batch))


_RNGS = ("dropout", "noise", "style")

"""What translations both ways without pairs share: CycleGAN and those that add a task to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.core.types import Array, Batch, Float, PyTree, Scalars
from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss, accuracy, least_squares
from medjax.losses.pixel import l1

from .game import DISCRIMINATOR, GENERATOR, MEMORY, Outcome, Player, applied, game
from .pool import exchanged

FROZEN = "frozen"

Pair = tuple[Array, Array]
"""Images of the first and of the second kind."""

Term = Callable[
    [Callable[..., Any], Pair, Pair, Batch, PyTree], tuple[Float[Array, " batch"], Scalars]
]
"""``(apply, fake, back, batch, frozen) -> (values, scalars)``, where ``apply(*inputs,
method=...)`` is a method of the generators' module in training."""


class Both(nn.Module):
    """Two networks as one: one for each direction of translation, or each kind of image.

    Attributes:
        first: of or towards the first kind.
        second: of or towards the second kind.
    """

    first: nn.Module
    second: nn.Module

    def __call__(self, for_first: Array, for_second: Array, train: bool = False) -> tuple:
        """Each on its own images."""
        return self.first(for_first, train=train), self.second(for_second, train=train)


def cycled(
    generators: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    first: str,
    second: str,
    cycle: float,
    identity: float,
    pool: int,
    loss: AdversarialLoss | None,
    average: float | None,
    term: Term | None = None,
    seen: Callable[[Pair, PyTree], Pair] = lambda images, frozen: images,
    frozen: PyTree | None = None,
) -> Learner:
    """`medjax.learners.adversarial.cyclegan` and what may be added to it.

    Args:
        generators: ``(second images, first images, train) -> (first, second)``, as `Both`.
        discriminator: of each kind, see `cyclegan`.
        generator_optimizer: see there.
        discriminator_optimizer: see there.
        first: see there.
        second: see there.
        cycle: see there.
        identity: see there.
        pool: see there.
        loss: see there.
        average: see there.
        term: added to what the generators minimise.
        seen: ``(images, frozen) -> images``: what discriminators see of images, of both kinds.
        frozen: variables of a network that stays as it is, for ``term`` and ``seen``. They are
            kept in ``state.extras["frozen"]``, so that a run's checkpoint is all that is needed.
    """
    loss = least_squares() if loss is None else loss
    judges = Both(discriminator.clone(), discriminator.clone())

    def of_discriminator(params, state, batch, key):
        keys = jax.random.split(key, 5)
        own, others = state.variables[DISCRIMINATOR], state.variables[GENERATOR]
        still = state.extras.get(FROZEN)
        real = batch[first], batch[second]
        fixed = state.params[GENERATOR]
        fake, _ = applied(generators, fixed, others, (real[1], real[0]), keys[0])
        fake, memory = jax.lax.stop_gradient(fake), {}
        if pool:
            pairs = [
                exchanged(state.variables[MEMORY][f"pool{i}"], fake[i], keys[1 + i])
                for i in range(2)
            ]
            fake = tuple(shown for shown, _ in pairs)
            memory = {f"pool{i}": after for i, (_, after) in enumerate(pairs)}
        of_real, after = applied(judges, params, own, seen(real, still), keys[3])
        of_fake, after = applied(judges, params, after, seen(fake, still), keys[4])
        sides = list(zip(of_real, of_fake, strict=True))
        value = sum(jnp.mean(loss.discriminator(*side)) for side in sides)
        right = [accuracy(*side, loss.threshold) for side in sides]
        means = [tuple(jnp.mean(x).astype(jnp.float32) for x in side) for side in sides]
        scalars = {
            "real_accuracy": (right[0][0] + right[1][0]) / 2,
            "fake_accuracy": (right[0][1] + right[1][1]) / 2,
            "real_logit": (means[0][0] + means[1][0]) / 2,
            "fake_logit": (means[0][1] + means[1][1]) / 2,
        }
        return Outcome(value, after, memory, scalars)

    def of_generator(params, state, batch, key):
        keys = jax.random.split(key, 6)
        own, others = state.variables[GENERATOR], state.variables[DISCRIMINATOR]
        still = state.extras.get(FROZEN)
        real = batch[first], batch[second]

        def translated(images, collections, key):
            return applied(generators, params, collections, images, key)

        fake, after = translated((real[1], real[0]), own, keys[0])
        back, after = translated((fake[1], fake[0]), after, keys[1])
        fixed = state.params[DISCRIMINATOR]
        of_fake, _ = applied(judges, fixed, others, seen(fake, still), keys[2])
        of_real, _ = applied(judges, fixed, others, seen(real, still), keys[3])
        sides = zip(of_real, of_fake, strict=True)
        value = sum(jnp.mean(loss.generator(*side)) for side in sides)
        circle = sum(jnp.mean(l1(b, r)) for b, r in zip(back, real, strict=True))
        value, scalars = value + cycle * circle, {"cycle": circle}
        if identity:
            same, after = translated(real, after, keys[4])
            stayed = sum(jnp.mean(l1(s, r)) for s, r in zip(same, real, strict=True))
            value, scalars["identity"] = value + cycle * identity * stayed, stayed
        if term is not None:

            def apply(*arguments, method, key=keys[5]):
                nonlocal after
                output, after = applied(generators, params, after, arguments, key, method=method)
                return output

            more, own_scalars = term(apply, fake, back, batch, still)
            value, scalars = value + jnp.mean(more), {**scalars, **own_scalars}
        return Outcome(value, after, {}, scalars)

    def memory(state, batch):
        if not pool:
            return {}
        names = (first, second)
        return {
            f"pool{i}": {
                "images": jnp.zeros((pool, *batch[name].shape[1:]), batch[name].dtype),
                "count": jnp.zeros((), jnp.int32),
            }
            for i, name in enumerate(names)
        }

    def predict(state, batch):
        variables = {"params": state.params[GENERATOR], **state.variables[GENERATOR]}
        into = generators.apply(variables, batch[second], batch[first], train=False)
        return dict(zip((first, second), into, strict=True))

    learner = game(
        Player(
            lambda key, batch: generators.init(key, batch[second], batch[first], train=False),
            of_generator,
            generator_optimizer,
        ),
        Player(
            lambda key, batch: judges.init(
                key, *seen((batch[first], batch[second]), frozen), train=False
            ),
            of_discriminator,
            discriminator_optimizer,
        ),
        predict=predict,
        memory=memory,
        average=average,
    )
    if frozen is None:
        return learner

    def init(key, batch):
        state = learner.init(key, batch)
        # A copy: state is donated to the step, and the caller keeps the network.
        return state.replace(extras={**state.extras, FROZEN: jax.tree.map(jnp.copy, frozen)})

    return learner._replace(init=init)

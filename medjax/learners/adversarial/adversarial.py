"""One learner for a generator and a discriminator; the named GANs are settings of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import Transform, keyed
from medjax.augment.discriminator import Adaptive
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key, Scalars
from medjax.learners.learner import Learner, State
from medjax.losses.adversarial import AdversarialLoss, accuracy, non_saturating

from .game import (
    DISCRIMINATOR,
    GENERATOR,
    MEMORY,
    Outcome,
    Player,
    applied,
    game,
    lazily,
)
from .regularise import Penalty, Regulariser, checked

Inputs = Callable[[Key[Array, ""], Batch], tuple]
"""``(key, batch) -> arguments of the generator``."""

Term = Callable[..., tuple[Float[Array, " batch"], Scalars]]


def latents(
    dim: int,
    *entries: str,
    draw: Callable[[Key[Array, ""], tuple[int, ...]], Array] = jax.random.normal,
) -> Inputs:
    """Inputs of a generator: noise, normal by default, and entries of the batch such as classes.

    A sample's noise follows from the key and its ``index``, whatever batch and device it is in.

    Args:
        dim: of the noise.
        *entries: the batch's entries that follow it.
        draw: ``(key, shape) -> noise``, such as `jax.random.uniform`.

    Raises:
        InputError: for a dimension below 1.
    """
    if dim < 1:
        raise InputError("dim", "at least 1", dim)

    def inputs(key: Key[Array, ""], batch: Batch) -> tuple:
        noise = jax.vmap(lambda k: draw(k, (dim,)))(keyed(key, batch))
        return (noise, *(batch[name] for name in entries))

    return inputs


def entries_of(*names: str) -> Inputs:
    """Inputs of a generator: entries of the batch, as in translation from image to image."""
    return lambda key, batch: tuple(batch[name] for name in names)


def adversarial(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    loss: AdversarialLoss | None = None,
    inputs: Inputs | None = None,
    image: str = "image",
    conditions: Sequence[str] = (),
    penalties: Sequence[Penalty] = (),
    regularisers: Sequence[Regulariser] = (),
    discriminator_steps: int = 1,
    augment: Transform | Adaptive | None = None,
    average: float | None = None,
    read: Callable[[Any], Array] = lambda output: output,
    discriminator_term: Term | None = None,
    generator_term: Term | None = None,
) -> Learner:
    """A generator and a discriminator, by turns (Goodfellow et al. 2014, arXiv:1406.2661).

    Two time scales (Heusel et al. 2017, arXiv:1706.08500) are two optimisers with two learning
    rates. Real and generated images go through the discriminator as two batches, so that batch
    norm does not mix them. The scalars are a log of stability: those of
    `medjax.learners.adversarial.game.game`, ``real_accuracy`` and ``fake_accuracy`` (the shares
    of each kind that the discriminator takes for what they are), ``real_logit``,
    ``fake_logit``, ``penalty`` and ``regulariser`` (weighted; 0 in steps without), and
    ``augment_chance`` where that adapts.

    Args:
        generator: ``(*inputs, train) -> images (batch, *spatial, channel)``.
        discriminator: ``(images, *conditions, train) -> logits (batch, ...)``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        loss: of `medjax.losses.adversarial`; `non_saturating` by default.
        inputs: what the generator is given; `latents` of 128 by default.
        image: the batch's entry of real images, floating, channels last.
        conditions: the batch's entries that the discriminator is given beside an image.
        penalties: of the discriminator.
        regularisers: of the generator.
        discriminator_steps: see `game`.
        augment: what both kinds of images go through before the discriminator sees them, with
            the generator's gradient through it (Zhao et al. 2020, arXiv:2006.10738): a transform
            of the entry "image" with channels last, as `medjax.augment.discriminator` makes it.
        average: see `game`.
        read: from the discriminator's output to logits "real", where it gives more than those.
        discriminator_term: ``(real output, fake output, batch) -> (values, scalars)``, added to
            what the discriminator minimises.
        generator_term: ``(images, fake output, real output, batch) -> (values, scalars)``.

    Returns:
        A learner whose `predict` gives the generator's images with ``train=False``, from inputs
        that are the same for a sample's ``index`` in any batch (a network's own noise is by
        place in the batch).

    Raises:
        InputError: for numbers out of range.
    """
    loss = non_saturating() if loss is None else loss
    inputs = latents(128) if inputs is None else inputs
    penalties, regularisers = tuple(penalties), tuple(regularisers)
    checked(penalties, "penalties")
    checked(regularisers, "regularisers")
    adaptive = isinstance(augment, Adaptive)

    def shown(key: Key[Array, ""], images: Array, state: State, batch: Batch) -> Array:
        if augment is None:
            return images
        transform = augment
        if adaptive:
            transform = augment.transform(state.variables[MEMORY]["augment_chance"])
        return transform(key, {"image": images, "index": batch["index"]})["image"]

    def beside(batch: Batch) -> tuple:
        return tuple(batch[name] for name in conditions)

    def of_discriminator(params, state, batch, key):
        keys = jax.random.split(key, 7)
        own, others = state.variables[DISCRIMINATOR], state.variables[GENERATOR]
        made = inputs(keys[0], batch)
        fake, _ = applied(generator, state.params[GENERATOR], others, made, keys[1])
        fake, real = jax.lax.stop_gradient(fake), batch[image]
        if fake.shape != real.shape:
            raise InputError(image, f"images of the generator's shape {fake.shape}", real.shape)

        def judged(images, collections, key):
            return applied(discriminator, params, collections, (images, *beside(batch)), key)

        of_real, after = judged(shown(keys[2], real, state, batch), own, keys[3])
        of_fake, after = judged(shown(keys[4], fake, state, batch), after, keys[5])
        logits = read(of_real), read(of_fake)
        value, scalars = jnp.mean(loss.discriminator(*logits)), {}
        if discriminator_term is not None:
            more, scalars = discriminator_term(of_real, of_fake, batch)
            value = value + jnp.mean(more)
        right = accuracy(*logits, loss.threshold)
        scalars = {
            "real_accuracy": right[0],
            "fake_accuracy": right[1],
            "real_logit": jnp.mean(logits[0]).astype(jnp.float32),
            "fake_logit": jnp.mean(logits[1]).astype(jnp.float32),
            **scalars,
        }

        def critic(images):
            return read(judged(shown(keys[2], images, state, batch), own, keys[3])[0])

        if penalties:
            total = jnp.zeros((), jnp.float32)
            for number, penalty in enumerate(penalties):
                own_key = jax.random.fold_in(keys[6], number)

                def mean(penalty=penalty, own_key=own_key):
                    return jnp.mean(penalty.function(critic, real, fake, own_key))

                got = lazily(state.step, penalty.every, mean, jnp.zeros((), jnp.float32))
                total = total + penalty.weight * penalty.every * got
            value, scalars["penalty"] = value + total, total
        memory = {}
        if adaptive:
            chance = augment.update(state.variables[MEMORY]["augment_chance"], logits[0])
            memory["augment_chance"] = scalars["augment_chance"] = chance
        return Outcome(value, after, memory, scalars)

    def of_generator(params, state, batch, key):
        keys = jax.random.split(key, 7)
        own, others = state.variables[GENERATOR], state.variables[DISCRIMINATOR]
        made = inputs(keys[0], batch)
        fake, after = applied(generator, params, own, made, keys[1])

        def judged(images, key, dropout):
            images = shown(key, images, state, batch)
            fixed = state.params[DISCRIMINATOR]
            return applied(discriminator, fixed, others, (images, *beside(batch)), dropout)[0]

        of_fake = judged(fake, keys[2], keys[3])
        # Of use to few losses; where it is not, XLA takes it out of the program.
        of_real = judged(batch[image], keys[4], keys[5])
        value, scalars = jnp.mean(loss.generator(read(of_real), read(of_fake))), {}
        if generator_term is not None:
            more, scalars = generator_term(fake, of_fake, of_real, batch)
            value = value + jnp.mean(more)

        def apply(*arguments, method, key=keys[6]):
            return applied(generator, params, own, arguments, key, method=method)[0]

        memory, scalars = {}, dict(scalars)
        if regularisers:
            total = jnp.zeros((), jnp.float32)
            for number, item in enumerate(regularisers):
                name = f"regulariser{number}"
                before = state.variables[MEMORY][name]
                own_key = jax.random.fold_in(keys[6], number)

                def compute(item=item, before=before, own_key=own_key):
                    values, next_memory = item.function(apply, made[0], before, own_key)
                    return jnp.mean(values), next_memory

                nothing = (jnp.zeros((), jnp.float32), before)
                got, memory[name] = lazily(state.step, item.every, compute, nothing)
                total = total + item.weight * item.every * got
            value, scalars["regulariser"] = value + total, total
        return Outcome(value, after, memory, scalars)

    def memory(state, batch):
        start = {
            f"regulariser{number}": jax.tree.map(jnp.float32, item.start)
            for number, item in enumerate(regularisers)
        }
        return {**start, "augment_chance": jnp.zeros((), jnp.float32)} if adaptive else start

    def predict(state, batch):
        key = jax.random.key(_PREDICT)
        variables = {"params": state.params[GENERATOR], **state.variables[GENERATOR]}
        rngs = {"noise": jax.random.fold_in(key, 1)}
        return generator.apply(variables, *inputs(key, batch), train=False, rngs=rngs)

    return game(
        Player(
            lambda key, batch: generator.init(key, *inputs(key, batch), train=False),
            of_generator,
            generator_optimizer,
        ),
        Player(
            lambda key, batch: discriminator.init(key, batch[image], *beside(batch), train=False),
            of_discriminator,
            discriminator_optimizer,
        ),
        predict=predict,
        memory=memory,
        discriminator_steps=discriminator_steps,
        average=average,
    )


_PREDICT = 0x6E4  # the seed of the noise that images are predicted from

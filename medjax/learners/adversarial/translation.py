"""GANs from image to image: with pairs (pix2pix) and without (CycleGAN)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.core.types import Array, Float
from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss, accuracy, least_squares, non_saturating
from medjax.losses.pixel import l1

from .adversarial import adversarial, entries_of
from .game import DISCRIMINATOR, GENERATOR, MEMORY, Outcome, Player, applied, game
from .pool import exchanged


def pix2pix(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    source: str = "source",
    target: str = "target",
    weight: float = 100.0,
    distance: Callable[[Array, Array], Float[Array, " batch"]] = l1,
    loss: AdversarialLoss | None = None,
    **options: Any,
) -> Learner:
    """pix2pix (Isola et al. 2017, arXiv:1611.07004, eq. 1 to 4): pairs of images.

    As in the paper: the discriminator sees the source beside the image, the generator also
    stays near the target. Its networks there are a U-Net with dropout in training
    (`medjax.models.UNet`) and `medjax.models.generative.PatchGAN`; its optimiser is Adam at
    0.0002 with ``b1=0.5``. What differs: the discriminator's loss is not halved, which is its
    optimiser's rate; dropout is off in `predict`, where the paper keeps it on.

    Args:
        generator: ``(source, train) -> images``.
        discriminator: ``(images, source, train) -> logits``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        source: the batch's entry that is translated, floating, channels last.
        target: the entry that it should become.
        weight: of the distance.
        distance: ``(image, target) -> (batch,)``, a loss of `medjax.losses`.
        loss: `non_saturating` by default.
        **options: of `adversarial`.

    Returns:
        A learner as `adversarial` makes it, with the scalar ``distance`` too.
    """

    def near(images, fake, real, batch):
        values = distance(images, batch[target])
        return weight * values, {"distance": jnp.mean(values)}

    return adversarial(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        loss=non_saturating() if loss is None else loss,
        inputs=entries_of(source),
        image=target,
        conditions=(source,),
        generator_term=near,
        **options,
    )


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


def cyclegan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    first: str = "first",
    second: str = "second",
    cycle: float = 10.0,
    identity: float = 0.5,
    pool: int = 50,
    loss: AdversarialLoss | None = None,
    average: float | None = None,
) -> Learner:
    """CycleGAN (Zhu et al. 2017, arXiv:1703.10593): translation both ways, without pairs.

    As in the paper: least squares, an image brought there and back is to be the image again
    (eq. 2), one that is of the wanted kind already is to stay (section 5.2), and discriminators
    see a pool of former translations. The networks there are
    `medjax.models.generative.TranslationResNet` and `PatchGAN`, with instance norm; its
    optimiser is Adam at 0.0002 with ``b1=0.5``. What differs: the pool fills
    by whole batches, and hands out different images for the samples of a batch.

    Args:
        generator: ``(images, train) -> images``; there are two, of this form.
        discriminator: ``(images, train) -> logits``; likewise.
        generator_optimizer: of both generators.
        discriminator_optimizer: of both discriminators.
        first: the batch's entry of images of the first kind, floating, channels last.
        second: the entry of the second kind, of the same shape where identity is asked for.
        cycle: weight of the way there and back.
        identity: weight of staying, relative to ``cycle``; 0 for none.
        pool: images of each kind that are remembered, at least a batch; 0 for none.
        loss: `least_squares` by default.
        average: see `medjax.learners.adversarial.game.game`.

    Returns:
        A learner whose parameters are ``{"generator": {"first": ..., "second": ...}, ...}``,
        where "first" makes images of the first kind; whose scalars are those of `game`,
        ``cycle``, ``identity``, and accuracies and logits as `adversarial` has them, the means
        of both kinds; and whose `predict` gives ``{first: ..., second: ...}``: the translations of
        the second images into the first kind, and of the first into the second.

    Raises:
        InputError: when called, for a pool smaller than the batch.
    """
    loss = least_squares() if loss is None else loss
    generators = Both(generator.clone(), generator.clone())
    judges = Both(discriminator.clone(), discriminator.clone())

    def of_discriminator(params, state, batch, key):
        keys = jax.random.split(key, 5)
        own, others = state.variables[DISCRIMINATOR], state.variables[GENERATOR]
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
        of_real, after = applied(judges, params, own, real, keys[3])
        of_fake, after = applied(judges, params, after, fake, keys[4])
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
        keys = jax.random.split(key, 5)
        own, others = state.variables[GENERATOR], state.variables[DISCRIMINATOR]
        real = batch[first], batch[second]

        def translated(images, collections, key):
            return applied(generators, params, collections, images, key)

        fake, after = translated((real[1], real[0]), own, keys[0])
        back, after = translated((fake[1], fake[0]), after, keys[1])
        fixed = state.params[DISCRIMINATOR]
        of_fake, _ = applied(judges, fixed, others, fake, keys[2])
        of_real, _ = applied(judges, fixed, others, real, keys[3])
        sides = zip(of_real, of_fake, strict=True)
        value = sum(jnp.mean(loss.generator(*side)) for side in sides)
        circle = sum(jnp.mean(l1(b, r)) for b, r in zip(back, real, strict=True))
        value, scalars = value + cycle * circle, {"cycle": circle}
        if identity:
            same, after = translated(real, after, keys[4])
            stayed = sum(jnp.mean(l1(s, r)) for s, r in zip(same, real, strict=True))
            value, scalars["identity"] = value + cycle * identity * stayed, stayed
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

    return game(
        Player(
            lambda key, batch: generators.init(key, batch[second], batch[first], train=False),
            of_generator,
            generator_optimizer,
        ),
        Player(
            lambda key, batch: judges.init(key, batch[first], batch[second], train=False),
            of_discriminator,
            discriminator_optimizer,
        ),
        predict=predict,
        memory=memory,
        average=average,
    )

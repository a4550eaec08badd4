"""Triple-GAN: a generator, a classifier, and a discriminator of pairs of image and class."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import keyed
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Int, Key
from medjax.learners.learner import Learner
from medjax.losses.adversarial import accuracy

from .game import DISCRIMINATOR, GENERATOR, Outcome, Player, applied, game


class Makers(nn.Module):
    """Both that make pairs: images of classes, and classes of images.

    Attributes:
        generator: ``(latent, label, train) -> images``.
        classifier: ``(images, train) -> logits``.
    """

    generator: nn.Module
    classifier: nn.Module

    def made(self, latent: Array, label: Array, train: bool = False) -> Array:
        """Images of classes."""
        return self.generator(latent, label, train=train)

    def told(self, x: Array, train: bool = False) -> Array:
        """Logits of the classes of images."""
        return self.classifier(x, train=train)

    def __call__(self, latent: Array, label: Array, x: Array, train: bool = False) -> tuple:
        """Both."""
        return self.made(latent, label, train), self.told(x, train)


def triple_gan(
    generator: Any,
    classifier: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    classifier_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    classes: int,
    label: str = "label",
    image: str = "image",
    latent: int = 100,
    share: float = 0.5,
    pseudo: float = 0.1,
    average: float | None = None,
) -> Learner:
    """Triple-GAN (Li et al. 2017, arXiv:1703.02291): semi-supervised, with three players.

    As in the paper (sections 3.1 and 3.2, algorithm 1): the discriminator tells pairs of data
    from pairs of the generator, an image of a class, and from pairs of the classifier, a class
    of an image. The classifier learns the classes of the labelled images, of the generator's
    images by the weight ``pseudo``, and to make pairs that pass, by the chance of the class
    that it drew times ``log(1 - D)``. What differs: the generator's loss is the one that keeps
    its slope, generator and classifier move at one time, after the discriminator; the paper's
    additions of section 3.3 (confidence, weights that rise in training) are not built.

    Args:
        generator: ``(latent, label, train) -> images``.
        classifier: ``(images, train) -> (batch, classes)``, such as a
            `medjax.models.Backbone` with classes.
        discriminator: ``(images, label, train) -> logits``.
        generator_optimizer: any Optax transformation.
        classifier_optimizer: another.
        discriminator_optimizer: another.
        classes: how many there are.
        label: the batch's entry of classes, integer ``(batch,)``; -1 is an image without one.
        image: the batch's entry of images.
        latent: channels of the noise.
        share: of the classifier's pairs among those that are not of data (alpha).
        pseudo: weight of the cross-entropy on the generator's images (alpha_P).
        average: see `medjax.learners.adversarial.game.game`.

    Returns:
        A learner whose parameters are ``{"generator": {"generator": ..., "classifier": ...},
        "discriminator": ...}``; with the scalars of `adversarial` and ``class_accuracy`` of the
        labelled images; whose `predict` gives the logits of the classes.

    Raises:
        InputError: for fewer than two classes, or shares outside (0, 1).
    """
    if classes < 2:
        raise InputError("classes", "two or more", classes)
    if not 0 < share < 1:
        raise InputError("share", "a number between 0 and 1", share)
    makers = Makers(generator, classifier)
    optimizer = optax.partition(
        {"generator": generator_optimizer, "classifier": classifier_optimizer},
        {"generator": "generator", "classifier": "classifier"},
    )

    def inputs(key: Key[Array, ""], batch: Batch) -> tuple[Array, Int[Array, " batch"]]:
        def one(key):
            noise, kind = jax.random.split(key)
            return jax.random.normal(noise, (latent,)), jax.random.randint(kind, (), 0, classes)

        return jax.vmap(one)(keyed(key, batch))

    def by_classifier(logits: Array, key: Key[Array, ""], batch: Batch) -> tuple[Array, Array]:
        """Classes that are drawn for images, and how likely they were."""
        drawn = jax.vmap(jax.random.categorical)(keyed(key, batch), jax.lax.stop_gradient(logits))
        likely = jnp.sum(jax.nn.softmax(logits) * jax.nn.one_hot(drawn, classes), 1)
        return drawn, likely

    def labelled(batch: Batch) -> tuple[Array, Array]:
        """Classes, 0 where there is none, and weights whose sum over labelled samples is one."""
        known = batch[label] >= 0
        count = jnp.maximum(jnp.sum(known, dtype=jnp.float32), 1)
        return jnp.where(known, batch[label], 0), known.astype(jnp.float32) / count

    def of_discriminator(params, state, batch, key):
        keys = jax.random.split(key, 7)
        own, others = state.variables[DISCRIMINATOR], state.variables[GENERATOR]
        fixed = state.params[GENERATOR]
        z, kind = inputs(keys[0], batch)
        fake, _ = applied(makers, fixed, others, (z, kind, True), keys[1], method="made")
        logits, _ = applied(makers, fixed, others, (batch[image], True), keys[2], method="told")
        fake, logits = jax.lax.stop_gradient((fake, logits))
        drawn, _ = by_classifier(logits, keys[3], batch)
        classes_of, weight = labelled(batch)

        def judged(images, labels, collections, key):
            output, after = applied(discriminator, params, collections, (images, labels), key)
            return output.reshape(images.shape[0], -1).mean(1), after

        of_real, after = judged(batch[image], classes_of, own, keys[4])
        of_fake, after = judged(fake, kind, after, keys[5])
        of_told, after = judged(batch[image], drawn, after, keys[6])
        value = jnp.sum(weight * jax.nn.softplus(-of_real))
        value = value + (1 - share) * jnp.mean(jax.nn.softplus(of_fake))
        value = value + share * jnp.mean(jax.nn.softplus(of_told))
        right = accuracy(of_real, of_fake, 0.0)
        scalars = {
            "real_accuracy": jnp.sum(weight * (of_real > 0).astype(jnp.float32)),
            "fake_accuracy": right[1],
            "told_accuracy": jnp.mean(of_told < 0, dtype=jnp.float32),
            "real_logit": jnp.sum(weight * of_real),
            "fake_logit": jnp.mean(of_fake),
        }
        return Outcome(value, after, {}, scalars)

    def of_makers(params, state, batch, key):
        keys = jax.random.split(key, 7)
        own, others = state.variables[GENERATOR], state.variables[DISCRIMINATOR]
        z, kind = inputs(keys[0], batch)
        fake, after = applied(makers, params, own, (z, kind, True), keys[1], method="made")
        logits, after = applied(makers, params, after, (batch[image], True), keys[2], method="told")
        # What the generator makes teaches the classifier, which teaches the generator nothing.
        of_made, after = applied(
            makers, params, after, (jax.lax.stop_gradient(fake), True), keys[3], method="told"
        )
        drawn, likely = by_classifier(logits, keys[4], batch)

        def judged(images, labels, key):
            fixed = state.params[DISCRIMINATOR]
            output, _ = applied(discriminator, fixed, others, (images, labels), key)
            return output.reshape(images.shape[0], -1).mean(1)

        classes_of, weight = labelled(batch)
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels
        of_generator = (1 - share) * jnp.mean(jax.nn.softplus(-judged(fake, kind, keys[5])))
        passing = -likely * jax.nn.softplus(judged(batch[image], drawn, keys[6]))
        of_classifier = (
            jnp.sum(weight * cross_entropy(logits, classes_of))
            + share * jnp.mean(passing)
            + pseudo * jnp.mean(cross_entropy(of_made, kind))
        )
        right = jnp.sum(weight * (jnp.argmax(logits, 1) == classes_of).astype(jnp.float32))
        return Outcome(of_generator + of_classifier, after, {}, {"class_accuracy": right})

    def predict(state, batch):
        variables = {"params": state.params[GENERATOR], **state.variables[GENERATOR]}
        return makers.apply(variables, batch[image], method="told")

    return game(
        Player(
            lambda key, batch: makers.init(key, *inputs(key, batch), batch[image], train=False),
            of_makers,
            optimizer,
        ),
        Player(
            lambda key, batch: discriminator.init(
                key, batch[image], labelled(batch)[0], train=False
            ),
            of_discriminator,
            discriminator_optimizer,
        ),
        predict=predict,
        average=average,
    )

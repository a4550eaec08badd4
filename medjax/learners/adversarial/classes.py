"""GANs that know classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.learners.learner import Learner
from medjax.losses.adversarial import non_saturating

from .adversarial import adversarial, latents
from .game import DISCRIMINATOR


def cgan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    labels: Sequence[str] = ("label",),
    latent: int = 128,
    **options: Any,
) -> Learner:
    """Conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784): both players see the class.

    Args:
        generator: ``(latent, *labels, train) -> images``.
        discriminator: ``(images, *labels, train) -> logits``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        labels: the batch's entries of classes; generated images are of the batch's classes.
        latent: channels of the noise.
        **options: of `adversarial`.
    """
    return adversarial(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        inputs=latents(latent, *labels),
        conditions=tuple(labels),
        **options,
    )


def acgan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    label: str = "label",
    weight: float = 1.0,
    latent: int = 128,
    **options: Any,
) -> Learner:
    """Auxiliary-classifier GAN (Odena et al. 2017, arXiv:1610.09585, eq. 2 and 3).

    The discriminator also tells the class, of real images and of generated ones, and both
    players want it to be right.

    Args:
        generator: ``(latent, label, train) -> images``.
        discriminator: ``(images, train) -> (batch, 1 + classes)``: the logit "real", then those
            of the classes.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        label: the batch's entry of classes, integer ``(batch,)``; generated images are of them.
        weight: of the classes' cross-entropy in the generator's loss; 1 in the paper.
        latent: channels of the noise.
        **options: of `adversarial`.

    Returns:
        A learner as `adversarial` makes it, with the scalar ``real_class_accuracy`` too.
    """

    def cross_entropy(output: Array, classes: Array) -> Float[Array, " batch"]:
        if output.ndim != 2 or output.shape[1] < 3:
            raise InputError("discriminator", "outputs (batch, 1 + classes)", output.shape)
        return optax.softmax_cross_entropy_with_integer_labels(output[:, 1:], classes)

    def of_discriminator(real, fake, batch):
        classes = batch[label]
        right = jnp.mean(jnp.argmax(real[:, 1:], 1) == classes, dtype=jnp.float32)
        values = cross_entropy(real, classes) + cross_entropy(fake, classes)
        return values, {"real_class_accuracy": right}

    def of_generator(images, fake, real, batch):
        return weight * cross_entropy(fake, batch[label]), {}

    return adversarial(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        inputs=latents(latent, label),
        read=lambda output: output[:, 0],
        discriminator_term=of_discriminator,
        generator_term=of_generator,
        **options,
    )


class Judgement(NamedTuple):
    """What `Judge` gives: logits of the classes, and the features that they are read from."""

    logits: Float[Array, "batch classes"]
    features: Float[Array, "batch channel"]


class Judge(nn.Module):
    """A classifier whose features are seen too.

    Attributes:
        backbone: a `medjax.models.Backbone` with classes.
    """

    backbone: nn.Module

    def __call__(self, x: Array, train: bool = False) -> Judgement:
        """Both of them."""
        pooled = self.backbone.features(x, train).pooled.astype(jnp.float32)
        return Judgement(self.backbone.classify(pooled, train), pooled)


def semi_supervised_gan(
    generator: Any,
    classifier: Any,
    generator_optimizer: optax.GradientTransformation,
    classifier_optimizer: optax.GradientTransformation,
    *,
    label: str = "label",
    image: str = "image",
    latent: int = 128,
    adversary: float = 0.0,
    **options: Any,
) -> Learner:
    """A classifier that learns from images without labels too (Salimans et al. 2016).

    Improved techniques for training GANs, arXiv:1606.03498, sections 3.1 and 5: the classifier
    of K classes is the discriminator: generated images are a class K + 1 whose logit is 0, so
    that an image is real by the log-sum-exp of the K logits. The generator matches the batch's
    mean features.

    Args:
        generator: ``(latent, train) -> images``.
        classifier: a `medjax.models.Backbone` with K classes; without batch norm best, and
            best of all with spectral normalisation or dropout.
        generator_optimizer: any Optax transformation.
        classifier_optimizer: another.
        label: the batch's entry of classes, integer ``(batch,)``; -1 is an image without one.
        image: the batch's entry of images.
        latent: channels of the noise.
        adversary: weight of the generator's non-saturating loss beside the features, which is
            how Odena 2016 (arXiv:1606.01583) trains it. Features alone, as Salimans et al. have
            it, do for the classifier; the images are then of few kinds.
        **options: of `adversarial`.

    Returns:
        A learner as `adversarial` makes it, with the scalar ``class_accuracy`` of the labelled
        images, and whose `predict` gives the logits of the K classes. The classifier's
        parameters are ``state.params["discriminator"]["backbone"]``.

    Raises:
        InputError: for a classifier with fewer than two classes.
    """
    if getattr(classifier, "classes", 0) < 2:
        expected = "a Backbone with two classes or more"
        raise InputError("classifier", expected, getattr(classifier, "classes", "none"))
    judge = Judge(classifier)

    def of_classifier(real, fake, batch):
        classes = batch[label]
        known = classes >= 0
        safe = jnp.where(known, classes, 0)
        values = optax.softmax_cross_entropy_with_integer_labels(real.logits, safe)
        # The mean over labelled samples, so that few of them count as much as many.
        count = jnp.maximum(jnp.sum(known), 1).astype(values.dtype)
        share = known.astype(values.dtype) / count
        right = jnp.sum(share * (jnp.argmax(real.logits, 1) == classes).astype(values.dtype))
        return values * share * classes.shape[0], {"class_accuracy": right}

    def of_generator(images, fake, real, batch):
        apart = jnp.mean(fake.features, 0) - jnp.mean(jax.lax.stop_gradient(real.features), 0)
        return jnp.broadcast_to(jnp.mean(apart**2), images.shape[:1]), {}

    loss = non_saturating()
    learner = adversarial(
        generator,
        judge,
        generator_optimizer,
        classifier_optimizer,
        loss=loss._replace(generator=lambda real, fake: adversary * loss.generator(real, fake)),
        inputs=latents(latent),
        image=image,
        read=lambda output: jax.nn.logsumexp(output.logits, -1),
        discriminator_term=of_classifier,
        generator_term=of_generator,
        **options,
    )

    def predict(state, batch):
        variables = {"params": state.params[DISCRIMINATOR], **state.variables[DISCRIMINATOR]}
        return judge.apply(variables, batch[image], train=False).logits

    return learner._replace(predict=predict)

"""Translation without pairs that must keep what a segmentation sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.core.types import Array, Float, PyTree
from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss
from medjax.losses.overlap import cross_entropy

from .cycle import FROZEN, Both, cycled
from .game import generator_variables

Loss = Callable[[Array, Array], Float[Array, " batch"]]
"""``(logits, labels) -> (batch,)``."""


class Parsing(Both):
    """Generators of both kinds, and a segmentation of each kind.

    Attributes:
        first_parser: ``(images, train) -> logits (batch, *spatial, class)`` of the first kind.
        second_parser: of the second.
    """

    first_parser: nn.Module
    second_parser: nn.Module

    def parsed(self, of_first: Array, of_second: Array, train: bool = False) -> tuple:
        """Logits of images of either kind."""
        return self.first_parser(of_first, train=train), self.second_parser(of_second, train=train)

    def __call__(self, for_first: Array, for_second: Array, train: bool = False) -> tuple:
        """Translations; when parameters are made, those of the segmentations too."""
        made = super().__call__(for_first, for_second, train)
        if self.is_initializing():
            self.parsed(*made)
        return made


def shape_consistent_gan(
    generator: Any,
    discriminator: Any,
    segmenter: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    first: str = "first",
    second: str = "second",
    first_label: str = "first_label",
    second_label: str = "second_label",
    cycle: float = 10.0,
    identity: float = 0.5,
    shape: float = 1.0,
    segmentation: Loss = cross_entropy,
    pool: int = 50,
    loss: AdversarialLoss | None = None,
    average: float | None = None,
) -> Learner:
    """Translation and segmentation that help each other (Zhang, Yang & Zheng 2018).

    Translating and segmenting multimodal medical volumes with cycle- and shape-consistency
    generative adversarial network, arXiv:1802.09655. As there: a CycleGAN and a
    segmentation of each kind; what an image is translated to must be segmented as the image
    is labelled, by the segmentation of the kind it has become (shape consistency); and these
    segmentations learn from true images and from translated ones. What differs: 2D and 3D by
    the input, least squares, all of it learns at one time, where the authors first train
    generators and segmentations by themselves and then alternate, and ``identity``, without
    which a translation into the negative is as consistent a cycle as the right one.

    Args:
        generator: see `medjax.learners.adversarial.cyclegan`.
        discriminator: see there.
        segmenter: ``(images, train) -> (batch, *spatial, class)``; there are two of this form.
        generator_optimizer: of generators and segmentations; `optax.partition` gives each its
            own, by the names ``first``, ``second``, ``first_parser`` and ``second_parser``.
        discriminator_optimizer: see there.
        first: see there.
        second: see there.
        first_label: the batch's entry of labels of the first kind, integer ``(batch, *spatial)``.
        second_label: of the second.
        cycle: see there; 10 in the paper.
        identity: see there; 0 in the paper.
        shape: weight of the segmentations; 1 in the paper.
        segmentation: a loss of `medjax.losses.overlap`.
        pool: see there.
        loss: see there.
        average: see there.

    Returns:
        A learner as `cyclegan` makes it, with the scalars ``shape``, of translated images, and
        ``parsing``, of true ones; `predict` gives ``first_logits`` and ``second_logits`` too.
    """
    networks = (generator.clone(), generator.clone(), segmenter.clone(), segmenter.clone())
    makers = Parsing(*networks)

    def consistent(apply, fake, back, batch, frozen):
        labels = batch[first_label], batch[second_label]
        of_real = apply(batch[first], batch[second], True, method="parsed")
        of_fake = apply(*fake, True, method="parsed")
        parsing = sum(segmentation(*pair) for pair in zip(of_real, labels, strict=True))
        # An image of the first kind was of the second, and has its labels.
        turned = sum(segmentation(*pair) for pair in zip(of_fake, labels[::-1], strict=True))
        scalars = {"parsing": jnp.mean(parsing), "shape": jnp.mean(turned)}
        return shape * (parsing + turned), scalars

    learner = cycled(
        makers,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        first=first,
        second=second,
        cycle=cycle,
        identity=identity,
        pool=pool,
        loss=loss,
        average=average,
        term=consistent,
    )

    def predict(state, batch):
        variables = generator_variables(state)
        parsed = makers.apply(variables, batch[first], batch[second], method="parsed")
        logits = dict(zip(("first_logits", "second_logits"), parsed, strict=True))
        return learner.predict(state, batch) | logits

    return learner._replace(predict=predict)


def td_gan(
    generator: Any,
    discriminator: Any,
    segmenter: Any,
    variables: PyTree,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    first: str = "first",
    second: str = "second",
    first_label: str = "first_label",
    cycle: float = 10.0,
    identity: float = 0.5,
    task: float = 1.0,
    segmentation: Loss = cross_entropy,
    pool: int = 50,
    loss: AdversarialLoss | None = None,
    average: float | None = None,
) -> Learner:
    """A task-driven GAN, TD-GAN: segment a kind without labels by translation (Zhang et al. 2018).

    Task driven generative modeling for unsupervised domain adaptation: application to X-ray
    image segmentation, arXiv:1806.07201. The first kind has labels and a network
    that was trained on them and stays as it is (there: radiographs rendered from CT); the
    second has none (there: X-rays). As there: a CycleGAN; an image of the first kind that went
    to the second and back must be segmented as it is labelled; and the discriminator of the
    first kind sees images beside their segmentations. What differs: least squares, 2D and 3D by
    the input; segmentations go to the discriminator as probabilities of the classes; the
    weights are this library's; and ``identity``, as in `shape_consistent_gan`.

    Args:
        generator: see `medjax.learners.adversarial.cyclegan`.
        discriminator: see there; that of the first kind sees a channel more for each class.
        segmenter: ``(images, train) -> (batch, *spatial, class)``, of the first kind.
        variables: of it, trained, ``{"params": ..., ...}``.
        generator_optimizer: see there.
        discriminator_optimizer: see there.
        first: the batch's entry of images of the kind that has labels.
        second: of the kind that has none.
        first_label: the batch's entry of labels, integer ``(batch, *spatial)``.
        cycle: see there.
        identity: see there; 0 in the paper.
        task: weight of the segmentation of what came back.
        segmentation: a loss of `medjax.losses.overlap`.
        pool: see there.
        loss: see there.
        average: see there.

    Returns:
        A learner as `cyclegan` makes it, with the scalar ``task``, whose `predict` gives the
        logits of the second kind's images, by way of the first.
    """

    def parsed(images: Array, frozen: PyTree) -> Array:
        return segmenter.apply(frozen, images, train=False)

    def seen(images, frozen):
        beside = jax.nn.softmax(parsed(images[0], frozen)).astype(images[0].dtype)
        return jnp.concatenate([images[0], beside], axis=-1), images[1]

    def driven(apply, fake, back, batch, frozen):
        values = segmentation(parsed(back[0], frozen), batch[first_label])
        return task * values, {"task": jnp.mean(values)}

    learner = cycled(
        Both(generator.clone(), generator.clone()),
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        first=first,
        second=second,
        cycle=cycle,
        identity=identity,
        pool=pool,
        loss=loss,
        average=average,
        term=driven,
        seen=seen,
        frozen=variables,
    )

    def predict(state, batch):
        return parsed(learner.predict(state, batch)[first], state.extras[FROZEN])

    return learner._replace(predict=predict)

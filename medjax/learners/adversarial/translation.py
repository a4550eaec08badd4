"""GANs from image to image: with pairs (pix2pix) and without (CycleGAN)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from medjax.core.types import Array, Float
from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss, non_saturating
from medjax.losses.pixel import l1

from .adversarial import adversarial, entries_of
from .cycle import Both, cycled


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
    return cycled(
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
    )

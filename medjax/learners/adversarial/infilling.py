"""Conditional infilling: what is hidden in an image is painted, as of a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import keyed
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Bool, Float, Int, Key
from medjax.image.filters import gaussian
from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss, non_saturating
from medjax.losses.pixel import l1

from .adversarial import adversarial


class Infiller(nn.Module):
    """A network that sees the image with a hole, where the hole is, and the class.

    Attributes:
        network: from image to image, such as `medjax.models.UNet`.
        classes: how many there are.
    """

    network: nn.Module
    classes: int

    def __call__(
        self,
        x: Float[Array, "batch *spatial channel"],
        mask: Bool[Array, "batch *spatial"],
        label: Int[Array, " batch"],
        train: bool = False,
    ) -> Float[Array, "batch *spatial out"]:
        """Map the three to an image; the class is a channel each, one where it is the sample's."""
        hot = jax.nn.one_hot(label, self.classes, dtype=x.dtype)
        hot = hot.reshape(x.shape[0], *(1,) * (x.ndim - 2), self.classes)
        planes = jnp.broadcast_to(hot, (*x.shape[:-1], self.classes))
        joined = jnp.concatenate([x, mask[..., None].astype(x.dtype), planes], axis=-1)
        return self.network(joined, train=train)


def infilling_gan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    mask: str = "mask",
    label: str = "label",
    image: str = "image",
    weight: float = 100.0,
    boundary: float = 100.0,
    sigma: float = 10.0,
    distance: Callable[[Array, Array], Float[Array, " batch"]] = l1,
    loss: AdversarialLoss | None = None,
    **options: Any,
) -> Learner:
    """The conditional infilling GAN, ciGAN (Wu et al. 2018, arXiv:1807.08093).

    Conditional infilling GANs for data augmentation in mammogram classification. As there: the
    image is filled with even noise where a lesion is, or is to be; the generator sees it, the
    mask and the class, and makes the whole image, which is to be near the true one in the
    features of a network within the mask and outside of it, and along the mask's border,
    blurred with a standard deviation of 10 pixels; the discriminator sees image and class. To
    paint a lesion into a healthy image, give `predict` the other class.

    What differs: the terms are a weighted sum, where the authors take turns, some until a loss
    falls below 0.3; the distance is the caller's, the mean magnitude by default, in place of
    VGG-19's features; noise spans the image's own range. The weights are this library's.

    Args:
        generator: ``(damaged, mask, label, train) -> images``: `Infiller`. Its images should
            have the range of the true ones.
        discriminator: ``(images, label, train) -> logits``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        mask: the batch's entry of what is hidden, bool ``(batch, *spatial)``.
        label: the entry of classes, integer ``(batch,)``.
        image: the entry of images, floating, channels last.
        weight: of the distance.
        boundary: weight of the mean magnitude along the border.
        sigma: of the border's blur, in voxels; the border has a height of one.
        distance: ``(image, target) -> (batch,)``, a loss of `medjax.losses` or of features.
        loss: `non_saturating` by default.
        **options: of `adversarial`.

    Returns:
        A learner as `adversarial` makes it, with the scalars ``distance`` and ``boundary`` too.

    Raises:
        InputError: for a width that is not positive; when called, for another mask.
    """
    if not sigma > 0:
        raise InputError("sigma", "a number above 0", sigma)

    def inputs(key: Key[Array, ""], batch: Batch) -> tuple:
        hidden, x = batch[mask], batch[image]
        if hidden.dtype != jnp.bool_ or hidden.shape != x.shape[:-1]:
            raise InputError(mask, f"bool {x.shape[:-1]}", f"{hidden.dtype} {hidden.shape}")
        axes = tuple(range(1, x.ndim))
        low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
        noise = jax.vmap(lambda k: jax.random.uniform(k, x.shape[1:], x.dtype))(keyed(key, batch))
        return jnp.where(hidden[..., None], low + (high - low) * noise, x), hidden, batch[label]

    def near(images, fake, real, batch):
        x, hidden = batch[image], batch[mask][..., None]
        values = sum(
            distance(jnp.where(part, images, 0), jnp.where(part, x, 0))
            for part in (hidden, ~hidden)
        )
        along = l1(border(batch[mask], sigma)[..., None] * (images - x), jnp.zeros_like(x))
        scalars = {"distance": jnp.mean(values), "boundary": jnp.mean(along)}
        return weight * values + boundary * along, scalars

    return adversarial(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        loss=non_saturating() if loss is None else loss,
        inputs=inputs,
        image=image,
        conditions=(label,),
        generator_term=near,
        **options,
    )


def border(mask: Bool[Array, "batch *spatial"], sigma: float) -> Float[Array, "batch *spatial"]:
    """Where a mask ends: its border, blurred, at most one, and zero far from it.

    Args:
        mask: 2D or 3D.
        sigma: standard deviation of the blur in voxels.
    """
    edge = jnp.zeros(mask.shape, bool)
    for axis in range(1, mask.ndim):
        n = mask.shape[axis]
        before, after = (jax.lax.slice_in_dim(mask, i, n - 1 + i, axis=axis) for i in range(2))
        step = before != after
        for ends in ((1, 0), (0, 1)):
            edge = edge | jnp.pad(step, [ends if i == axis else (0, 0) for i in range(mask.ndim)])
    blurred = gaussian(
        edge.astype(jnp.float32),
        jnp.float32(sigma),
        tuple(range(1 - mask.ndim, 0)),
        radius=max(1, round(3 * sigma)),
    )
    height = blurred.max(tuple(range(1, mask.ndim)), keepdims=True)
    return blurred / jnp.where(height > 0, height, 1)

"""Which way up an image is."""

from __future__ import annotations

import jax
import optax

from medjax.augment.pieces import quarter_turns, turned
from medjax.core.types import Array
from medjax.learners.learner import Learner
from medjax.models.backbone import Backbone
from medjax.models.pretraining import Siamese

from .pretext import cross_entropy, pretext


def rotation(
    backbone: Backbone, optimizer: optax.GradientTransformation, *, image: str = "image"
) -> Learner:
    """Rotation prediction of Gidaris et al. 2018 (arXiv:1803.07728).

    As in the paper, in 2D: images are turned by 0, 90, 180 or 270 degrees and classified by
    how. In 3D the turns are those about each of the three axes, 10 classes, as Taleb et al.
    2020 (arXiv:2006.03829) have it. What differs: a step sees each image once, turned at
    random, not in all ways at a time; the mean gradient is the same.

    Args:
        backbone: any, without head.
        optimizer: any Optax transformation.
        image: see `pretext`; sizes equal along all axes.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``.

    Raises:
        InputError: when called, for unequal sizes.
    """

    def task(keys, x, batch):
        count = len(quarter_turns(x.ndim - 2))
        number = jax.vmap(lambda key: jax.random.randint(key, (), 0, count))(keys)
        return (jax.vmap(turned)(x, number)[:, None], {"turn": count}), number

    def loss(outputs: dict[str, Array], number: Array) -> Array:
        return cross_entropy(outputs["turn"], number)

    return pretext(Siamese(backbone), task, loss, optimizer, image=image)

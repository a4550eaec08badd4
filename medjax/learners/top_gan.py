"""TOP-GAN: a classifier that begins as the discriminator of a GAN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, PyTree

from .adversarial.game import DISCRIMINATOR
from .learner import Learner, State
from .supervised import supervised


def top_gan(
    classifier: Any,
    optimizer: optax.GradientTransformation,
    pretrained: State,
    *,
    replaced: Sequence[str] = ("head",),
    loss: Callable[
        [Any, Any], Float[Array, " batch"]
    ] = optax.softmax_cross_entropy_with_integer_labels,
    image: str = "image",
    label: str = "label",
) -> Learner:
    """Transferring of a pre-trained GAN, TOP-GAN (Rubin et al. 2019, arXiv:1812.11006).

    TOP-GAN: stain-free cancer cell classification using deep learning with a small training
    set. As there: a GAN learns from many images without classes, of another kind of cell; the
    last layers of its discriminator are replaced, and the network learns to classify from few
    images. What differs: any GAN of `medjax.learners.adversarial`, 2D or 3D.

    Args:
        classifier: the discriminator with ``classes`` for its one logit: a
            `medjax.models.generative.DCGANDiscriminator` of the same widths.
        optimizer: any Optax transformation.
        pretrained: the state of a learner of `medjax.learners.adversarial.game`.
        replaced: the classifier's parts that begin anew.
        loss: ``(logits, labels) -> (batch,)``.
        image: the batch's entry of images.
        label: the batch's entry of classes.

    Returns:
        A learner as `supervised` makes it.

    Raises:
        InputError: when called, for a discriminator whose other parts are not the classifier's.
    """
    learner = supervised(classifier, loss, optimizer, inputs=(image,), target=label)

    def begun(own: PyTree, given: PyTree) -> PyTree:
        return {
            name: part if name in replaced else _taken(name, part, given.get(name))
            for name, part in own.items()
        }

    def init(key, batch):
        state = learner.init(key, batch)
        params = begun(state.params, pretrained.params[DISCRIMINATOR])
        given = pretrained.variables[DISCRIMINATOR]
        variables = {name: begun(x, given.get(name, {})) for name, x in state.variables.items()}
        # Anew, as some optimisers remember where parameters began.
        return state.replace(params=params, variables=variables, optimizer=optimizer.init(params))

    return learner._replace(init=init)


def _taken(name: str, own: PyTree, given: PyTree) -> PyTree:
    """A copy of what is given, checked to be of the form of one's own."""
    wanted, got = (jax.tree.map(jnp.shape, tree) for tree in (own, given))
    if wanted != got:
        raise InputError(f"pretrained: {name}", f"arrays {wanted}", got)
    # A copy: state is donated to the step, and the caller keeps the GAN.
    return jax.tree.map(jnp.copy, given)

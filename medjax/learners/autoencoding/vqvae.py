"""The autoencoder with a codebook."""

from __future__ import annotations

from typing import Any

import optax

from medjax.core.errors import InputError
from medjax.learners.learner import Learner
from medjax.losses.pixel import l2

from .methods import Loss, by_methods


def vqvae(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    commitment: float = 0.25,
    loss: Loss = l2,
    image: str = "image",
) -> Learner:
    """VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937, eq. 3).

    The codebook follows the codes by moving averages (appendix A.1) in the variables'
    "codebook" collection, in place of the second term; gradients pass straight through it.

    Args:
        module: with a method ``quantised(x, train) -> (image, Quantised)``, such as
            `medjax.models.generative.VQVAE`.
        optimizer: any Optax transformation.
        commitment: weight of the codes' distance to their entries; the paper's beta.
        loss: between the image that comes out and the one of the batch.
        image: the batch's entry of images.

    Returns:
        A learner whose scalars are ``loss`` and ``gradient_norm``, and whose `predict` returns
        the image again.

    Raises:
        InputError: for a negative ``commitment``.
    """
    if commitment < 0:
        raise InputError("commitment", "a number of at least 0", commitment)

    def objective(network, variables, batch, key, step):
        x = batch[image]
        (again, code), collections = network(variables, "quantised", x, key=key)
        return loss(again, x) + commitment * code.distance, collections

    return by_methods(module, objective, optimizer, (image,))

"""Variational autoencoders: scores of the evidence bound and of its slope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import keyed
from medjax.augment.corrupt import box_mask, painted
from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Key, PyTree
from medjax.learners.autoencoding.methods import Loss, by_methods
from medjax.learners.autoencoding.plain import Corrupt
from medjax.learners.autoencoding.variational import kl, mixture_divergence, per_sample_sum
from medjax.learners.combinators import variables_of
from medjax.learners.learner import Learner
from medjax.losses.pixel import l1, l2

from .detector import Detector, Scores, blurred, residual

Energy = Callable[[PyTree, Array, Key[Array, " batch"]], Float[Array, " batch"]]
"""``(variables, images, keys) -> (batch,)``: the negative evidence bound, summed over voxels."""


def vae_energy(module: Any, *, beta: float = 1.0, loss: Loss = l2) -> Energy:
    """The negative bound of `medjax.learners.autoencoding.vae` at the mean code.

    Args:
        module: with methods ``posterior(x)`` and ``restored(code, x)``:
            `medjax.models.generative.VAE`.
        beta: as it was trained with, as for ``loss``.
        loss: see there.
    """

    def energy(variables, x, keys):
        posterior = module.apply(variables, x, method="posterior")
        again = module.apply(variables, posterior.mean, x, method="restored")
        return loss(again, x) * x[0].size + beta * per_sample_sum(kl(*posterior))

    return energy


def gmvae_energy(module: Any, *, beta: float = 1.0, loss: Loss = l2) -> Energy:
    """The negative bound of `medjax.learners.autoencoding.gmvae`, of one draw a sample.

    Args:
        module: with a method ``sampled(x) -> Mixture``: `medjax.models.generative.GMVAE`.
        beta: as it was trained with, as for ``loss``.
        loss: see there.
    """

    def energy(variables, x, keys):
        def one(x, key):
            rngs = {"dropout": key}
            got = module.apply(variables, x[None], method="sampled", rngs=rngs)
            return loss(got.image, x[None])[0] * x.size + beta * mixture_divergence(got)[0]

        return jax.vmap(one)(x, keys)

    return energy


def elbo_gradient(
    learner: Learner, energy: Energy, *, image: str = "image", sigma: float = 1.0
) -> Detector:
    """The slope of the evidence bound (Zimmerer et al. 2019, arXiv:1912.00003).

    A case for the score: identifying image anomalies using variational autoencoder gradients.
    A place is as anomalous as the bound would change with it; an image, as its bound is low.

    Args:
        learner: `medjax.learners.autoencoding.vae` or `gmvae`.
        energy: `vae_energy` or `gmvae_energy` of its module.
        image: the batch's entry of images.
        sigma: of a Gaussian blur of the map, in voxels, as the authors blur it; 0 for none.
    """

    def scores(state, batch, key):
        x, keys = batch[image], keyed(key, batch)
        variables = variables_of(state)
        of_image = energy(variables, x, keys) / x[0].size
        slope = jax.grad(lambda x: jnp.sum(energy(variables, x, keys)))(x)
        return Scores(of_image, blurred(jnp.abs(slope).mean(axis=-1), sigma))

    return Detector(learner, scores)


def boxes(key: Key[Array, ""], x: Float[Array, "*spatial channel"]) -> Array:
    """Noise of the image's range in three boxes of a tenth to a half of each side."""
    where, what = jax.random.split(key)
    return painted(what, x, box_mask(where, x.shape[:-1], (0.1, 0.5), 3))


def cvae_anomaly(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    beta: float = 0.01,
    context: float = 0.5,
    corrupt: Corrupt = boxes,
    loss: Loss = l1,
    slope: str = "divergence",
    image: str = "image",
    sigma: float = 1.0,
) -> Detector:
    """The context-encoding variational autoencoder (Zimmerer et al. 2018, arXiv:1812.05941).

    As there: one network is a variational autoencoder and a context encoder, which gives whole
    images again of ones with holes; a place is scored by what it is not given again as, times
    the slope of the code's divergence there; an image by its evidence bound. The weights, the
    holes full of noise and the blur are those of the authors' public code, the choice among
    slopes theirs too. What differs: holes are painted from the mean code, and the slope is not
    scaled to the batch, of which scores would depend.

    Args:
        module: a `medjax.models.generative.VAE`.
        optimizer: any Optax transformation.
        beta: weight of the divergence, see `medjax.learners.autoencoding.vae`.
        context: weight of the context encoder; the autoencoder has the rest.
        corrupt: ``(key, image) -> image`` of one sample: the holes.
        loss: see `vae`.
        slope: of what: "divergence", or "bound" for all of it.
        image: the batch's entry of images.
        sigma: of a Gaussian blur of the slope, in voxels; 0 for none.

    Raises:
        InputError: for a weight outside [0, 1], or another slope.
    """
    if not 0 <= context <= 1:
        raise InputError("context", "a number from 0 to 1", context)
    if slope not in ("divergence", "bound"):
        raise InputError("slope", "divergence or bound", repr(slope))

    def objective(network, variables, batch, key, step):
        x = batch[image]
        (again, posterior), variables = network(variables, "sampled", x, key=key)
        bound = loss(again, x) + beta * per_sample_sum(kl(*posterior)) / x[0].size
        holes = jax.vmap(corrupt)(keyed(jax.random.fold_in(key, 1), batch), x)
        whole, variables = network(variables, "__call__", holes, key=key)
        return (1 - context) * bound + context * loss(whole, x), variables

    energy = vae_energy(module, beta=beta, loss=loss)

    def scores(state, batch, key):
        x, variables = batch[image], variables_of(state)

        def sloping(x: Array) -> Array:
            if slope == "bound":
                return jnp.sum(energy(variables, x, keyed(key, batch)))
            return jnp.sum(kl(*module.apply(variables, x, method="posterior")))

        steep = blurred(jnp.abs(jax.grad(sloping)(x)).mean(axis=-1), sigma)
        of_image = energy(variables, x, keyed(key, batch)) / x[0].size
        return Scores(of_image, residual(x, module.apply(variables, x)) * steep)

    return Detector(by_methods(module, objective, optimizer, (image,)), scores)

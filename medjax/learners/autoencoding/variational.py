"""Autoencoders whose code is drawn: of one normal distribution, of classes, of a mixture."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.learners.learner import Learner
from medjax.losses.pixel import l1, l2
from medjax.models.generative.autoencoders import Mixture

from .methods import Loss, by_methods


def vae(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    beta: float = 1.0,
    loss: Loss = l2,
    image: str = "image",
    label: str | None = None,
) -> Learner:
    """A variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114, eq. 10).

    What is minimised is the negative evidence bound over the number of voxels and channels, so
    that weights do not depend on the size of images: ``loss + beta KL / voxels``. With `l2` and
    ``beta`` one, voxels have normal errors of the variance one half; of another variance
    ``beta`` is twice that (Higgins et al. 2017 take it larger, so that codes come apart).

    Args:
        module: with a method ``sampled(x, [label], train) -> (image, Gaussian)``, such as
            `medjax.models.generative.VAE`.
        optimizer: any Optax transformation.
        beta: weight of the code's divergence from a standard normal one.
        loss: between the image that comes out and the one of the batch, a mean over voxels.
        image: the batch's entry of images.
        label: the batch's entry of classes, integer ``(batch,)``, for a module of classes.

    Returns:
        A learner whose scalars are ``loss`` and ``gradient_norm``, and whose `predict` returns
        the image of the mean code.

    Raises:
        InputError: for a negative ``beta``.
    """
    _require(beta)
    inputs = (image,) if label is None else (image, label)

    def objective(network, variables, batch, key, step):
        arguments = [batch[name] for name in inputs]
        (again, posterior), collections = network(variables, "sampled", *arguments, key=key)
        x = batch[image]
        divergence = per_sample_sum(kl(posterior.mean, posterior.log_variance))
        return loss(again, x) + beta * divergence / x[0].size, collections

    return by_methods(module, objective, optimizer, inputs)


def cvae(
    module: Any, optimizer: optax.GradientTransformation, *, label: str = "label", **options: Any
) -> Learner:
    """A conditional variational autoencoder: both halves are told the class.

    Kingma et al. 2014 (arXiv:1406.5298, eq. 6, with known classes); Sohn et al. 2015 (NIPS 28).

    Args:
        module: see `vae`; of ``classes``.
        optimizer: see there.
        label: see there.
        **options: of `vae`.
    """
    return vae(module, optimizer, label=label, **options)


def kl_autoencoder(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    beta: float = 1e-6,
    loss: Loss = l1,
    **options: Any,
) -> Learner:
    """The autoencoder of latent diffusion: a `vae` whose divergence counts for next to nothing.

    Rombach et al. 2022 (arXiv:2112.10752, section 3.1 and appendix G, "KL-reg."). What differs:
    its perceptual loss is the caller's, as part of ``loss``, and there is no discriminator.

    Args:
        module: see `vae`.
        optimizer: see there.
        beta: see there.
        loss: see there.
        **options: of `vae`.
    """
    return vae(module, optimizer, beta=beta, loss=loss, **options)


def gmvae(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    beta: float = 1.0,
    loss: Loss = l2,
    image: str = "image",
) -> Learner:
    """A variational autoencoder with a mixture for its codes.

    Dilokthanakul et al. 2016 (arXiv:1611.02648, eq. 4 to 6): the bound's four terms are the
    image, the code in the component that made it, ``w``, and the component, whose posterior
    follows from the others by Bayes' rule. What is minimised is over the number of voxels, as
    for `vae`. What differs: the divergence of the component is not bounded from below, as in
    the paper's section 3.3 against its vanishing.

    Args:
        module: with a method ``sampled(x, train) -> Mixture``, `medjax.models.generative.GMVAE`.
        optimizer: see `vae`, as for the others.
        beta: of the last three terms.
        loss: see there.
        image: see there.
    """
    _require(beta)

    def objective(network, variables, batch, key, step):
        got, collections = network(variables, "sampled", batch[image], key=key)
        x = batch[image]
        return loss(got.image, x) + beta * mixture_divergence(got) / x[0].size, collections

    return by_methods(module, objective, optimizer, (image,))


def mixture_divergence(got: Mixture) -> Float[Array, " batch"]:
    """The last three terms of the bound of `gmvae`, summed over places, in nats.

    Args:
        got: of `medjax.models.generative.GMVAE`.
    """
    mean, log_variance = got.components
    square = (got.drawn[..., None, :] - mean) ** 2 * jnp.exp(-log_variance)
    logits = -0.5 * (square + log_variance).sum(-1)
    share, log_share = jax.nn.softmax(logits), jax.nn.log_softmax(logits)
    code = (a[..., None, :] for a in got.code)
    within = kl(*code, mean, log_variance).sum(-1)
    of_component = (share * (log_share + jnp.log(float(share.shape[-1])))).sum(-1)
    return per_sample_sum((share * within).sum(-1) + of_component + kl(*got.style).sum(-1))


def kl(
    mean: Float[Array, "*a"],
    log_variance: Float[Array, "*a"],
    other_mean: Array | float = 0.0,
    other_log_variance: Array | float = 0.0,
) -> Array:
    """The divergence of one normal distribution from another, number by number, in nats."""
    ratio = jnp.exp(log_variance - other_log_variance)
    away = (mean - other_mean) ** 2 * jnp.exp(-jnp.asarray(other_log_variance, mean.dtype))
    return 0.5 * (ratio + away - 1 - log_variance + other_log_variance)


def per_sample_sum(x: Array) -> Float[Array, " batch"]:
    """Sum over all axes but the first."""
    return x.reshape(x.shape[0], -1).sum(axis=1)


def _require(beta: float) -> None:
    if beta < 0:
        raise InputError("beta", "a number of at least 0", beta)

"""Autoencoders whose code is a number a channel: plain, denoising, sparse, contractive, stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Key
from medjax.learners.learner import Learner
from medjax.losses.pixel import l2

from .methods import Loss, by_methods

Corrupt = Callable[[Key[Array, ""], Array], Array]
"""``(key, images) -> images``."""


def autoencoder(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    loss: Loss = l2,
    image: str = "image",
    corrupt: Corrupt | None = None,
    sparsity: float = 0.0,
    target: float = 0.05,
    contraction: float = 0.0,
) -> Learner:
    """Minimise what an image loses on its way through a code, and what a code should not be.

    `denoising_autoencoder`, `sparse_autoencoder` and `contractive_autoencoder` name each of its
    options, which can be had together.

    Args:
        module: with methods ``coded(x, train) -> (image, code)`` and ``encode(x, train)``, such
            as `medjax.models.generative.Autoencoder`.
        optimizer: any Optax transformation.
        loss: between the image that comes out and the one of the batch.
        image: the batch's entry of images.
        corrupt: what happens to an image before it goes in.
        sparsity: weight of the code's distance from ``target``.
        target: share of the time that each of the code's units, between 0 and 1, is on.
        contraction: weight of the code's change with the image.

    Returns:
        A learner whose scalars are ``loss`` and ``gradient_norm``, and whose `predict` returns
        the image again.

    Raises:
        InputError: for a ``target`` outside (0, 1) or a negative weight.
    """
    if not 0 < target < 1:
        raise InputError("target", "a number between 0 and 1", target)
    if min(sparsity, contraction) < 0:
        raise InputError("sparsity", "weights of at least 0", (sparsity, contraction))

    def objective(network, variables, batch, key, step):
        x = batch[image]
        given = x if corrupt is None else corrupt(jax.random.fold_in(key, 1), x)
        (again, code), collections = network(variables, "coded", given, key=key)
        values = loss(again, x)
        if sparsity:
            values = values + sparsity * unlikeness(code, target)
        if contraction:
            direction = jax.random.rademacher(jax.random.fold_in(key, 2), x.shape, x.dtype)
            encode = lambda x: network(variables, "encode", x, key=key)[0]  # noqa: E731
            _, change = jax.jvp(encode, (given,), (direction,))
            # Its expected square is that of the whole Jacobian.
            values = values + contraction * jnp.sum(change**2, axis=tuple(range(1, change.ndim)))
        return values, collections

    return by_methods(module, objective, optimizer, (image,))


def unlikeness(code: Array, target: float) -> Array:
    """How far units' mean over batch and places is from a share: a mean over units of KL.

    Ng 2011 (Sparse autoencoder, CS294A, section 3), whose sum over units it is divided by
    their number. It is one number, of the batch.
    """
    mean = code.reshape(-1, code.shape[-1]).mean(0)
    mean = jnp.clip(mean, 1e-6, 1 - 1e-6)
    on, off = target * jnp.log(target / mean), (1 - target) * jnp.log((1 - target) / (1 - mean))
    return jnp.mean(on + off)


def denoising_autoencoder(
    module: Any, optimizer: optax.GradientTransformation, corrupt: Corrupt, **options: Any
) -> Learner:
    """A denoising autoencoder (Vincent et al. 2008, doi:10.1145/1390156.1390294).

    The image is corrupted, and what comes out compared with the image as it was.

    Args:
        module: see `autoencoder`, as for ``optimizer``.
        optimizer: see there.
        corrupt: what happens to images, such as noise or holes.
        **options: of `autoencoder`.
    """
    return autoencoder(module, optimizer, corrupt=corrupt, **options)


def sparse_autoencoder(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    sparsity: float = 0.1,
    target: float = 0.05,
    **options: Any,
) -> Learner:
    """A sparse autoencoder: each unit of the code is on in few places.

    Ng 2011 (Sparse autoencoder, CS294A, section 3). Codes must be between 0 and 1:
    ``Autoencoder(..., code_activation=nn.sigmoid)``.

    Args:
        module: see `autoencoder`, as for the others.
        optimizer: see there.
        sparsity: see there.
        target: see there.
        **options: of `autoencoder`.
    """
    return autoencoder(module, optimizer, sparsity=sparsity, target=target, **options)


def contractive_autoencoder(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    contraction: float = 0.1,
    **options: Any,
) -> Learner:
    """A contractive autoencoder: codes change little with the image.

    Rifai et al. 2011 (ICML, eq. 5): the squared Frobenius norm of the code's Jacobian. What
    differs: it is estimated along one random direction an image (Hutchinson 1990), without
    bias, since the whole one is as many passes as images have voxels.

    Args:
        module: see `autoencoder`, as for the others. Batch norm would mix samples' Jacobians.
        optimizer: see there.
        contraction: see there.
        **options: of `autoencoder`.
    """
    return autoencoder(module, optimizer, contraction=contraction, **options)


def stacked_autoencoder(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    pretraining: int,
    loss: Loss = l2,
    image: str = "image",
) -> Learner:
    """Autoencoders on top of each other, trained layer by layer, then as one.

    Bengio et al. 2006 (NIPS 19, 153); Vincent et al. 2010 (JMLR 11:3371, section 3.5). For the
    first steps each layer learns to give back the code of the layer below, which learns
    nothing from it; then the whole stack to give back the image. What differs: layers are
    pretrained at one time, each on the codes that there are, not one after the other.

    Args:
        module: with the methods of `medjax.models.generative.StackedAutoencoder`.
        optimizer: any Optax transformation.
        pretraining: number of steps of the first kind.
        loss: between what comes out and what went in.
        image: the batch's entry of images.

    Returns:
        A learner whose scalars are ``loss``, of the kind of the step, and ``gradient_norm``,
        and whose `predict` returns the image again.

    Raises:
        InputError: for a negative ``pretraining``.
    """
    if pretraining < 0:
        raise InputError("pretraining", "a number of at least 0", pretraining)

    def objective(network, variables, batch, key, step):
        x = batch[image]

        def layers() -> Array:
            pairs, _ = network(variables, "layerwise", x, key=key)
            return sum(loss(again, below) for again, below in pairs) / len(pairs)

        def whole() -> Array:
            return loss(network(variables, "__call__", x, key=key)[0], x)

        return jax.lax.cond(step < pretraining, layers, whole), variables

    return by_methods(module, objective, optimizer, (image,))

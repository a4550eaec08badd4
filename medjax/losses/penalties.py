"""Penalties that keep adversarial training stable: pure functions of a critic function.

All penalties of a critic have one signature, ``(critic, real, fake, key) -> (batch,)``: critic
is ``images -> logits``, its parameters already in it, and takes no sample into account for
another, as batch norm would. A critic's value of a sample is the mean of its logits, as in
`medjax.losses.adversarial`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from medjax.core.arrays import at_least_single, per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Key
from medjax.image.similarity import mean_per_sample

Critic = Callable[[Array], Array]
Penalty = Callable[[Critic, Array, Array, Key[Array, ""]], Float[Array, " batch"]]


def gradient_penalty(
    critic: Critic,
    real: Float[Array, "batch ..."],
    fake: Float[Array, "..."],
    key: Key[Array, ""],
    *,
    target: float = 1.0,
) -> Float[Array, " batch"]:
    """``(|slope| - target)^2`` between real and generated images (WGAN-GP).

    Gulrajani et al. 2017 (arXiv:1704.00028, eq. 3 and algorithm 1): at a random point on the
    line from each generated image to a real one. Their weight is 10.

    Args:
        critic: ``images -> (batch, ...)``.
        real: images.
        fake: generated ones, of the same shape.
        key: of the places on the lines.
        target: the slope that costs nothing; 0 for the zero-centred form (Thanh-Tung et al.
            2019, arXiv:1902.03984).

    Raises:
        InputError: for unequal shapes.
    """
    if real.shape != fake.shape:
        raise InputError(
            "fake", f"generated images of the real ones' shape {real.shape}", fake.shape
        )
    share = per_sample(jax.random.uniform(key, real.shape[:1], real.dtype), real.ndim)
    return (_root(_squared_slope(critic, fake + share * (real - fake))) - target) ** 2


def r1(critic: Critic, real: Array, fake: Array, key: Key[Array, ""]) -> Float[Array, " batch"]:
    """Half of the squared slope at real images (Mescheder et al. 2018, arXiv:1801.04406, eq. 9).

    With the weight gamma it is the paper's ``gamma / 2 |slope|^2``. Arguments are those of
    `gradient_penalty`; ``fake`` and ``key`` take no part.
    """
    del fake, key
    return _squared_slope(critic, real) / 2


def r2(critic: Critic, real: Array, fake: Array, key: Key[Array, ""]) -> Float[Array, " batch"]:
    """`r1` at the generated images (eq. 10 of the same)."""
    del real, key
    return _squared_slope(critic, fake) / 2


def consistency(
    transform: Callable[[Key[Array, ""], Array], Array], *, of_fake: float = 0.0
) -> Penalty:
    """What a critic says of an image and of its augmented copy should be one: squared difference.

    Zhang et al. 2020 (CR-GAN, arXiv:1910.12027), with ``of_fake`` the balanced form of
    Zhao et al. 2021 (bCR-GAN, arXiv:2002.04724, algorithm 1).

    Args:
        transform: ``(key, images) -> images`` of the same shape, that leaves their meaning.
        of_fake: weight of the generated images' term beside the real ones'.

    Returns:
        A penalty.
    """

    def penalty(
        critic: Critic, real: Array, fake: Array, key: Key[Array, ""]
    ) -> Float[Array, " batch"]:
        def apart(images: Array, number: int) -> Array:
            changed = transform(jax.random.fold_in(key, number), images)
            return mean_per_sample(
                (at_least_single(critic(images)) - at_least_single(critic(changed))) ** 2
            )

        value = apart(real, 0)
        return value + of_fake * apart(fake, 1) if of_fake else value

    return penalty


def path_lengths(
    synthesis: Callable[[Array], Array],
    styles: Float[Array, "batch *layer dim"],
    key: Key[Array, ""],
) -> Float[Array, " batch"]:
    """How far images move for a step in the space of styles: ``|J^T y|``, y noise of unit variance.

    Karras et al. 2020 (StyleGAN2, arXiv:1912.04958, section 3.2). The noise is divided by the
    root of the number of voxels, and the squares of several layers' styles are averaged, as the
    authors do.

    Args:
        synthesis: ``styles -> images (batch, *spatial, channel)``, each sample by itself.
        styles: of each sample, of one layer or of all.
        key: of the noise.
    """
    images, transposed = jax.vjp(synthesis, styles)
    noise = jax.random.normal(key, images.shape, images.dtype)
    (slope,) = transposed(noise / math.sqrt(math.prod(images.shape[1:-1])))
    squares = jnp.sum(at_least_single(slope) ** 2, -1)
    return _root(mean_per_sample(squares))


def _squared_slope(critic: Critic, images: Array) -> Float[Array, " batch"]:
    slope = jax.grad(lambda x: jnp.sum(mean_per_sample(at_least_single(critic(x)))))(images)
    return jnp.sum(at_least_single(slope) ** 2, tuple(range(1, slope.ndim)))


def _root(squared: Array) -> Array:
    # The root's slope is infinite at zero: step around it, with slope zero there.
    safe = jnp.where(squared > 0, squared, 1)
    return jnp.where(squared > 0, jnp.sqrt(safe), 0)

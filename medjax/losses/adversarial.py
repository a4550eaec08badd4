"""What a generator and a discriminator minimise: pairs of pure functions of logits.

Logits are ``(batch, ...)``: one a sample, or a map of them where a discriminator judges parts
of an image (PatchGAN); a sample's value is then the mean of its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.arrays import at_least_single
from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.similarity import mean_per_sample

Side = Callable[[Array, Array], Float[Array, " batch"]]
"""``(logits of real images, logits of generated ones) -> (batch,)``."""


class AdversarialLoss(NamedTuple):
    """What two players minimise.

    Attributes:
        discriminator: of the logits of real images and of generated ones.
        generator: of the same; most look at the generated ones alone.
        threshold: above it a logit says "real"; None where only differences mean anything, and
            an image is taken for real above the mean of the other kind.
    """

    discriminator: Side
    generator: Side
    threshold: float | None = 0.0


def non_saturating() -> AdversarialLoss:
    """Cross-entropy of real and generated (Goodfellow et al. 2014, arXiv:1406.2661, section 3).

    The generator's is the one that keeps a slope where it loses: it minimises ``-log D(G(z))``
    in place of ``log(1 - D(G(z)))``.
    """

    def discriminator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return _mean(jax.nn.softplus(-real) + jax.nn.softplus(fake))

    def generator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return _mean(jax.nn.softplus(-fake))

    return _checked(discriminator, generator, 0.0)


def least_squares(
    real_target: float = 1.0, fake_target: float = 0.0, wanted: float = 1.0
) -> AdversarialLoss:
    """Squared distance to a number for each kind (Mao et al. 2017, arXiv:1611.04076, eq. 2).

    With the numbers by default it is their eq. 9.

    Args:
        real_target: what the discriminator is to say of real images (b in the paper).
        fake_target: of generated ones (a).
        wanted: what the generator wants it to say of those (c).

    Raises:
        InputError: where the targets do not tell the kinds apart.
    """
    if not real_target > fake_target:
        raise InputError("real_target", f"a number above fake_target {fake_target}", real_target)

    def discriminator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return _mean((real - real_target) ** 2 + (fake - fake_target) ** 2) / 2

    def generator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return _mean((fake - wanted) ** 2) / 2

    return _checked(discriminator, generator, (real_target + fake_target) / 2)


def wasserstein() -> AdversarialLoss:
    """The critic's estimate of the earth mover's distance, negative for the critic.

    Arjovsky et al. 2017 (arXiv:1701.07875, eq. 2 and 3). It is one only where the critic's slope is
    bounded: by clipping (`wgan`), a gradient penalty (`wgan_gp`) or spectral normalisation.
    """

    def discriminator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return _mean(fake - real)

    def generator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return -_mean(fake)

    return _checked(discriminator, generator, None)


def hinge() -> AdversarialLoss:
    """Margins of one (Lim & Ye 2017, arXiv:1705.02894).

    Also Miyato et al. 2018 (arXiv:1802.05957, eq. 16 and 17).
    """

    def discriminator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return _mean(jax.nn.relu(1 - real) + jax.nn.relu(1 + fake))

    def generator(real: Array, fake: Array) -> Float[Array, " batch"]:
        return -_mean(fake)

    return _checked(discriminator, generator, 0.0)


def relativistic_average() -> AdversarialLoss:
    """Is an image more real than the other kind's mean (RaSGAN)?

    Jolicoeur-Martineau 2018 (arXiv:1807.00734, algorithm 2). Means are over the whole batch,
    and over all parts of a map. The generator looks at real images too.
    """

    def discriminator(real: Array, fake: Array) -> Float[Array, " batch"]:
        above, below = real - jnp.mean(fake), fake - jnp.mean(real)
        return _mean(jax.nn.softplus(-above) + jax.nn.softplus(below))

    def generator(real: Array, fake: Array) -> Float[Array, " batch"]:
        above, below = real - jnp.mean(fake), fake - jnp.mean(real)
        return _mean(jax.nn.softplus(above) + jax.nn.softplus(-below))

    return _checked(discriminator, generator, None)


def accuracy(
    real: Array, fake: Array, threshold: float | None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The shares of real and of generated images that a discriminator takes for what they are.

    Args:
        real: logits of real images, ``(batch, ...)``.
        fake: logits of generated ones.
        threshold: that of the loss, see `AdversarialLoss`.

    Returns:
        Two float32 scalars. Both at 1 for long means that the generator learns nothing any more;
        both near 0.5 that the discriminator cannot tell.
    """
    real, fake = real.astype(jnp.float32), fake.astype(jnp.float32)
    for_real = jnp.mean(fake) if threshold is None else threshold
    for_fake = jnp.mean(real) if threshold is None else threshold
    right = jnp.mean(real > for_real, dtype=jnp.float32)
    return right, jnp.mean(fake < for_fake, dtype=jnp.float32)


def _mean(x: Array) -> Float[Array, " batch"]:
    return mean_per_sample(x)


def _checked(discriminator: Side, generator: Side, threshold: float | None) -> AdversarialLoss:
    """Both sides in float32, after checking that the logits belong together."""

    def side(function: Side) -> Side:
        def checked(real: Array, fake: Array) -> Float[Array, " batch"]:
            kinds = f"{real.dtype} {real.shape} and {fake.dtype} {fake.shape}"
            floating = all(jnp.issubdtype(x.dtype, jnp.floating) for x in (real, fake))
            if real.shape != fake.shape or not real.ndim or not floating:
                raise InputError("logits", "two floating arrays of one shape (batch, ...)", kinds)
            return function(at_least_single(real), at_least_single(fake))

        return checked

    return AdversarialLoss(side(discriminator), side(generator), threshold)

"""What a network predicts of a noisy image, and how it is told: one form for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .levels import Levels

Prediction = Literal["epsilon", "x0", "v", "edm"]
"""epsilon: the noise (Ho et al. 2020, arXiv:2006.11239, eq. 14).
x0: the image.
v: ``alpha noise - sigma x0`` (Salimans & Ho 2022, arXiv:2202.00512, section 4 and appendix D).
edm: what preconditioning leaves to the network (Karras et al. 2022, arXiv:2206.00364, eq. 7),
so that its inputs and targets have a variance of one at all levels."""

Denoise = Callable[[Array, Levels], Array]
"""``(x, level) -> x0``: the expected image given noisy ones ``(batch, ...)`` of one level, a
`Levels` of scalars. All that samplers know of a network."""


class Coefficients(NamedTuple):
    """With ``f`` what the network returns, by level.

    Attributes:
        scale: the network sees ``scale x``.
        skip: the image is ``skip x + out f``.
        out: see ``skip``.
        image: ``f`` should be ``image x0 + noise epsilon``.
        noise: see ``image``.
    """

    scale: Float[Array, "*level"]
    skip: Float[Array, "*level"]
    out: Float[Array, "*level"]
    image: Float[Array, "*level"]
    noise: Float[Array, "*level"]


def coefficients(prediction: str, level: Levels, data: float = 0.5) -> Coefficients:
    """The coefficients of a prediction.

    Args:
        prediction: see `Prediction`.
        level: one or many.
        data: standard deviation of the images, which "edm" takes into account.

    Raises:
        InputError: for another prediction.
    """
    alpha, sigma = level.alpha, level.sigma
    zero, one = jnp.zeros_like(alpha), jnp.ones_like(alpha)
    match prediction:
        case "epsilon":
            return Coefficients(one, 1 / alpha, -sigma / alpha, zero, one)
        case "x0":
            return Coefficients(one, zero, one, one, zero)
        case "v":
            both = alpha**2 + sigma**2
            return Coefficients(one, alpha / both, -sigma / both, -sigma, alpha)
        case "edm":
            # With alpha for processes whose images shrink; it is one in the paper.
            spread = jnp.sqrt((alpha * data) ** 2 + sigma**2)
            return Coefficients(
                1 / spread,
                alpha * data**2 / spread**2,
                sigma * data / spread,
                sigma / (data * spread),
                -alpha * data / spread,
            )
    raise InputError("prediction", f"one of {', '.join(get_args(Prediction))}", repr(prediction))


def denoiser(
    network: Callable[[Array, Float[Array, " batch"]], Array],
    prediction: str,
    *,
    data: float = 0.5,
    clip: tuple[float, float] | None = None,
) -> Denoise:
    """The expected image by a network: what samplers take.

    Args:
        network: ``(images, time) -> prediction``, with its parameters and conditions closed over.
        prediction: what it predicts.
        data: see `coefficients`.
        clip: range of the images, which expected ones are kept in (Ho et al. 2020 have it in
            their code). Clipping makes a sample's errors smaller where there is most noise.
    """

    def denoise(x: Array, level: Levels) -> Array:
        c = coefficients(prediction, level, data)
        image = c.skip * x + c.out * network(c.scale * x, jnp.broadcast_to(level.time, x.shape[:1]))
        return image if clip is None else jnp.clip(image, *clip)

    return denoise


def guided(conditional: Denoise, unconditional: Denoise, weight: float) -> Denoise:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598, eq. 6).

    Of expected images in place of noises: both are the same, since ``x`` is.

    Args:
        conditional: knows the condition.
        unconditional: does not.
        weight: 0 for the second, 1 for the first, above to go on beyond it; the paper's ``w``
            plus one.
    """

    def denoise(x: Array, level: Levels) -> Array:
        without = unconditional(x, level)
        return without + weight * (conditional(x, level) - without)

    return denoise

"""What adversarial learners add to their losses: penalties of either player."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Key, PyTree
from medjax.losses import penalties


class Penalty(NamedTuple):
    """A penalty of the discriminator.

    Attributes:
        function: of `medjax.losses.penalties`, ``(critic, real, fake, key) -> (batch,)``.
        weight: of its mean over the batch.
        every: steps from one to the next, with as many times the weight.
    """

    function: penalties.Penalty
    weight: float
    every: int = 1


class Regulariser(NamedTuple):
    """A penalty of the generator that may remember something.

    Attributes:
        function: ``(apply, latent, memory, key) -> (values, memory)``, where
            ``apply(*inputs, method=...)`` is the generator in training.
        start: what it remembers before the first step.
        weight: of the values' mean.
        every: steps from one to the next, with as many times the weight.
    """

    function: Callable[
        [Callable[..., Array], Array, PyTree, Key[Array, ""]], tuple[Float[Array, " _"], PyTree]
    ]
    start: PyTree
    weight: float
    every: int = 1


def path_length(
    weight: float = 2.0, every: int = 4, *, decay: float = 0.99, shrink: int = 2
) -> Regulariser:
    """Steps in the space of styles should move images equally far (StyleGAN2, eq. 4).

    ``(|J^T y| - a)^2`` with ``a`` a moving average of the lengths; see
    `medjax.losses.penalties.path_lengths`.

    Args:
        weight: 2 in the authors' code.
        every: 4 there.
        decay: of the average.
        shrink: every so-manieth sample takes part, which saves memory.

    Returns:
        A regulariser of generators with methods ``styles`` and ``synthesise``.

    Raises:
        InputError: for a decay outside [0, 1), or a number below 1.
    """
    if not 0 <= decay < 1:
        raise InputError("decay", "a number in [0, 1)", decay)
    if shrink < 1:
        raise InputError("shrink", "at least 1", shrink)

    def function(apply, latent, memory, key):
        noise, style = jax.random.split(key)
        styles = apply(latent[::shrink], True, method="styles", key=style)
        lengths = penalties.path_lengths(
            lambda w: apply(w, method="synthesise", key=style), styles, noise
        )
        mean = memory + (1 - decay) * (jnp.mean(jax.lax.stop_gradient(lengths)) - memory)
        return (lengths - mean) ** 2, mean

    return Regulariser(function, 0.0, weight, every)


def checked(items: tuple, what: str) -> None:
    """Raise `InputError` for a part that cannot be: fewer steps than one, a weight below 0."""
    for item in items:
        if item.every < 1:
            raise InputError(f"{what}: every", "at least 1", item.every)
        if item.weight < 0:
            raise InputError(f"{what}: weight", "a number from 0", item.weight)

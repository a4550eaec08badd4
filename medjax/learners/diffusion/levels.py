"""How much noise there is when: the levels that training draws from and sampling descends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.struct import struct
from medjax.core.types import Array, Float


@struct
class Levels:
    """Noise levels, least first: ``x = alpha x0 + sigma noise``.

    One abstraction for all processes here: the variance preserving ones, where the squares of
    the two sum to one, and the variance exploding one of EDM, where ``alpha`` is one.
    Samplers scan over its leaves, so that one level is a `Levels` of scalars.

    Attributes:
        time: what the network is told.
        alpha: of the image.
        sigma: of the noise, growing.
    """

    time: Float[Array, "*level"]
    alpha: Float[Array, "*level"]
    sigma: Float[Array, "*level"]

    def __getitem__(self, index) -> Levels:
        return Levels(self.time[index], self.alpha[index], self.sigma[index])

    def __len__(self) -> int:
        return self.sigma.shape[0]


def linear(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Levels:
    """DDPM's levels: the variance added a step grows linearly.

    Ho et al. 2020 (arXiv:2006.11239, section 4). Level ``i`` has been through ``i + 1`` of the
    steps, and its time is ``i``.

    Args:
        steps: number of levels. With others than 1000, variances are those of the paper times
            ``1000 / steps``, so that the last level is about as noisy.
        first: variance of the first of 1000 steps.
        last: of the last.

    Raises:
        InputError: for fewer than one level, or so few that a step has a variance above one.
    """
    _require(steps)
    variances = np.linspace(first, last, steps) * 1000 / steps
    if not 0 < variances.min() <= variances.max() < 1:
        raise InputError("linear", "variances between 0 and 1 in each step", variances.max())
    return _preserving(np.cumprod(1 - variances))


def cosine(steps: int = 1000, offset: float = 0.008) -> Levels:
    """Nichol & Dhariwal's levels: the image's share of the variance is a squared cosine.

    arXiv:2102.09672, eq. 17, with their bound of 0.999 on the variance of a step.

    Args:
        steps: number of levels.
        offset: keeps the first steps from being too small.
    """
    _require(steps)
    share = np.cos((np.arange(steps + 1) / steps + offset) / (1 + offset) * math.pi / 2) ** 2
    variances = np.minimum(1 - share[1:] / share[:-1], 0.999)
    return _preserving(np.cumprod(1 - variances))


def karras(
    steps: int = 18, smallest: float = 0.002, largest: float = 80.0, rho: float = 7.0
) -> Levels:
    """EDM's levels to sample at.

    Karras et al. 2022 (arXiv:2206.00364, eq. 5): the ``rho``-th roots of sigma are equally
    spaced.

    Args:
        steps: number of levels.
        smallest: sigma, in units of the images.
        largest: sigma, in units of the images.
        rho: the larger, the more of the levels are small.
    """
    _require(steps)
    if not 0 < smallest < largest:
        raise InputError("smallest", f"a number between 0 and largest, {largest}", smallest)
    roots = np.linspace(smallest ** (1 / rho), largest ** (1 / rho), steps)
    return exploding(jnp.asarray(roots**rho, jnp.float32))


def exploding(sigma: Float[Array, "*level"]) -> Levels:
    """Levels of EDM with these sigmas: the time is a quarter of their logarithm (table 1)."""
    return Levels(jnp.log(sigma) / 4, jnp.ones_like(sigma), sigma)


def select(levels: Levels, places: Sequence[int]) -> Levels:
    """Some of the levels, with the times that they had.

    Args:
        levels: of a schedule.
        places: which, growing.

    Raises:
        InputError: for places that do not grow or are not there.
    """
    at = np.asarray(places)
    if at.ndim != 1 or not at.size or at[0] < 0 or at[-1] >= len(levels) or (np.diff(at) < 1).any():
        raise InputError("places", f"growing numbers from 0 to {len(levels) - 1}", list(places))
    return levels[at]


def few(steps: int = 10, total: int = 1000, spacing: str = "uniform") -> tuple[int, ...]:
    """The places that Fast-DDPM keeps of a long schedule, for `select`.

    Jiang et al. 2024 (arXiv:2405.14802). uniform: the last of each of as many equal parts.
    non_uniform: four tenths of them in the first seven tenths of the schedule, and the rest,
    where there is most noise. What differs from the authors' code: uniformly it keeps the
    first level as well, which makes eleven of ten.

    Args:
        steps: how many.
        total: levels of the schedule.
        spacing: see above; for 10 of 1000 the numbers of the authors.

    Raises:
        InputError: for another spacing, or more steps than levels.
    """
    if not 1 <= steps <= total:
        raise InputError("steps", f"1 to {total}, the levels that there are", steps)
    match spacing:
        case "uniform":
            return tuple((i + 1) * total // steps - 1 for i in range(steps))
        case "non_uniform":
            # At 0, 199, 399, 599 of 1000, then to the end from 699 in steps of 50 to 100.
            if (steps, total) == (10, 1000):
                return (0, 199, 399, 599, 699, 799, 849, 899, 949, 999)
            turn, early = round(0.7 * total) - 1, int(0.4 * steps)
            first = np.linspace(0, turn, early + 1)[:-1]
            then = np.linspace(turn, total - 1, steps - early)
            return tuple(int(i) for i in np.unique(np.ceil([*first, *then])))
    raise InputError("spacing", "uniform or non_uniform", repr(spacing))


def _preserving(share: np.ndarray) -> Levels:
    """Variance preserving levels from the image's share of the variance, in double precision."""
    parts = (np.arange(len(share)), np.sqrt(share), np.sqrt(1 - share))
    return Levels(*(jnp.asarray(part, jnp.float32) for part in parts))


def _require(steps: int) -> None:
    if steps < 1:
        raise InputError("steps", "a number of at least 1", steps)

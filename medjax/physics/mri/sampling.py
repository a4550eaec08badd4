"""Which samples of k-space are acquired: the sampling operator, and masks of lines."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.struct import struct
from medjax.core.types import Array, Bool, Float, Int, Key
from medjax.physics.operator import LinearOperator, cast_like, matching


@struct
class Sampling(LinearOperator):
    """Keep the samples of a mask and put zeros elsewhere, on the same grid.

    The mask's axes meet the trailing axes of the data and are equal to them or
    one; further leading axes of the data are batch axes. For k-space ``(..., y,
    x)`` a mask is ``(x,)`` for lines, ``(y, x)`` for points, or ``(batch, y, x)``
    for a pattern a sample. Where a coil axis lies between, the mask has it too,
    as an axis of one: ``(batch, 1, y, x)`` for ``(batch, coil, y, x)``, or
    ``(time, 1, 1, x)`` for the lines of each frame of a series.

    Attributes:
        mask: bool, or real weights, with respect to which one can differentiate.
            Weights multiply the data, so that the normal operator is their square.

    Raises:
        InputError: for a mask that is neither bool nor real floating, or, when
            applied, one that does not fit the data.
    """

    mask: Array

    def __post_init__(self):
        if not (self.mask.dtype == bool or jnp.issubdtype(self.mask.dtype, jnp.floating)):
            raise InputError("mask", "a bool or real floating array", self.mask.dtype)

    def forward(self, x: Array) -> Array:
        return self._weighted(x)

    def adjoint(self, y: Array) -> Array:
        return self._weighted(y)

    def normal(self, x: Array) -> Array:
        return self._weighted(x, power=2)

    def matching(self, shape: tuple[int, ...]) -> Array:
        """The mask with as many axes as data of this shape; raises where it does not fit."""
        return matching("mask", self.mask, shape)

    def _weighted(self, x: Array, power: int = 1) -> Array:
        mask = self.matching(x.shape)
        if mask.dtype == bool:
            return jnp.where(mask, x, 0)
        return x * cast_like(mask**power, x)


def equispaced(
    size: int, spacing: int, *, calibration: int = 0, offset: int | Int[Array, ""] = 0
) -> Bool[Array, " size"]:
    """Every ``spacing``-th line, and a fully sampled centre.

    Because of the centre the effective acceleration is lower than ``spacing``;
    `acceleration` computes it.

    Args:
        size: number of lines; zero frequency is line ``size // 2``.
        spacing: distance of the lines, at least 1.
        calibration: number of lines of the centre, from
            ``size // 2 - calibration // 2``.
        offset: moves the lines; with 0 zero frequency is one of them. May be traced.

    Raises:
        InputError: for a spacing or calibration outside 1 or 0 to ``size``.
    """
    if not 1 <= spacing <= size:
        raise InputError("spacing", f"1 to {size} for {size} lines", spacing)
    centre = _centre(size, calibration, size)
    return centre | ((jnp.arange(size) - size // 2 - offset) % spacing == 0)


def random_lines(
    key: Key[Array, ""], size: int, acceleration: int | float, *, calibration: int
) -> Bool[Array, " size"]:
    """Exactly ``round(size / acceleration)`` lines: the centre, the others uniformly.

    Args:
        key: of this mask; `jax.vmap` over keys makes a batch.
        size: number of lines; zero frequency is line ``size // 2``.
        acceleration: at least 1. It counts the centre, so it is what one gets.
        calibration: number of lines of the fully sampled centre.

    Raises:
        InputError: for an acceleration below 1 or one that leaves no line, or a
            centre of more lines than there are to sample.
    """
    return _drawn(key, jnp.zeros(size), acceleration, calibration)


def gaussian_lines(
    key: Key[Array, ""],
    size: int,
    acceleration: int | float,
    *,
    calibration: int,
    width: float = 1 / 6,
) -> Bool[Array, " size"]:
    """Exactly ``round(size / acceleration)`` lines, denser towards the centre.

    Lines beside the fully sampled centre are drawn one after the other without
    replacement, with probabilities proportional to a Gaussian of the distance
    from zero frequency. All at once that is the largest of the log
    probabilities plus Gumbel noise (Kool et al. 2019, "Stochastic beams and
    where to find them", section 2), which works under jit and vmap.

    Args:
        key: of this mask; `jax.vmap` over keys makes a batch.
        size: number of lines; zero frequency is line ``size // 2``.
        acceleration: at least 1. It counts the centre, so it is what one gets.
        calibration: number of lines of the fully sampled centre.
        width: standard deviation as a fraction of ``size``; with 1/6 the edge
            of k-space lies at three of them.

    Raises:
        InputError: as `random_lines`, and for a width that is not positive.
    """
    if not width > 0:
        raise InputError("width", "a positive fraction", width)
    distance = (jnp.arange(size) - size // 2).astype(jnp.float32) / (width * size)
    return _drawn(key, -0.5 * distance**2, acceleration, calibration)


def acceleration(mask: Array) -> Float[Array, ""]:
    """Number of positions over number of samples of a mask; `jax.vmap` for one a mask."""
    return mask.size / jnp.count_nonzero(mask).astype(jnp.float32)


def _drawn(
    key: Key[Array, ""],
    log_density: Float[Array, " size"],
    acceleration: int | float,
    calibration: int,
) -> Bool[Array, " size"]:
    size = log_density.shape[0]
    if not 1 <= acceleration < math.inf:
        raise InputError("acceleration", "a number of at least 1", acceleration)
    count = round(size / acceleration)
    if count < 1:
        raise InputError("acceleration", f"one that leaves a line of {size}", acceleration)
    centre = _centre(size, calibration, count)
    noise = jax.random.gumbel(key, (size,), log_density.dtype)
    order = jnp.where(centre, jnp.inf, log_density + noise)
    _, lines = jax.lax.top_k(order, count)
    return jnp.zeros(size, bool).at[lines].set(True)


def _centre(size: int, calibration: int, most: int) -> Bool[Array, " size"]:
    if not 0 <= calibration <= most:
        raise InputError("calibration", f"0 to {most} lines of {size}", calibration)
    position = jnp.arange(size) - size // 2 + calibration // 2
    return (position >= 0) & (position < calibration)

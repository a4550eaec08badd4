"""Where a token is: sinusoidal and rotary encodings of any number of axes, and resizing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Float


def grid_coordinates(grid: tuple[int, ...]) -> Float[Array, "token axis"]:
    """Coordinates of a grid's cells in units of cells, in the order of a reshape to tokens."""
    axes = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in grid), indexing="ij")
    return jnp.asarray(np.stack([a.ravel() for a in axes], axis=-1))


def sinusoidal(
    coordinates: Float[Array, "*batch token axis"], channels: int, temperature: float = 1e4
) -> Float[Array, "*batch token channels"]:
    """Fixed encoding of positions by sines and cosines (Vaswani et al. 2017, section 3.5).

    arXiv:1706.03762. With several axes as in MAE (He et al. 2022, arXiv:2111.06377): each
    has an equal share of the channels, the last axis first, sines before cosines.

    Args:
        coordinates: in cells.
        channels: of the encoding; what the axes cannot share evenly is zero, at the end.
        temperature: wavelengths go from 2 pi cells to 2 pi times this.

    Raises:
        InputError: for fewer than two channels an axis.
    """
    axes = coordinates.shape[-1]
    angles = _angles(coordinates, channels // (2 * axes), temperature, "channels", channels)
    parts = [f(angles[..., axis, :]) for axis in reversed(range(axes)) for f in (jnp.sin, jnp.cos)]
    encoding = jnp.concatenate(parts, axis=-1)
    rest = channels - encoding.shape[-1]
    return jnp.pad(encoding, [(0, 0)] * (encoding.ndim - 1) + [(0, rest)])


def rotary(
    x: Float[Array, "batch token head channel"],
    coordinates: Float[Array, "*batch token axis"],
    temperature: float = 100.0,
) -> Float[Array, "batch token head channel"]:
    """Turn pairs of channels by angles that grow with position (Su et al. 2021).

    arXiv:2104.09864; along several axes as in Heo et al. 2024 (arXiv:2403.13298, "axial"):
    each axis turns an equal share of the pairs. The product of a query and a key then
    depends on how far apart they are. Pairs that the axes cannot share evenly are not turned.

    Args:
        x: queries or keys.
        coordinates: in cells, of all samples or of each.
        temperature: ratio of the fastest to the slowest angle; 100 in that paper, since
            images have few cells an axis.

    Raises:
        InputError: for fewer than two channels an axis.
    """
    axes, channels = coordinates.shape[-1], x.shape[-1]
    each = channels // (2 * axes)
    angles = _angles(coordinates, each, temperature, "channels of a head", channels)
    angles = angles.reshape(*angles.shape[:-2], 1, each * axes)
    angles = angles.reshape((1,) * (x.ndim - angles.ndim) + angles.shape)
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    a, b, rest = jnp.split(x, (each * axes, 2 * each * axes), axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos, rest], axis=-1)


def _angles(coordinates: Array, each: int, temperature: float, who: str, got: int) -> Array:
    if each < 1:
        axes = coordinates.shape[-1]
        raise InputError(who, f"at least {2 * axes}, two for each of {axes} axes", got)
    frequencies = temperature ** (-np.arange(each, dtype=np.float32) / each)
    frequencies = frequencies.astype(np.float32).reshape((1,) * coordinates.ndim + (each,))
    return coordinates[..., None] * jnp.asarray(frequencies)


def resize_positions(
    positions: Float[Array, "*grid channel"], grid: tuple[int, ...]
) -> Float[Array, "*resized channel"]:
    """Learned positions on another grid, by cubic interpolation with antialiasing."""
    if positions.shape[:-1] == grid:
        return positions
    return jax.image.resize(positions, (*grid, positions.shape[-1]), "cubic")

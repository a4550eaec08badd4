"""Decoders to any number of voxels: a network of place, and an explicit function of it."""

from __future__ import annotations

import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import Conv, Size, per_axis
from .dense import Dense
from .patch import PatchEmbed, patch_grid
from .position import grid_coordinates, sinusoidal
from .unfold import unfolded


def places(size: int, wanted: int) -> np.ndarray:
    """Where ``wanted`` voxels lie among ``size`` voxels of the same extent, in those voxels."""
    return (np.arange(wanted, dtype=np.float64) + 0.5) * size / wanted - 0.5


class LocalImplicit(nn.Module):
    """Values at any place from the features around it and the way to them (LIIF).

    Chen et al. 2021 (arXiv:2012.09161, section 3). As there: features of the 3x3 neighbours
    join (3x3x3 in 3D), a network of dense layers is told where the place is from a feature's
    and how large the wanted voxel is, and the answers from the nearest features on all sides
    are averaged by how near they are. Lengths are in voxels of the features' grid.

    Attributes:
        channels: of the values.
        hidden: channels of the hidden layers.
        dtype: of the hidden layers; parameters, the last layer and the output are float32.
    """

    channels: int
    hidden: tuple[int, ...] = (256, 256, 256, 256)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"], sizes: tuple[int, ...]
    ) -> Float[Array, "batch *sizes values"]:
        """The values at ``sizes`` voxels that cover the features' extent."""
        grid, ndim = x.shape[1:-1], x.ndim - 2
        around = unfolded(x, 3)
        at = [places(n, m) for n, m in zip(grid, sizes, strict=True)]
        cell = [n / m for n, m in zip(grid, sizes, strict=True)]
        layers = [
            Dense(width, dtype=self.dtype, name=f"hidden{i}") for i, width in enumerate(self.hidden)
        ]
        head = Dense(self.channels, name="head")

        total = None
        for corner in itertools.product((0, 1), repeat=ndim):
            features, told, weight = around, [], np.ones((1,) * ndim)
            for axis, (p, side) in enumerate(zip(at, corner, strict=True)):
                own = np.clip(np.floor(p) + side, 0, grid[axis] - 1)
                features = jnp.take(features, own.astype(np.int32), axis=1 + axis)
                line = [-1 if i == axis else 1 for i in range(ndim)]
                share = p - np.floor(p)
                weight = weight * (share if side else 1 - share).reshape(line)
                told.append(np.broadcast_to((p - own).reshape(line), sizes))
            told += [np.full(sizes, c) for c in cell]
            where = jnp.asarray(np.stack(told, -1)[None], features.dtype)
            where = jnp.broadcast_to(where, (x.shape[0], *where.shape[1:]))
            y = jnp.concatenate([features, where], -1)
            for layer in layers:
                y = nn.relu(layer(y))
            y = head(y.astype(jnp.float32)) * jnp.asarray(weight[None, ..., None], jnp.float32)
            total = y if total is None else total + y
        return total


class FourierPatches(nn.Module):
    """Patches of an image as Fourier series, whose coefficients a network tells (NExpR).

    Pang et al. 2025 (doi:10.1016/j.compbiomed.2024.109354). As in the authors' code: a strided
    convolution gives features of each patch, its place is encoded and the size of the wanted
    voxels told, dense layers give coefficients of sines and cosines of all sums of the axes'
    frequencies, and frequencies are learned. The function of a patch costs one evaluation of
    the network for any number of voxels. What differs: 2D and 3D; frequencies below zero
    mirror those above at the start, where the authors' have zero twice; one step of the
    frequencies is learned by axis and side as there, and all channels share them.

    Attributes:
        channels: of the image.
        patch: voxels of the features' grid in a patch, along each axis.
        degree: frequencies beside zero along each axis, an even number.
        frequency: the highest one at the start, in half turns per voxel of the features' grid;
            1 is the grid's limit.
        hidden: channels of the dense layers.
        dtype: of the network; parameters, coefficients and the output are float32.
    """

    channels: int
    patch: Size = 4
    degree: int = 8
    frequency: float = 2.0
    hidden: tuple[int, ...] = (256, 256, 256, 256)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"], sizes: tuple[int, ...]
    ) -> Float[Array, "batch *sizes channels"]:
        """The image at ``sizes`` voxels that cover the features' extent.

        Raises:
            InputError: for an odd degree or one below 2.
        """
        if self.degree < 2 or self.degree % 2:
            raise InputError("degree", "an even number of at least 2", self.degree)
        grid, ndim = x.shape[1:-1], x.ndim - 2
        patch = per_axis(self.patch, ndim, "patch")
        patches = patch_grid(grid, patch)
        width = math.prod(patch) * x.shape[-1]
        y = PatchEmbed(width, patch, dtype=self.dtype, name="patches")(x)
        place = sinusoidal(grid_coordinates(patches), width).reshape(1, *patches, width)
        cell = np.asarray([n / m for n, m in zip(grid, sizes, strict=True)], np.float32)
        cell = jnp.broadcast_to(with_rank(jnp.asarray(cell), y.ndim), (*y.shape[:-1], ndim))
        y = jnp.concatenate([y + place.astype(y.dtype), cell.astype(y.dtype)], -1)
        for number, features in enumerate(self.hidden):
            y = Conv(features, 1, dtype=self.dtype, name=f"hidden{number}")(y)
            slope = self.param(f"slope{number}", nn.initializers.constant(0.25), (), jnp.float32)
            y = jnp.where(y > 0, y, with_rank(slope.astype(y.dtype), y.ndim) * y)
        terms = (self.degree + 1,) * ndim
        faint = nn.initializers.normal(0.01)
        count = 2 * math.prod(terms) * self.channels
        y = Conv(count, 1, kernel_init=faint, name="coefficients")(y.astype(jnp.float32))
        y = y.reshape(*y.shape[:-1], *terms, self.channels, 2)
        return _evaluated(jax.lax.complex(y[..., 0], y[..., 1]), self._waves(grid, sizes, patch))

    def _waves(
        self, grid: tuple[int, ...], sizes: tuple[int, ...], patch: tuple[int, ...]
    ) -> list[tuple[np.ndarray, Array]]:
        """Along each axis the patch of each voxel, and its waves ``(voxel, term)``."""
        half = self.degree // 2
        init = nn.initializers.constant(self.frequency / half)
        found = []
        for axis, (n, m, p) in enumerate(zip(grid, sizes, patch, strict=True)):
            steps = self.param(f"steps{axis}", init, (2, half), jnp.float32)
            below, above = jnp.cumsum(steps, axis=1)
            frequencies = jnp.pi * jnp.concatenate([-below[::-1], jnp.zeros(1), above])
            # From the edge of the first voxel: a patch begins at 0 and ends at its size.
            at = places(n, m) + 0.5
            own = np.floor(at / p).astype(np.int32)
            phase = jnp.asarray(at - own * p, jnp.float32)[:, None] * frequencies[None]
            found.append((own, jax.lax.complex(jnp.cos(phase), jnp.sin(phase))))
        return found


def _evaluated(
    coefficients: Array, waves: list[tuple[np.ndarray, Array]]
) -> Float[Array, "batch *sizes channels"]:
    """The real part of each patch's series at its voxels, one axis after the other."""
    ndim = len(waves)
    y = coefficients  # (batch, *patches, *terms, channel)
    for axis, (own, wave) in enumerate(waves):
        y = jnp.moveaxis(jnp.take(y, own, axis=1 + axis), (1 + axis, 1 + ndim), (0, 1))
        y = (y * wave.reshape(*wave.shape, *(1,) * (y.ndim - 2))).sum(axis=1)
        y = jnp.moveaxis(y, 0, 1 + axis)
    return jnp.real(y)

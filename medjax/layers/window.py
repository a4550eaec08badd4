"""Attention within windows of an image, shifted from block to block."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .attention import INIT, Implementation, attend
from .dense import Dense
from .patch import from_patches, patch_grid, to_patches


class Windows(NamedTuple):
    """How an image is cut into windows.

    Attributes:
        sizes: of a window along each axis, no larger than the image.
        shift: by which the image is rolled before; 0 along an axis that is one window.
    """

    sizes: tuple[int, ...]
    shift: tuple[int, ...]

    @classmethod
    def of(cls, spatial: tuple[int, ...], window: tuple[int, ...], shifted: bool) -> Windows:
        """Those of Liu et al. 2021: shifted by half a window."""
        sizes = tuple(min(n, w) for n, w in zip(spatial, window, strict=True))
        shift = tuple(
            w // 2 if shifted and n > w else 0 for n, w in zip(spatial, sizes, strict=True)
        )
        return cls(sizes, shift)

    def mask(self, spatial: tuple[int, ...]) -> np.ndarray | None:
        """Which tokens of a window may see each other, ``(window, token, token)``.

        Not those that the roll brought together from opposite borders, nor an image's the
        zeros that fill its last window. None where all may.
        """
        grid = patch_grid(spatial, self.sizes)
        region = np.zeros(spatial, np.int64)
        for axis, (n, shift) in enumerate(zip(spatial, self.shift, strict=True)):
            if shift:
                # What was rolled past the end is the neighbour of nothing that it met there.
                beyond = (np.arange(n) >= n - shift).astype(np.int64)
                beyond = beyond.reshape([-1 if i == axis else 1 for i in range(len(spatial))])
                region = 2 * region + beyond
        edges = [(0, g * s - n) for g, s, n in zip(grid, self.sizes, spatial, strict=True)]
        region = np.pad(region, edges, constant_values=-1)
        cells = [k for pair in zip(grid, self.sizes, strict=True) for k in pair]
        order = [*range(0, len(cells), 2), *range(1, len(cells), 2)]
        region = region.reshape(cells).transpose(order).reshape(math.prod(grid), -1)
        mask = region[:, :, None] == region[:, None, :]
        return None if mask.all() else mask


def relative_offsets(sizes: tuple[int, ...]) -> np.ndarray:
    """From each of a window's tokens to each other, ``(token, token, axis)``."""
    at = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1)
    at = at.reshape(-1, len(sizes))
    return at[:, None] - at[None]


class WindowAttention(nn.Module):
    """Self-attention within windows, with a bias by relative position.

    Liu et al. 2021 (arXiv:2103.14030, eq. 4): a learned bias for each offset and head. With
    ``cosine``, Liu et al. 2022 (arXiv:2111.09883, section 3): the cosine of query and key
    over a learned temperature of at least 0.01, and a bias that a small network gives from
    the logarithm of the offset. What differs from the authors' code: zeros that fill the
    last windows of an image are not attended to.

    Attributes:
        heads: number of heads, a divisor of the channels.
        window: size along each axis; an axis that is shorter is one window.
        shifted: whether windows are shifted by half their size.
        cosine: the second version.
        pretrained: window of the pretraining, which offsets are then counted in; the window
            itself where it is None. Of the second version only.
        implementation: see `medjax.layers.attention.Implementation`.
        dtype: of the computation and the output; parameters are float32.
    """

    heads: int
    window: tuple[int, ...]
    shifted: bool = False
    cosine: bool = False
    pretrained: tuple[int, ...] | None = None
    implementation: Implementation = None
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image.

        Raises:
            InputError: where the heads do not divide the channels.
        """
        batch, *spatial, channels = x.shape
        if channels % self.heads:
            raise InputError("heads", f"a divisor of the {channels} channels", self.heads)
        windows = Windows.of(tuple(spatial), self.window, self.shifted)
        axes = tuple(range(1, x.ndim - 1))
        y = jnp.roll(x, [-s for s in windows.shift], axes) if any(windows.shift) else x
        y = to_patches(y, windows.sizes)
        grid, tokens = y.shape[1:-1], math.prod(windows.sizes)
        y = y.reshape(-1, tokens, channels)

        query, key, value = self._projected(y)
        bias = self._bias(windows.sizes)
        scale = None
        if self.cosine:
            # The temperature differs by head, so that it goes into the queries.
            query, key, scale = _unit(query) * self._temperature(), _unit(key), 1.0
            query, key = query.astype(self.dtype), key.astype(self.dtype)
        mask = windows.mask(tuple(spatial))
        if mask is not None:
            mask = jnp.broadcast_to(jnp.asarray(mask)[None], (batch, *mask.shape))
            mask = mask.reshape(-1, 1, tokens, tokens)
        y = attend(query, key, value, bias, mask, scale=scale, implementation=self.implementation)
        y = Dense(channels, axes=2, dtype=self.dtype, kernel_init=INIT, name="out")(y)
        y = from_patches(y.reshape(batch, *grid, tokens * channels), windows.sizes, tuple(spatial))
        return jnp.roll(y, windows.shift, axes) if any(windows.shift) else y

    def _projected(self, y: Array) -> list[Array]:
        """Queries, keys and values, ``(window, token, head, channel)`` each."""
        shape = (3, self.heads, y.shape[-1] // self.heads)
        dense = Dense(
            shape, use_bias=not self.cosine, dtype=self.dtype, kernel_init=INIT, name="qkv"
        )
        parts = [part[:, :, 0] for part in jnp.split(dense(y), 3, axis=2)]
        if self.cosine:
            # Keys have none: it would favour a direction, whatever the query.
            for i, name in ((0, "query_bias"), (2, "value_bias")):
                bias = self.param(name, nn.initializers.zeros, shape[1:], jnp.float32)
                parts[i] = parts[i] + with_rank(bias.astype(self.dtype), 4)
        return parts

    def _temperature(self) -> Float[Array, "1 1 heads 1"]:
        init = nn.initializers.constant(math.log(10))
        logarithm = self.param("logit_scale", init, (self.heads,), jnp.float32)
        return jnp.exp(jnp.minimum(logarithm, math.log(100))).reshape(1, 1, -1, 1)

    def _bias(self, sizes: tuple[int, ...]) -> Float[Array, "1 heads token token"]:
        offsets = relative_offsets(sizes)
        if not self.cosine:
            shape = (*(2 * w - 1 for w in self.window), self.heads)
            table = self.param("relative_bias", INIT, shape, jnp.float32)
            bias = table[tuple(np.moveaxis(offsets + np.asarray(self.window) - 1, -1, 0))]
            return jnp.moveaxis(bias, -1, 0)[None]
        ranges = [np.arange(1 - n, n) for n in sizes]
        every = np.asarray(list(itertools.product(*ranges)), np.float32)
        far = 8 * every / np.maximum(np.asarray(self.pretrained or sizes) - 1, 1)
        far = np.sign(far) * np.log2(np.abs(far) + 1) / np.log2(8)
        y = Dense(512, kernel_init=INIT, name="bias_hidden")(jnp.asarray(far, jnp.float32))
        y = Dense(self.heads, use_bias=False, kernel_init=INIT, name="bias_out")(nn.relu(y))
        y = 16 * nn.sigmoid(y.reshape(*(2 * n - 1 for n in sizes), self.heads))
        bias = y[tuple(np.moveaxis(offsets + np.asarray(sizes) - 1, -1, 0))]
        return jnp.moveaxis(bias, -1, 0)[None]


def _unit(x: Array) -> Array:
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.square(x).sum(axis=-1, keepdims=True) + 1e-24)

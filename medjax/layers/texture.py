"""Texture of a reference image, brought to where it fits."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int

from .conv import Size, per_axis
from .patch import from_patches, to_patches
from .unfold import unfolded


def texture_transfer(
    query: Float[Array, "batch *spatial channel"],
    key: Float[Array, "batch *reference channel"],
    values: dict[Size, Array],
) -> tuple[dict[Size, Array], Float[Array, "batch *spatial 1"]]:
    """The reference's patches where each place of an image finds the one most like it.

    The texture transformer of Yang et al. 2020 (TTSR, arXiv:2006.04139, section 3.1): relevance
    is the cosine of patches of 3 voxels an axis of queries and keys (eq. 2), hard attention
    takes the patch of values at the most relevant key (eq. 3 and 4), and soft attention is that
    relevance (eq. 5). Patches overlap, and are averaged. Every place meets every key, so that
    memory grows with the product of their numbers: crop, or look on a coarse grid.

    Args:
        query: features of the image, on its own grid.
        key: features of the reference, seen as coarsely as the image is.
        values: by scale, the reference's features on grids ``scale`` times as fine as that of
            the keys.

    Returns:
        By scale, texture on a grid ``scale`` times as fine as that of the queries; and the
        relevance, between -1 and 1. Gradients flow to values through the first, to queries
        and keys through the second.

    Raises:
        InputError: for values of other sizes.
    """
    spatial, reference = query.shape[1:-1], key.shape[1:-1]
    relevance = jnp.einsum("bnc,bmc->bnm", _unit(query), _unit(key), precision="highest")
    soft, hard = relevance.max(axis=-1), relevance.argmax(axis=-1)
    sources, share = _sources(hard.astype(jnp.int32).reshape(-1, *spatial), reference)
    textures = {}
    for scale, value in values.items():
        step = per_axis(scale, len(spatial), "scale")
        wanted = tuple(n * s for n, s in zip(reference, step, strict=True))
        if value.shape[1:-1] != wanted:
            raise InputError("values", f"sizes {wanted} at scale {scale}", value.shape[1:-1])
        # A patch is 3 cells of a key an axis, whatever the scale; around them there is nothing.
        cells = jnp.pad(to_patches(value, step), [(0, 0), *[(1, 1)] * len(spatial), (0, 0)])
        cells = cells.reshape(cells.shape[0], -1, cells.shape[-1])
        found = jnp.take_along_axis(cells, sources.reshape(len(cells), -1, 1), axis=1)
        found = found.reshape(len(cells), *share.shape, -1)
        mean = (found * jnp.asarray(share[None, ..., None], found.dtype)).sum(axis=1)
        larger = tuple(n * s for n, s in zip(spatial, step, strict=True))
        textures[scale] = from_patches(mean.reshape(len(cells), *spatial, -1), step, larger)
    return textures, soft.reshape(*query.shape[:-1], 1)


def _sources(
    hard: Int[Array, "batch *spatial"], reference: tuple[int, ...]
) -> tuple[Int[Array, "batch offset place"], np.ndarray]:
    """For each cell the cells that its neighbours' patches bring to it, and their shares.

    Args:
        hard: the key that each cell found.
        reference: sizes of the grid of keys, which has a margin of one in what is returned.
    """
    spatial = hard.shape[1:]
    ndim = len(spatial)
    strides = [math.prod(n + 2 for n in reference[axis + 1 :]) for axis in range(ndim)]
    at = jnp.unravel_index(hard, reference)
    flat = sum((a.astype(jnp.int32) + 1) * s for a, s in zip(at, strides, strict=True))
    flat = jnp.pad(flat, [(0, 0), *[(1, 1)] * ndim], constant_values=sum(strides))
    inside = np.pad(np.ones(spatial, np.float32), 1)
    sources, shares = [], []
    for offset in itertools.product((-1, 0, 1), repeat=ndim):
        part = tuple(slice(1 + o, 1 + o + n) for o, n in zip(offset, spatial, strict=True))
        away = sum(o * s for o, s in zip(offset, strides, strict=True))
        sources.append((flat[:, *part] - away).reshape(hard.shape[0], -1))
        shares.append(inside[part].ravel())
    share = np.stack(shares)
    return jnp.stack(sources, axis=1), share / share.sum(axis=0)


def _unit(x: Array) -> Float[Array, "batch token values"]:
    patches = unfolded(x.astype(jnp.float32), 3)
    patches = patches.reshape(patches.shape[0], -1, patches.shape[-1])
    return patches * jax.lax.rsqrt(jnp.square(patches).sum(-1, keepdims=True) + 1e-12)

"""Puzzles: an image is cut into tiles, and the tiles are shuffled, turned and hidden."""

from __future__ import annotations

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax.augment.pieces import mirrored, tiles
from medjax.core.errors import InputError
from medjax.core.random import generator
from medjax.core.types import Array, Float
from medjax.layers.conv import Size, per_axis
from medjax.learners.learner import Learner
from medjax.models.backbone import Backbone
from medjax.models.pretraining import Siamese

from .pretext import cross_entropy, pretext

_ENUMERATED = 9  # tiles up to which all permutations are looked at
_DRAWN = 50_000  # candidates where there are more


@functools.cache
def permutations(count: int, tiles: int) -> np.ndarray:
    """Permutations that are far from each other.

    Algorithm 1 of Noroozi & Favaro 2016 takes one after the other that with the greatest mean
    Hamming distance to those taken so far, which allows some close pairs. What differs: it is
    the greatest least distance that is taken, and the mean decides between equals; of more
    than nine tiles not all permutations are looked at but 50,000 random ones.

    Args:
        count: how many.
        tiles: that are permuted.

    Returns:
        ``(count, tiles)`` int32, the same at every call.

    Raises:
        InputError: for fewer than two, or more than there are.
    """
    limit = math.factorial(tiles) if tiles <= _ENUMERATED else _DRAWN
    if not 2 <= count <= limit:
        raise InputError("permutations", f"2 to {limit} of {tiles} tiles", count)
    rng = generator(0, tiles)
    if tiles <= _ENUMERATED:
        pool = np.asarray(list(itertools.permutations(range(tiles))), np.int8)
        pool = pool[rng.permutation(len(pool))]
    else:
        pool = rng.permuted(np.tile(np.arange(tiles, dtype=np.int8), (_DRAWN, 1)), axis=1)
        pool = np.unique(pool, axis=0)
        pool = pool[rng.permutation(len(pool))]
    total, least = np.zeros(len(pool), np.int32), np.full(len(pool), tiles, np.int32)
    columns = np.ascontiguousarray(pool.T)
    chosen = [0]
    while len(chosen) < count:
        distance = sum(
            (c != at).astype(np.int32) for c, at in zip(columns, pool[chosen[-1]], strict=True)
        )
        total, least = total + distance, np.minimum(least, distance)
        # One that is taken is at distance 0 of itself.
        chosen.append(int(np.argmax(least * (count * tiles + 1) + np.where(least > 0, total, 0))))
    return pool[chosen].astype(np.int32)


def jigsaw(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    *,
    grid: Size = 3,
    count: int = 100,
    gap: float = 11 / 75,
    hidden: int = 1024,
    image: str = "image",
) -> Learner:
    """Jigsaw puzzles of Noroozi & Favaro 2016 (arXiv:1603.09246).

    As in the paper: tiles at random places of the cells of a grid, each normalised by itself,
    are put in the order of one of some far-apart permutations; one network sees each tile,
    and a head on all of them tells which permutation it is. What differs: 3D by the input (as
    in Taleb et al. 2020, arXiv:2006.03829), no jitter of colours.

    Args:
        backbone: any, without head.
        optimizer: any Optax transformation.
        grid: cells along each axis; 3 in 2D is the paper's, in 3D 2 makes 8 tiles.
        count: number of permutations, see `permutations`.
        gap: by how much tiles are smaller than cells, in cells.
        hidden: channels of the head's layer.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``.

    Raises:
        InputError: when called, for more permutations than there are.
    """

    def task(keys, x, batch):
        parts, label = jax.vmap(lambda key, x: shuffled(key, x, grid, gap, count))(keys, x)
        axes = tuple(range(2, parts.ndim - 1))
        parts = parts - parts.mean(axes, keepdims=True)
        deviation = jnp.sqrt(jnp.mean(parts**2, axes, keepdims=True) + 1e-6)
        return (parts / deviation, {"order": count}), label

    def loss(outputs, label):
        return cross_entropy(outputs["order"], label)

    return pretext(Siamese(backbone, hidden), task, loss, optimizer, image=image)


def rubiks_cube(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    *,
    grid: Size = 2,
    count: int = 100,
    gap: float = 0.15,
    hidden: int = 512,
    image: str = "image",
) -> Learner:
    """Rubik's cube recovery of Zhuang et al. 2019 (arXiv:1910.02241).

    As in the paper: a volume is cut into cubes with gaps, scaled to -1 to 1, shuffled by one
    of some far-apart permutations, and each one turned by 180 degrees about a horizontal or
    a vertical axis or not at all, alike often. One network sees each cube; heads on all of
    them tell the permutation and, for each cube and axis, whether it is turned. The losses,
    cross-entropies, count the same. What differs: in 2D there is one turn, within the plane.

    Args:
        backbone: any, without head.
        optimizer: any Optax transformation.
        grid: cells along each axis.
        count: number of permutations, see `permutations`; four tiles have 24.
        gap: by how much cubes are smaller than cells, in cells.
        hidden: channels of the heads' common layer.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``.

    Raises:
        InputError: when called, for more permutations than there are.
    """
    return _rubiks(backbone, optimizer, grid, count, gap, hidden, image, masking=False)


def rubiks_cube_plus(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    *,
    grid: Size = 2,
    count: int = 100,
    gap: float = 0.15,
    hidden: int = 512,
    image: str = "image",
) -> Learner:
    """Rubik's cube+ of Zhu et al. 2020 (doi:10.1016/j.media.2020.101746).

    `rubiks_cube` with a third task, as in the paper: each cube is masked with probability
    one half, by zeros at a random half of its voxels, and a head tells which ones are. All
    three losses count the same. Arguments, result and errors are those of `rubiks_cube`.
    """
    return _rubiks(backbone, optimizer, grid, count, gap, hidden, image, masking=True)


def _rubiks(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    grid: Size,
    count: int,
    gap: float,
    hidden: int,
    image: str,
    *,
    masking: bool,
) -> Learner:
    def one(key, x):
        order_key, turn_key, mask_key, voxel_key = jax.random.split(key, 4)
        low, high = jnp.min(x), jnp.max(x)
        x = 2 * (x - low) / jnp.where(high > low, high - low, 1) - 1
        parts, label = shuffled(order_key, x, grid, gap, count)
        turns = half_turns(x.ndim - 1)
        number = jax.random.randint(turn_key, parts.shape[:1], 0, len(turns))
        parts = jax.vmap(mirrored)(parts, jnp.asarray(turns)[number])
        # One label an axis: a cube that is not turned has none.
        turned = number[:, None] == jnp.arange(1, len(turns))[None]
        target = {"order": label, "turned": turned.ravel()}
        if masking:
            masked = jax.random.bernoulli(mask_key, shape=parts.shape[:1])
            kept = jax.random.bernoulli(voxel_key, shape=(*parts.shape[:-1], 1))
            gone = masked.reshape(-1, *(1,) * (parts.ndim - 1)) & ~kept
            parts, target = jnp.where(gone, 0, parts), {**target, "masked": masked}
        return parts, target

    def task(keys, x, batch):
        parts, target = jax.vmap(one)(keys, x)
        heads = {name: labels.shape[-1] for name, labels in target.items() if name != "order"}
        return (parts, {"order": count, **heads}), target

    def loss(outputs, target):
        losses = [cross_entropy(outputs["order"], target["order"])]
        for name in sorted(set(target) - {"order"}):
            labels = target[name].astype(outputs[name].dtype)
            binary = optax.losses.sigmoid_binary_cross_entropy(outputs[name], labels)
            losses.append(binary.mean(axis=-1))
        return sum(losses[1:], losses[0]) / len(losses)

    return pretext(Siamese(backbone, hidden), task, loss, optimizer, image=image)


def half_turns(ndim: int) -> np.ndarray:
    """Axes that are mirrored by no turn, and by 180 degrees about the last axis or the first.

    Returns:
        Bool ``(turn, axis)``; in 2D there is one turn.
    """
    if ndim == 2:
        return np.asarray([[False, False], [True, True]])
    return np.asarray([[False, False, False], [True, True, False], [False, True, True]])


def shuffled(
    key: Array, image: Array, grid: Size, gap: float, count: int
) -> tuple[Float[Array, "tile *size channel"], Array]:
    """One sample's tiles in the order of a permutation, and which one that is."""
    cells = per_axis(grid, image.ndim - 1, "grid")
    gaps = tuple(int(gap * (n // g)) for n, g in zip(image.shape[:-1], cells, strict=True))
    tile_key, order_key = jax.random.split(key)
    parts = tiles(tile_key, image, cells, gaps)
    label = jax.random.randint(order_key, (), 0, count)
    order = jnp.asarray(permutations(count, math.prod(cells)))[label]
    return parts[order], label

"""Where a part of an image comes from."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax.augment.pieces import cut
from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int, Key
from medjax.layers.conv import Size, per_axis
from medjax.learners.learner import Learner
from medjax.models.backbone import Backbone
from medjax.models.pretraining import Siamese

from .pretext import cross_entropy, pretext


def relative_patch(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    *,
    patch: Size,
    gap: float = 0.5,
    jitter: float = 7 / 96,
    hidden: int = 512,
    image: str = "image",
) -> Learner:
    """Context prediction of Doersch et al. 2015 (arXiv:1505.05192): which neighbour is it.

    As in the paper: two patches of a grid with gaps and jitter go through one network, and a
    head on both tells which of the first one's neighbours the second is: 8 in 2D, and 26 in
    3D. What differs: one pair an image and step, and nothing against chromatic aberration,
    which scanners do not have.

    Args:
        backbone: any, without head.
        optimizer: any Optax transformation.
        patch: size of a patch in pixels along each axis.
        gap: between neighbours, in patches.
        jitter: how far the neighbour may be off the grid either way, in patches.
        hidden: channels of the head's layer.
        image: see `pretext`; three patches, two gaps and twice the jitter must fit in.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``.

    Raises:
        InputError: when called, for images that are too small.
    """

    def task(keys, x, batch):
        size = per_axis(patch, x.ndim - 2, "patch")
        steps = tuple(s + round(gap * s) for s in size)
        shake = tuple(int(jitter * s) for s in size)
        pairs, number = jax.vmap(lambda key, x: neighbours(key, x, size, steps, shake))(keys, x)
        return (pairs, {"place": 3 ** len(size) - 1}), number

    def loss(outputs, number):
        return cross_entropy(outputs["place"], number)

    return pretext(Siamese(backbone, hidden), task, loss, optimizer, image=image)


def neighbours(
    key: Key[Array, ""],
    image: Float[Array, "*spatial channel"],
    size: tuple[int, ...],
    steps: tuple[int, ...],
    jitter: tuple[int, ...],
) -> tuple[Float[Array, "2 *size channel"], Int[Array, ""]]:
    """A random patch, and one of its neighbours.

    Args:
        key: random key.
        image: one sample.
        size: of the patches.
        steps: from a patch to its neighbour along each axis.
        jitter: how far the neighbour may be off, either way.

    Returns:
        Both patches, and the neighbour's number in the order of rows, the middle left out.

    Raises:
        InputError: where a patch with neighbours on all sides does not fit, since then the
            place would tell the side.
    """
    spatial = image.shape[:-1]
    needed = [s + 2 * (d + j) for s, d, j in zip(size, steps, jitter, strict=True)]
    if any(n < m for n, m in zip(spatial, needed, strict=True)):
        raise InputError("patch", f"one of which {tuple(needed)} pixels fit into {spatial}", size)
    sides = [side for side in itertools.product((-1, 0, 1), repeat=len(size)) if any(side)]
    place_key, side_key, shake_key = jax.random.split(key, 3)
    number = jax.random.randint(side_key, (), 0, len(sides))
    reach = jnp.asarray(steps, jnp.int32), jnp.asarray(jitter, jnp.int32)
    room = jnp.asarray([n - m + 1 for n, m in zip(spatial, needed, strict=True)], jnp.int32)
    first = jax.random.randint(place_key, room.shape, 0, room) + reach[0] + reach[1]
    shake = jax.random.randint(shake_key, room.shape, -reach[1], reach[1] + 1)
    second = first + jnp.asarray(sides, jnp.int32)[number] * reach[0] + shake
    return jnp.stack([cut(image, at, size) for at in (first, second)]), number


def anatomical_position(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    *,
    patch: Size,
    image: str = "image",
) -> Learner:
    """Predict where one part of a patient lies relative to another.

    That anatomy is learned by predicting its position is from Bai et al. 2019
    (arXiv:1907.02757), whose nine positions come from the planned planes of cardiac MRI and
    exist for no other scan. So the task is that of Lei et al. 2021 (arXiv:2012.07043): two
    random patches of one image are each mapped to a position of as many numbers as there are
    axes, and the hyperbolic tangent of their difference is the offset between them, by the
    squared error. What differs: offsets are in parts of the largest one along each axis, not
    in millimetres, which is the same for images of one field of view; 2D by the input.

    Args:
        backbone: any, without head.
        optimizer: any Optax transformation.
        patch: size of a patch in pixels along each axis.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``.

    Raises:
        InputError: when called, for images that are not larger than a patch.
    """

    def task(keys, x, batch):
        size = per_axis(patch, x.ndim - 2, "patch")
        pairs, offset = jax.vmap(lambda key, x: distant_pair(key, x, size))(keys, x)
        # Each patch is a sample of its own to the heads.
        parts = pairs.reshape(-1, 1, *pairs.shape[2:])
        return (parts, {"position": len(size)}), offset

    def loss(outputs, offset):
        position = outputs["position"].reshape(-1, 2, offset.shape[-1])
        predicted = jnp.tanh(position[:, 0] - position[:, 1])
        return jnp.mean((predicted - offset) ** 2, axis=-1)

    return pretext(Siamese(backbone, use_bias=False), task, loss, optimizer, image=image)


def distant_pair(
    key: Key[Array, ""], image: Float[Array, "*spatial channel"], size: tuple[int, ...]
) -> tuple[Float[Array, "2 *size channel"], Float[Array, " axis"]]:
    """Two random patches, and from the second one to the first in parts of the way there is.

    Args:
        key: random key.
        image: one sample.
        size: of the patches.

    Raises:
        InputError: for an image that is not larger than a patch along each axis.
    """
    room = np.asarray([n - s for n, s in zip(image.shape[:-1], size, strict=True)], np.int32)
    if room.min() < 1:
        raise InputError("patch", f"one smaller than the image, {image.shape[:-1]}", size)
    starts = jax.random.randint(key, (2, len(size)), 0, jnp.asarray(room + 1)[None])
    offset = (starts[0] - starts[1]).astype(jnp.float32) / jnp.asarray(room, jnp.float32)
    return jnp.stack([cut(image, at, size) for at in starts]), offset

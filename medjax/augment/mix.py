"""Augmentation that mixes samples: the one kind that depends on the rest of the batch.

A sample's partner is the next one in the batch; how they are mixed is keyed by the
sample as everywhere. With a batch divided over devices, neighbours at the seams travel.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.arrays import per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key

from .compose import Transform, keyed
from .entries import Boxes, Classes, Entries, Points, spatial_sizes
from .erase import inside


def mixup(alpha: float, *, entries: Entries) -> Transform:
    """Average each sample with another one, and their labels in the same proportion.

    Zhang et al. 2018, mixup: beyond empirical risk minimization, ICLR. They draw one
    proportion for a batch; here each sample has its own.

    Args:
        alpha: proportions are drawn from Beta(alpha, alpha); 0.2 mixes few samples much.
        entries: images, soft label maps with channels, and classes.

    Raises:
        InputError: for an alpha that is not positive; when called, for entries that
            have no average (integer labels, points, boxes).
    """
    _check_alpha(alpha)

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        _check(batch, entries, average=True)
        share = _shares(key, batch, alpha)
        mixed = {name: _average(batch[name], share) for name in entries}
        return {**batch, **mixed}

    return transform


def cutmix(alpha: float = 1.0, *, entries: Entries) -> Transform:
    """Replace a box of each sample by that of another one, and the classes in proportion.

    Yun et al. 2019, CutMix: regularization strategy to train strong classifiers with
    localizable features, ICCV. The box has the image's proportions and a random centre;
    what lies outside is cut off and the proportion corrected. Maps of labels are
    replaced with the image, integer ones too.

    Args:
        alpha: the part of the image that stays is drawn from Beta(alpha, alpha).
        entries: images, label maps, and classes.

    Raises:
        InputError: for an alpha that is not positive; when called, for points or boxes.
    """
    _check_alpha(alpha)

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        _check(batch, entries, average=False)
        sizes = spatial_sizes(batch, entries)
        kept, centres = jax.random.split(key)
        side = (1 - _shares(kept, batch, alpha)) ** (1 / len(sizes))
        draw = jax.vmap(lambda k: jax.random.uniform(k, (len(sizes),)))
        box = jax.vmap(lambda c, s: inside(sizes, c, jnp.broadcast_to(s, c.shape)))
        replaced = box(draw(keyed(centres, batch)), side)
        stays = 1 - jnp.mean(replaced, tuple(range(1, replaced.ndim)))
        mixed = {}
        for name, entry in entries.items():
            if isinstance(entry, Classes):
                mixed[name] = _average(batch[name], stays)
            else:
                axis = -1 if entry.channels == "last" else 1
                mask = replaced if entry.channels is None else jnp.expand_dims(replaced, axis)
                mixed[name] = jnp.where(mask, _partner(batch[name]), batch[name])
        return {**batch, **mixed}

    return transform


def _shares(key: Key[Array, ""], batch: Batch, alpha: float) -> Float[Array, " batch"]:
    return jax.vmap(lambda k: jax.random.beta(k, alpha, alpha))(keyed(key, batch))


def _partner(x: Array) -> Array:
    return jnp.concatenate([x[1:], x[:1]])


def _average(x: Array, share: Float[Array, " batch"]) -> Array:
    weight = per_sample(share, x.ndim).astype(x.dtype)
    return weight * x + (1 - weight) * _partner(x)


def _check_alpha(alpha: float) -> None:
    if not alpha > 0:
        raise InputError("alpha", "a number above 0", alpha)


def _check(batch: Batch, entries: Entries, *, average: bool) -> None:
    kinds = "images, labels and classes"
    for name, entry in entries.items():
        if isinstance(entry, Points | Boxes):
            raise InputError(name, f"no points or boxes, but {kinds}", type(entry).__name__)
        if name not in batch:
            raise InputError(name, "an entry of the batch", f"entries {sorted(batch)}")
        averaged = average or isinstance(entry, Classes)
        if averaged and not jnp.issubdtype(batch[name].dtype, jnp.inexact):
            raise InputError(name, "floating (one-hot or soft) values", batch[name].dtype)

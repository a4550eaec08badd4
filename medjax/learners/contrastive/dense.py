"""Contrast of whole images and of their regions, for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Size
from medjax.layers.patch import to_patches
from medjax.learners.learner import Learner
from medjax.losses.contrastive import local_contrast, nt_xent, supervised_contrastive

from .heads import mlp
from .passes import passes
from .pretrain import Outcome, collections_of, pretraining, spread
from .simclr import PAIR


def local_global(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    local_projector: Any = None,
    level: int = 0,
    region: Size = 3,
    regions: int = 13,
    global_weight: float = 1.0,
    local_weight: float = 1.0,
    temperature: float = 0.1,
    partition: str | None = None,
    views: Sequence[str] = PAIR,
    image: str = "image",
) -> Learner:
    """Global and local contrast (Chaitanya et al. 2020, arXiv:2006.10511).

    As in the paper: a global loss on pooled features whose positives are views of an image or,
    with ``partition``, all images of the same part of the body in aligned volumes (its domain
    cue); a local loss on a feature map, where regions of ``region`` voxels are each other's
    negatives and the same region of the other view is the positive. What differs: both in one
    step, where the paper trains the encoder by the first, then the decoder's first blocks by
    the second with the encoder frozen (for that run twice, ``local_weight=0``, then
    ``global_weight=0`` with an optimiser that leaves the encoder alone); with ``partition``
    other positives stand in the denominator too, as in `supcon`. The authors' code takes few
    negatives for a region, see `local_contrast`.

    Both views must show the same places: move and crop first, then vary intensities only, as
    ``chain(deform(...), views({"first": intensities, "second": intensities}))``.

    Args:
        encoder: a module whose ``features(images, train)`` gives `Features`, and whose call
            gives the pooled ones; a `medjax.models.backbone.Backbone`.
        optimizer: any Optax transformation.
        projector: of pooled features; by default an MLP of 1024 and 128.
        local_projector: of each place of the map (1 x 1 convolutions); by default 64 and 64.
        level: which of ``Features.maps``; 0 is the finest.
        region: size of a region along each axis, in voxels of the map.
        regions: how many are drawn each step; all where there are no more.
        global_weight: of the global loss.
        local_weight: of the local loss.
        temperature: of both.
        partition: the batch's entry of the part, integer ``(batch,)``.
        views: the batch's entries of the two views.
        image: see `simclr`.

    Returns:
        A learner as `simclr` makes it, with ``loss_global`` and ``loss_local``.

    Raises:
        InputError: when called, for a map that holds fewer than two regions.
    """
    module = Dense(encoder, mlp(projector, 1024, 128), mlp(local_projector, 64, 64), level)

    def of_images(first: Array, second: Array, batch: Any) -> Float[Array, " batch"]:
        if partition is None:
            return nt_xent(first, second, temperature=temperature)
        both = jnp.stack([first, second], 1).reshape(-1, first.shape[-1])
        labels = jnp.repeat(batch[partition], 2)
        values = supervised_contrastive(both, labels, temperature=temperature)
        return jnp.mean(values.reshape(-1, 2), 1)

    def cut(dense: Array, chosen: Array) -> Float[Array, "batch region channel"]:
        return _regions(dense, region)[:, chosen]

    def objective(params, state, batch, key):
        pair = [batch[name] for name in views]
        (one, two), collections = passes(module, params, collections_of(state), pair, key)
        count = _regions(one[1], region).shape[1]
        if count < 2:
            raise InputError("region", f"one that is in {one[1].shape} more than once", region)
        order = jax.random.permutation(jax.random.fold_in(key, _REGIONS), count)[:regions]
        of_global = of_images(one[0], two[0], batch)
        of_local = local_contrast(cut(one[1], order), cut(two[1], order), temperature=temperature)
        scalars = {
            "loss_global": of_global.mean(),
            "loss_local": of_local.mean(),
            "spread": spread(one[0]),
        }
        values = global_weight * of_global + local_weight * of_local
        return Outcome(values, collections, {}, scalars)

    return pretraining(
        module, objective, optimizer, example=lambda batch: (batch[views[0]],), image=image
    )


_REGIONS = 0x4E61  # folded into the key, which dropout uses as it is


def _regions(dense: Array, region: Size) -> Float[Array, "batch region channel"]:
    patches = to_patches(dense, region)
    return patches.reshape(dense.shape[0], -1, patches.shape[-1])


class Dense(nn.Module):
    """An encoder with a head on its pooled features and one on a map.

    Attributes:
        encoder: see `local_global`.
        projector: see `local_global`.
        local_projector: see `local_global`.
        level: see `local_global`.
    """

    encoder: nn.Module
    projector: nn.Module
    local_projector: nn.Module
    level: int = 0

    def __call__(self, x: Array, train: bool = False) -> tuple[Array, Array]:
        """Global projections ``(batch, dim)`` and local ones ``(batch, *spatial, dim)``."""
        pooled, maps = self.encoder.features(x, train)
        dense = self.local_projector(maps[self.level].astype(jnp.float32), train)
        return self.projector(pooled.astype(jnp.float32), train), dense

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch channel"]:
        """The pooled features."""
        return self.encoder(x, train=train).astype(jnp.float32)

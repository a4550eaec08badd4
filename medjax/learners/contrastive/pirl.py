"""PIRL: an image and its shuffled pieces find the same entry of a memory bank."""

from __future__ import annotations

import itertools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.augment import keyed
from medjax.augment.compose import Transform
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key
from medjax.learners.learner import Learner
from medjax.losses.contrastive import pirl_nce
from medjax.losses.pairs import unit

from .heads import MLPHead
from .moco import random_unit
from .passes import passes
from .pretrain import (
    MEMORY,
    Outcome,
    collections_of,
    pretraining,
    spread,
)

BANK = "bank"


def pirl(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    samples: int,
    dim: int = 128,
    negatives: int = 32000,
    weight: float = 0.5,
    bank_momentum: float = 0.5,
    temperature: float = 0.07,
    view: str = "view",
    pieces: str = "pieces",
    image: str = "image",
) -> Learner:
    """PIRL with a jigsaw (Misra & van der Maaten 2020, arXiv:1912.01991).

    As in the paper: ``w L(m, g(pieces)) + (1 - w) L(m, f(view))`` (eq. 5) with the
    noise-contrastive loss `pirl_nce`; ``f`` linear; ``g`` linear for each piece, then linear
    for all in their shuffled order; ``m`` the running mean of an image's ``f`` in a bank.
    What differs: negatives are drawn from the bank once a step, for the whole batch.

    Args:
        encoder: as for `simclr`; takes images and pieces.
        optimizer: any Optax transformation.
        samples: number of images in the data; the batch's ``index`` is below it.
        dim: of the bank's vectors.
        negatives: drawn each step, with replacement.
        weight: of the pieces' term.
        bank_momentum: of the running means.
        temperature: of the loss.
        view: the batch's entry of an augmented image.
        pieces: the batch's entry ``(batch, piece, *spatial, channel)``, as `jigsaw` makes it.
        image: see `simclr`.

    Returns:
        A learner as `simclr` makes it. The bank, ``(samples, dim)``, is
        ``variables["memory"]["bank"]``.

    Raises:
        InputError: for no samples or no negatives.
    """
    for name, number in (("samples", samples), ("negatives", negatives)):
        if number < 1:
            raise InputError(name, "at least 1", number)
    module = Jigsaw(encoder, MLPHead((dim,)), MLPHead((dim,)), MLPHead((dim,)))

    def memory(key, params, collections, batch):
        return {BANK: random_unit(key, (samples, dim))}

    def objective(params, state, batch, key):
        known, own = collections_of(state), batch["index"]
        whole_key, piece_key, draw_key = (jax.random.fold_in(key, i) for i in range(3))
        (whole,), known = passes(module, params, known, [batch[view]], whole_key, method="whole")
        (parts,), known = passes(
            module, params, known, [batch[pieces]], piece_key, method="shuffled"
        )
        bank = state.variables[MEMORY][BANK]
        drawn = jax.random.randint(draw_key, (negatives,), 0, samples, own.dtype)
        options = {"temperature": temperature, "left_out": own[:, None] == drawn[None]}
        mine, others = bank[own], bank[drawn]
        of_parts = pirl_nce(mine, parts, others, **options)
        of_whole = pirl_nce(mine, whole, others, **options)
        values = weight * of_parts + (1 - weight) * of_whole
        mean = bank_momentum * mine + (1 - bank_momentum) * unit(whole)
        after = {BANK: bank.at[own].set(unit(jax.lax.stop_gradient(mean)))}
        return Outcome(values, known, after, {"spread": spread(whole)})

    return pretraining(
        module,
        objective,
        optimizer,
        example=lambda batch: (batch[view], batch[pieces]),
        image=image,
        memory=memory,
    )


class Jigsaw(nn.Module):
    """An encoder with PIRL's heads.

    Attributes:
        encoder: see `pirl`.
        projector: ``f``, of the image's features.
        piece_projector: of each piece's features.
        joint_projector: of the pieces' projections, one after the other.
    """

    encoder: nn.Module
    projector: nn.Module
    piece_projector: nn.Module
    joint_projector: nn.Module

    def __call__(self, x: Array, pieces: Array, train: bool = False) -> tuple[Array, Array]:
        """Both."""
        return self.whole(x, train), self.shuffled(pieces, train)

    def whole(self, x: Array, train: bool = False) -> Float[Array, "batch dim"]:
        """``f`` of images."""
        return self.projector(self.encode(x, train), train)

    def shuffled(self, pieces: Array, train: bool = False) -> Float[Array, "batch dim"]:
        """``g`` of pieces ``(batch, piece, *spatial, channel)``."""
        batch, count = pieces.shape[:2]
        features = self.encode(pieces.reshape(-1, *pieces.shape[2:]), train)
        each = self.piece_projector(features, train)
        return self.joint_projector(each.reshape(batch, count * each.shape[-1]), train)

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch channel"]:
        """The features, which are what stays."""
        return self.encoder(x, train=train).astype(jnp.float32)


def jigsaw(
    grid: int = 3, *, margin: int = 0, ndim: int = 2, of: str = "view", to: str = "pieces"
) -> Transform:
    """Cut each image into pieces of one size, in random order.

    Args:
        grid: pieces along each axis: 3 gives 9 of an image, 2 gives 8 of a volume.
        margin: voxels of a piece's part of the image that are left out along each axis, at a
            random side: without, a network may go by edges that fit.
        ndim: number of spatial axes, those after the batch's.
        of: the batch's entry that is cut.
        to: the entry that is added, ``(batch, grid ** ndim, *spatial, ...)``.

    Raises:
        InputError: for a grid below 2; when called, for images too small for it.
    """
    if grid < 2:
        raise InputError("grid", "at least 2 pieces an axis", grid)

    def one(key: Key[Array, ""], x: Array) -> Array:
        cells = [n // grid for n in x.shape[:ndim]]
        if min(cells) <= margin:
            raise InputError(of, f"sizes above {grid * (margin + 1) - 1}", x.shape[:ndim])
        size = [cell - margin for cell in cells] + list(x.shape[ndim:])
        order_key, place_key = jax.random.split(key)
        count = math.prod([grid] * ndim)
        jitter = jax.random.randint(place_key, (count, ndim), 0, margin + 1)
        corners = jnp.asarray(list(itertools.product(range(grid), repeat=ndim)))
        starts = corners * jnp.asarray(cells)[None] + jitter
        starts = jax.random.permutation(order_key, starts)
        starts = jnp.pad(starts, ((0, 0), (0, x.ndim - ndim)))
        return jax.vmap(lambda start: jax.lax.dynamic_slice(x, tuple(start), size))(starts)

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        return {**batch, to: jax.vmap(one)(keyed(key, batch), batch[of])}

    return transform

"""Pairs of different images of one patient: MICLe and MedAug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment import keyed
from medjax.augment.compose import Transform
from medjax.core.arrays import per_sample
from medjax.core.types import Array, Batch, Bool, Int, Key
from medjax.learners.combinators import augmented
from medjax.learners.learner import Learner

from .moco import moco_v2
from .simclr import PAIR, simclr


def micle(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    view: Transform,
    *,
    images: str = "images",
    count: str = "count",
    **options: Any,
) -> Learner:
    """MICLe (Azizi et al. 2021, arXiv:2101.05224): two images of a patient find each other.

    As in the paper: SimCLR's loss, with views of two different images of a case as positives,
    and two views of one image where a case has no other; a case is one sample of the batch.
    The paper begins with weights that SimCLR learned on single images.

    Args:
        encoder: as for `simclr`.
        optimizer: any Optax transformation.
        view: a transform of ``image`` that makes a view.
        images: the batch's entry of all images of a case, ``(batch, most, *spatial, ...)``.
        count: the batch's entry that says how many of them there are, integer ``(batch,)``.
        **options: of `simclr`.

    Returns:
        A learner as `simclr` makes it; `predict` reads ``image``, one image a sample.
    """
    pairs = patient_pair(
        view,
        images=images,
        count=count,
        image=options.get("image", "image"),
        names=tuple(options.get("views", PAIR)),
    )
    return augmented(simclr(encoder, optimizer, **options), pairs)


def medaug(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    view: Transform,
    *,
    same: Sequence[str] = ("laterality",),
    different: Sequence[str] = (),
    images: str = "images",
    count: str = "count",
    **options: Any,
) -> Learner:
    """MedAug (Vu et al. 2021, arXiv:2102.10663): positives that metadata choose.

    As in the paper: MoCo v2 whose key is of another image of the same patient, chosen at
    random among those that agree with the query's image in some metadata and differ in others;
    the same laterality over all studies is what it found best. What differs: a sample of the
    batch is a patient, so that patients with many images are not seen more often; an image is
    its own partner only where there is no other; the paper's choice of negatives by
    metadata, which it found no help, is left out.

    Args:
        encoder: as for `simclr`.
        optimizer: any Optax transformation.
        view: see `micle`.
        same: entries, integer ``(batch, most)``, in which partners agree.
        different: entries in which they differ, such as ``study``.
        images: see `micle`.
        count: see `micle`.
        **options: of `moco_v2`.

    Returns:
        A learner as `moco_v2` makes it; `predict` reads ``image``, one image a sample.
    """
    pairs = patient_pair(
        view,
        images=images,
        count=count,
        same=same,
        different=different,
        image=options.get("image", "image"),
        names=tuple(options.get("views", PAIR)),
    )
    return augmented(moco_v2(encoder, optimizer, **options), pairs)


def patient_pair(
    view: Transform,
    *,
    images: str = "images",
    count: str = "count",
    same: Sequence[str] = (),
    different: Sequence[str] = (),
    image: str = "image",
    names: Sequence[str] = PAIR,
) -> Transform:
    """Views of two images of each patient.

    Args:
        view: a transform of ``image``.
        images: entry of all images of a patient, ``(batch, most, ...)``.
        count: entry of how many there are, integer ``(batch,)``, at least 1.
        same: entries, integer ``(batch, most)``, in which the two agree.
        different: entries in which they differ.
        image: the entry that ``view`` changes. What the batch has under that name stays.
        names: of the two entries that are added.

    The first image is any of the patient's, the second any other that agrees and differs as
    asked; where there is none, the first again.
    """

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        draw_key, first_key, second_key = jax.random.split(key, 3)
        metadata = ([batch[name] for name in same], [batch[name] for name in different])
        most = batch[images].shape[1]
        draw = jax.vmap(lambda k, n, agree, differ: partners(k, n, most, agree, differ))
        chosen = draw(keyed(draw_key, batch), batch[count], *metadata)
        made = {}
        for name, index, own in zip(names, chosen, (first_key, second_key), strict=True):
            stack = batch[images]
            picked = jnp.take_along_axis(stack, per_sample(index, stack.ndim), axis=1)[:, 0]
            made[name] = view(own, {**batch, image: picked})[image]
        return {**batch, **made}

    return transform


def partners(
    key: Key[Array, ""],
    count: Int[Array, ""],
    most: int,
    agree: Sequence[Int[Array, " most"]],
    differ: Sequence[Int[Array, " most"]],
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Two of a patient's images, as `patient_pair` says.

    Args:
        key: the sample's own.
        count: images that there are.
        most: places for them.
        agree: metadata in which they are to agree.
        differ: metadata in which they are to differ.
    """
    first_key, second_key = jax.random.split(key)
    places = jnp.arange(most, dtype=jnp.int32)
    there = places < count
    first = _any_of(first_key, there)
    fits: Bool[Array, " most"] = there & (places != first)
    for values in agree:
        fits &= values == values[first]
    for values in differ:
        fits &= values != values[first]
    second = _any_of(second_key, fits)
    return first, jnp.where(jnp.any(fits), second, first)


def _any_of(key: Key[Array, ""], allowed: Bool[Array, " n"]) -> Int[Array, ""]:
    noise = jax.random.uniform(key, allowed.shape)
    return jnp.argmax(jnp.where(allowed, noise, -1)).astype(jnp.int32)

"""DINOv2: DINO on whole images, iBOT on masked patches, and features that spread."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.augment import keyed
from medjax.augment.views import LARGE, small_names
from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float, Int, Key
from medjax.layers.patch import patch_grid
from medjax.learners.learner import Learner
from medjax.losses.distillation import koleo, masked_distillation, sinkhorn_knopp

from .dino import entropy, held, paired
from .heads import PrototypeHead, own
from .masks import Mask, random_mask
from .passes import passes, teacher_passes
from .pretrain import (
    TEACHER,
    Outcome,
    Schedule,
    at,
    collections_of,
    pretraining,
    spread,
)


def dinov2(
    encoder: Any,
    optimizer: optax.GradientTransformation,
    *,
    projector: Any = None,
    patch_projector: Any = None,
    momentum: Schedule = 0.994,
    temperature: float = 0.1,
    teacher_temperature: Schedule = 0.04,
    masked: tuple[float, float] = (0.1, 0.5),
    masked_samples: float = 0.5,
    patch_weight: float = 1.0,
    koleo_weight: float = 0.1,
    held_steps: int = 0,
    large: Sequence[str] = LARGE,
    small: Sequence[str] = small_names(8),
    image: str = "image",
) -> Learner:
    """DINOv2 (Oquab et al. 2023, arXiv:2304.07193): image and patch objectives of a ViT.

    As in the paper (section 4): DINO's loss between class tokens, iBOT's between patches that
    are masked for the student and seen by the teacher, heads of their own for each, Sinkhorn
    and Knopp's normalisation of the teacher with 3 iterations, KoLeo on the student's class
    tokens of each large view. What differs: normalisation and KoLeo are over the global batch
    (the authors' KoLeo is over each device's); masks are blobs of smoothed noise with exactly
    as many patches as drawn, where iBOT unites rectangles; patch logits are computed at the
    places of the largest mask for every image, so that shapes are fixed.

    Args:
        encoder: `medjax.models.vit.ViT` with ``mask_token=True`` and a class token, or what
            has its ``embed``, ``encode`` and ``patch``.
        optimizer: any Optax transformation.
        projector: head of the class token; by default `PrototypeHead`.
        patch_projector: head of the patches; likewise.
        momentum: of the teacher; the paper's is ``cosine(0.994, 1.0, steps)``.
        temperature: of the student.
        teacher_temperature: see `dino`.
        masked: least and largest part of the patches that are masked.
        masked_samples: probability that a large view is masked at all.
        patch_weight: of iBOT's loss beside DINO's.
        koleo_weight: of KoLeo.
        held_steps: see `dino`, of both heads' prototypes.
        large: see `dino`.
        small: see `dino`.
        image: see `simclr`.

    Returns:
        A learner whose scalars are ``loss``, ``gradient_norm``, its parts ``loss_image``,
        ``loss_patch`` and ``loss_koleo``, ``spread`` of the student's class tokens and
        ``teacher_entropy``; `predict` uses the teacher, ``extras["teacher"]``.

    Raises:
        InputError: for parts that are not 0 to 1 and in order, and an encoder that cannot
            mask.
    """
    if not 0 <= masked[0] <= masked[1] <= 1:
        raise InputError("masked", "least and largest part, 0 to 1", masked)
    if not all(hasattr(encoder, name) for name in ("embed", "encode", "patch")):
        expected = "one with embed, encode and patch, such as ViT"
        raise InputError("encoder", expected, type(encoder).__name__)
    module = Masked(
        encoder,
        PrototypeHead() if projector is None else own(projector),
        PrototypeHead() if patch_projector is None else own(patch_projector),
    )
    draw = functools.partial(random_mask, masked=masked, probability=masked_samples)

    def masks(view: Array, key: Key[Array, ""], batch: Any) -> Mask:
        grid = patch_grid(view.shape[1:-1], encoder.patch)
        return jax.vmap(functools.partial(draw, grid=grid))(keyed(key, batch))

    def objective(params, state, batch, key):
        params = held(params, state.step < held_steps)
        whole = [batch[name] for name in large]
        drawn = [
            masks(view, jax.random.fold_in(key, _MASK + number), batch)
            for number, view in enumerate(whole)
        ]
        seen = [(view, None, m.places) for view, m in zip(whole, drawn, strict=True)]
        hidden = [(view, m.mask, m.places) for view, m in zip(whole, drawn, strict=True)]
        views = [*hidden, *((batch[name], None, None) for name in small)]
        students, collections = passes(module, params, collections_of(state), views, key)
        teachers, beside = teacher_passes(module, state, seen, key, method="__call__")

        cool = at(teacher_temperature, state.step)
        targets = sinkhorn_knopp(jnp.stack([one.logits for one in teachers]), cool)
        of_image = paired(list(targets), [one.logits for one in students], temperature)

        count = jnp.stack([m.valid for m in drawn])
        patch_targets = sinkhorn_knopp(
            jnp.stack([one.patch_logits for one in teachers]), cool, mask=count
        )
        of_patch = [
            masked_distillation(s.patch_logits, t, m.valid, temperature=temperature)
            for s, t, m in zip(students, patch_targets, drawn, strict=False)
        ]
        of_patch = jnp.stack(of_patch).mean(0)
        of_koleo = sum(koleo(one.features) for one in students[: len(large)])
        values = of_image + patch_weight * of_patch + koleo_weight * of_koleo
        scalars = {
            "loss_image": of_image.mean(),
            "loss_patch": of_patch.mean(),
            "loss_koleo": of_koleo.mean(),
            "spread": spread(students[0].features),
            "teacher_entropy": entropy(targets[0]),
        }
        return Outcome(values, collections, {TEACHER: beside}, scalars)

    def example(batch):
        view = batch[large[0]]
        drawn = masks(view, jax.random.key(0), batch)
        return view, drawn.mask, drawn.places

    return pretraining(
        module,
        objective,
        optimizer,
        example=example,
        image=image,
        teacher=("encoder", "projector", "patch_projector"),
        momentum=momentum,
        predict_with_teacher=True,
    )


_MASK = 0x3A5C  # folded into the key for masks, one number a view


class Tokens(NamedTuple):
    """What `Masked` makes of images.

    Attributes:
        features: float32 class tokens ``(batch, channel)``.
        logits: of these, ``(batch, prototype)``.
        patch_logits: ``(batch, place, prototype)``, or None.
    """

    features: Float[Array, "batch channel"]
    logits: Float[Array, "batch prototype"]
    patch_logits: Float[Array, "batch place prototype"] | None


class Masked(nn.Module):
    """A ViT with a head on its class token and one on its patches.

    Attributes:
        encoder: see `dinov2`.
        projector: see `dinov2`.
        patch_projector: see `dinov2`.
    """

    encoder: nn.Module
    projector: nn.Module
    patch_projector: nn.Module

    def __call__(
        self,
        x: Array,
        mask: Bool[Array, "batch patch"] | None = None,
        places: Int[Array, "batch place"] | None = None,
        train: bool = False,
    ) -> Tokens:
        """Class token's logits, and those of the patches at some places."""
        encoded = self.encoder.encode(self.encoder.embed(x, mask), train)
        if encoded.class_token is None:
            raise InputError("encoder", "one with a class token", "none")
        features = encoded.class_token.astype(jnp.float32)
        logits, patch_logits = self.projector(features, train), None
        if places is not None:
            chosen = jnp.take_along_axis(encoded.patches, places[..., None], axis=1)
            patch_logits = self.patch_projector(chosen.astype(jnp.float32), train)
        return Tokens(features, logits, patch_logits)

    def encode(self, x: Array, train: bool = False) -> Float[Array, "batch channel"]:
        """The features, which are what stays."""
        return self.encoder(x, train=train).astype(jnp.float32)

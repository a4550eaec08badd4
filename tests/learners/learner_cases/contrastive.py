"""Cases of the contrastive and distilling learners, on 8 x 8 images of eight samples."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax import learners
from medjax.augment.views import LARGE, multi_crop, resized_crop, views
from medjax.learners import contrastive
from medjax.learners.contrastive import MLPHead, PrototypeHead, jigsaw
from medjax.models.backbone import Backbone, Features
from medjax.models.vit import ViT


class Tiny(Backbone):
    """One convolution with batch norm, and its mean; images without channels get one."""

    @nn.compact
    def features(self, x, train=False):
        x = x if x.ndim > 3 else x[..., None]
        x = nn.Conv(16, (3,) * (x.ndim - 2), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        # Places count, so that pixels of random images can tell samples apart.
        place = jnp.linspace(-1, 1, x.shape[-2])[:, None]
        pooled = jnp.concatenate([x, x * place.reshape((1,) * (x.ndim - 2) + place.shape)], -1)
        return Features(pooled.mean(tuple(range(1, x.ndim - 1))), (x,))


ADAM = optax.adam(0.02)
HEAD = MLPHead((32, 16))
NORMED = MLPHead((32, 16), norm=True, last_norm=True)
PROTOTYPES = PrototypeHead(32, hidden=16, bottleneck=8)
FEW_PROTOTYPES = PrototypeHead(4, hidden=16, bottleneck=8)


def noisy(key, batch):
    image = batch["image"]
    return {**batch, "image": image + 0.05 * jax.random.normal(key, image.shape)}


def pair(key, batch):
    """Two views, and whatever else a method asks for."""
    batch = views({"first": noisy, "second": noisy})(key, batch)
    size = batch["index"].shape[0]
    stack = jnp.stack([batch["image"], batch["first"], batch["second"]], 1)
    number = jnp.arange(size, dtype=jnp.int32)
    return {
        **batch,
        "view": batch["first"],
        "label": number // 2,
        "images": stack,
        "count": 1 + number % 3,
        "laterality": jnp.broadcast_to(jnp.asarray([0, 1, 0])[None], (size, 3)),
        "text": jnp.stack([number + 1, 2 * number + 1, 0 * number], 1),
    }


def unlike(key, batch):
    """A second view that only training can tell belongs to the first."""
    return {**batch, "image": jnp.sin(7 * jnp.flip(batch["image"], 1))}


def apart(key, batch):
    batch = {**pair(key, batch), **views({"first": noisy, "second": unlike})(key, batch)}
    images = jnp.stack([batch["image"], batch["second"]], 1)
    number = jnp.full_like(batch["label"], 2)
    return {**batch, "images": images, "count": number, "laterality": jnp.tile(number[:, None], 2)}


def crops(key, batch):
    small = resized_crop((4, 4), (0.2, 0.5))
    return multi_crop(noisy, small, count=2)(key, batch)


def with_channel(key, batch):
    batch = crops(key, batch)
    return {name: x[..., None] if x.ndim == 3 else x for name, x in batch.items()}


class Channelled(ViT):
    """A ViT of images that may have no channels."""

    def embed(self, x, mask=None):
        return super().embed(x if x.ndim > 3 else x[..., None], mask)

    def features(self, x, train=False):
        return super().features(x if x.ndim > 3 else x[..., None], train)


VIT = Channelled(width=16, depth=1, heads=2, patch=2, image_size=8, mask_token=True)
SMALL = ("small0", "small1")


def viewed(learner, transform=pair):
    return learners.augmented(learner, transform)


def pieces(key, batch):
    return jigsaw(2, margin=1)(key, pair(key, batch))


CASES = {
    "simclr": lambda: viewed(contrastive.simclr(Tiny(), ADAM, projector=HEAD)),
    "supcon": lambda: viewed(contrastive.supcon(Tiny(), ADAM, projector=NORMED, temperature=0.2)),
    # A fixed batch's own keys fill the queue, so that it is long, and keys are hard to find.
    "moco_v1": lambda: viewed(
        contrastive.moco_v1(Tiny(), ADAM, projector=NORMED, queue=2**15, temperature=0.1), apart
    ),
    "moco_v2": lambda: learners.averaged(
        viewed(
            contrastive.moco_v2(Tiny(), ADAM, projector=NORMED, queue=2**15, temperature=0.1), apart
        ),
        0.9,
    ),
    "moco_v3": lambda: viewed(contrastive.moco_v3(Tiny(), ADAM, projector=NORMED, predictor=HEAD)),
    "byol": lambda: viewed(
        learners.accumulated(contrastive.byol(Tiny(), ADAM, projector=HEAD, predictor=HEAD), 2)
    ),
    "dino": lambda: viewed(
        contrastive.dino(
            Tiny(),
            optax.adam(0.04),
            projector=PROTOTYPES,
            centre_momentum=0.99,
            small=SMALL,
            large=LARGE,
        ),
        crops,
    ),
    "dinov2": lambda: viewed(
        contrastive.dinov2(
            VIT, ADAM, projector=FEW_PROTOTYPES, patch_projector=FEW_PROTOTYPES, small=SMALL
        ),
        with_channel,
    ),
    "pirl": lambda: viewed(
        contrastive.pirl(Tiny(), ADAM, samples=64, dim=8, negatives=16, temperature=0.2), pieces
    ),
    "local_global": lambda: viewed(
        contrastive.local_global(
            Tiny(), ADAM, projector=HEAD, local_projector=HEAD, region=2, temperature=0.2
        )
    ),
    "micle": lambda: viewed(contrastive.micle(Tiny(), ADAM, noisy, projector=HEAD)),
    "medaug": lambda: viewed(
        contrastive.medaug(Tiny(), ADAM, noisy, projector=NORMED, queue=2**15, temperature=0.1),
        apart,
    ),
    "convirt": lambda: viewed(
        contrastive.convirt(
            Tiny(),
            contrastive.TextEncoder(20, width=8, depth=1, heads=2),
            ADAM,
            projector=NORMED,
            text_projector=NORMED,
        )
    ),
}

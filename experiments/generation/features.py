"""The features by which generated images are judged: SimCLR's, learned from the training images."""

from __future__ import annotations

import jax
import numpy as np
import optax
import short_runs

from medjax import augment, learners
from medjax.augment.views import resized_crop, views
from medjax.learners import contrastive
from medjax.models.classifiers import ResNet
from medjax.training.protocols.attentive import passes

NAME = "SimCLR ResNet (7 convolutions, 64 channels) on the training slices"
BATCH = 64
ENTRIES = {"image": augment.Image(channels="last")}
PAIR = ("first", "second")


def network() -> ResNet:
    """Three stages of one basic block each."""
    return ResNet(
        depths=(1, 1, 1),
        block="basic",
        widths=(16, 32, 64),
        stem=16,
        stem_kernel=3,
        stem_strides=2,
        stem_pool=False,
        norm="group",
    )


def view(size: tuple[int, ...]):
    """What scans of one place differ in: place, size, contrast, noise."""
    return augment.chain(
        resized_crop(size, (0.6, 1.0), entries=ENTRIES),
        augment.gamma(0.4, entries=ENTRIES),
        augment.contrast(0.3, entries=ENTRIES),
        augment.noise(0.05, entries=ENTRIES),
    )


def pretrained(images: np.ndarray, *, steps: int = 300, seed: int = 0):
    """Variables of `network` after SimCLR.

    Args:
        images: brightness, not negative, ``(sample, *spatial, 1)``.
        steps: of training.
        seed: of everything random.
    """
    schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-3, max(1, steps // 10), max(2, steps))
    learner = contrastive.simclr(
        network(),
        optax.adamw(schedule, weight_decay=0.05),
        projector=contrastive.MLPHead((256, 64)),
        temperature=0.2,
    )
    one = view(images.shape[1:-1])
    learner = learners.augmented(learner, views(dict.fromkeys(PAIR, one)))
    key = jax.random.key(seed)
    step, state = short_runs.programs(learner).step, None
    for number, chosen in enumerate(passes(len(images), BATCH, steps, seed)):
        batch = {"image": images[chosen], "index": chosen}
        state = jax.jit(learner.init)(key, batch) if state is None else state
        state, _ = step(state, batch, jax.random.fold_in(key, number))
    return contrastive.encoder_variables(state)

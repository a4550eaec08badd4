"""DiffDenoise: what a blind-spot network lost, found again by diffusion."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import optax

from medjax.core.types import Array, Batch
from medjax.learners.combinators import augmented
from medjax.learners.learner import Learner

from .ddpm import ddpm
from .sample import symmetric_ddim

_BLIND = "blind"


def diffdenoise(
    module: Any,
    optimizer: optax.GradientTransformation,
    blind: Callable[[Array], Array],
    *,
    image: str = "image",
    pairs: int = 1,
    **options: Any,
) -> Learner:
    """DiffDenoise (Demir et al. 2025, arXiv:2504.00264): denoising without clean images.

    "Self-supervised medical image denoising with conditional diffusion models". Its three stages:

    1. A blind-spot network is trained on noisy images alone: `medjax.learners.noise2void`.
    2. A diffusion model of the noisy images learns, conditioned on what the first makes of
       them; samples that begin with a noise and with its negative are averaged
       (`symmetric_ddim`). This learner.
    3. A network learns by supervision to map the noisy images to those averages, which is fast
       in use: `medjax.learners.supervised`, with targets that this one's `predict` gave.

    What differs: the levels, the prediction and the network are the caller's.

    Args:
        module: see `ddpm`.
        optimizer: any Optax transformation.
        blind: ``noisy images -> images``, the first stage with its parameters in it.
        image: the batch's entry of noisy images, about between -1 and 1; `predict` needs it too.
        pairs: see `symmetric_ddim`.
        **options: of `ddpm`, such as ``sampling=select(linear(), few(50))``.

    Returns:
        A learner as `ddpm` makes it, whose `predict` gives denoised images.
    """
    options = {"sampler": partial(symmetric_ddim, pairs=pairs), **options}
    learner = ddpm(module, optimizer, image=image, condition=_BLIND, **options)

    def seen(batch: Batch) -> Batch:
        return {**batch, _BLIND: jax.lax.stop_gradient(blind(batch[image]))}

    def predict(state, batch):
        return learner.predict(state, seen(batch))

    return augmented(learner, lambda key, batch: seen(batch))._replace(predict=predict)

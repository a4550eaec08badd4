"""What all detectors of anomalies share: a learner of the normal, and scores of what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from medjax.core.types import Array, Batch, Float, Key
from medjax.image.filters import gaussian
from medjax.image.similarity import mean_per_sample
from medjax.learners.learner import Learner, State


class Scores(NamedTuple):
    """How anomalous a batch is; higher is more so.

    Only their order means anything: a threshold belongs to a method, a training and a scanner,
    and is chosen on data of its own.

    Attributes:
        image: of each image as a whole, float32.
        pixel: of each of its places, float32.
    """

    image: Float[Array, " batch"]
    pixel: Float[Array, "batch *spatial"]


class Detector(NamedTuple):
    """A learner of what is normal, and how far from it images are.

    Attributes:
        learner: trained on normal images, as any learner is; its combinators go on it by
            ``detector._replace(learner=averaged(detector.learner))``.
        scores: ``(state, batch, key) -> Scores``, pure. Randomness is keyed by ``index``, so
            that scores do not depend on a sample's place in a batch. Under jit only what is
            used of the two is computed.
    """

    learner: Learner
    scores: Callable[[State, Batch, Key[Array, ""]], Scores]

    def image_score(
        self, state: State, batch: Batch, key: Key[Array, ""]
    ) -> Float[Array, " batch"]:
        """How anomalous each image is."""
        return self.scores(state, batch, key).image

    def pixel_score(
        self, state: State, batch: Batch, key: Key[Array, ""]
    ) -> Float[Array, "batch *spatial"]:
        """How anomalous each place of each image is."""
        return self.scores(state, batch, key).pixel


def reconstruction(learner: Learner, *, image: str = "image", sigma: float = 0.0) -> Detector:
    """What a learner that gives images again does not give again: ``|x - predict(x)|``.

    The score that most methods are compared with (Baur et al. 2021, arXiv:2004.03271): what was
    not seen in training is not given again, so the hope goes.

    Args:
        learner: any whose `predict` gives images again: those of
            `medjax.learners.autoencoding`, denoisers, restoration.
        image: the batch's entry of images, floating, channels last.
        sigma: of a Gaussian blur of the map, in voxels; 0 for none.
    """

    def scores(state, batch, key):
        pixel = blurred(residual(batch[image], learner.predict(state, batch)), sigma)
        return Scores(mean_per_sample(pixel), pixel)

    return Detector(learner, scores)


def residual(x: Array, again: Array) -> Float[Array, "batch *spatial"]:
    """The magnitude of the difference of images, its mean over channels, float32."""
    return jnp.abs(x.astype(jnp.float32) - again.astype(jnp.float32)).mean(axis=-1)


def blurred(pixel: Float[Array, "batch *spatial"], sigma: float) -> Float[Array, "batch *spatial"]:
    """A map blurred by a Gaussian of some voxels; as it is for 0."""
    if not sigma:
        return pixel
    axes = tuple(range(1 - pixel.ndim, 0))
    return gaussian(pixel, jnp.float32(sigma), axes, radius=max(1, round(4 * sigma)))

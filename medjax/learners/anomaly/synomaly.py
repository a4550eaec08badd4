"""Diffusion that takes synthetic anomalies for noise, and takes them away in stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import keyed
from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float, Key
from medjax.image.filters import gaussian
from medjax.image.similarity import mean_per_sample
from medjax.learners.combinators import settled
from medjax.learners.diffusion.ddpm import Noise, ddpm, denoise_with
from medjax.learners.diffusion.levels import Levels, linear
from medjax.learners.diffusion.sample import normal

from .detector import Detector, Scores, blurred, residual


def synomaly_noise(
    *,
    size: float = 7.0,
    threshold: float = 0.6,
    offset: float = 0.5,
    signs: tuple[float, ...] = (1.0, -1.0),
    inside: Callable[[Array], Bool[Array, "*spatial"]] | None = None,
) -> Noise:
    """Noise with synthetic anomalies in it: blobs that are brighter or darker (Bi et al. 2024).

    As in the authors' code: blobs are where the noise itself, blurred and stretched to 0 and 1,
    is above a threshold; to all of them one number is added, even in ``offset`` to ``offset +
    1``, up or down.

    Args:
        size: standard deviation of the blur, in voxels; 3, 5 and 7 in the paper.
        threshold: the larger, the fewer and smaller; 0.59 and 0.69 in the paper.
        offset: least magnitude, in standard deviations of the noise; 0.5 and 0.75 in the paper.
        signs: which one is drawn from; the paper has one for each of its data sets.
        inside: ``image (*spatial, channel) -> mask``, where anomalies may be; None for
            everywhere.

    Returns:
        ``(key, image) -> noise`` for `medjax.learners.diffusion.ddpm`.

    Raises:
        InputError: for a size that is not positive, or a threshold outside (0, 1).
    """
    if not size > 0:
        raise InputError("size", "a number above 0", size)
    if not 0 < threshold < 1:
        raise InputError("threshold", "a number between 0 and 1", threshold)

    def noise(key: Key[Array, ""], image: Array) -> Array:
        ground, height, sign = jax.random.split(key, 3)
        white = jax.random.normal(ground, image.shape, jnp.float32)
        axes = tuple(range(1 - image.ndim, 0))
        smooth = gaussian(white[..., 0], jnp.float32(size), axes, radius=max(1, round(3 * size)))
        low, high = smooth.min(), smooth.max()
        blobs = smooth > low + threshold * (high - low)
        if inside is not None:
            blobs = blobs & inside(image)
        added = offset + jax.random.uniform(height)
        added = added * jax.random.choice(sign, jnp.asarray(signs, jnp.float32))
        return white + added * blobs[..., None].astype(jnp.float32)

    return noise


def synomaly(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    levels: Levels | None = None,
    level: int = 200,
    stages: int = 5,
    keep: float = 0.1,
    noise: Noise | None = None,
    prediction: str = "epsilon",
    clip: tuple[float, float] | None = (-1.0, 1.0),
    image: str = "image",
    sigma: float = 1.0,
    **options: Any,
) -> Detector:
    """Synomaly noise and multi-stage diffusion (Bi et al. 2024, arXiv:2411.04004).

    As there: a denoiser is trained on normal images with noise that has anomalies in it, which
    it learns to take away as it does the noise. To score an image, it is given some noise and
    denoised at once; where it changed little it is put back as it was, and the stage is
    repeated, so that anomalies go step by step and the rest stays sharp. Places are scored by
    what the last stage changed, blurred. What differs: the number of stages is given, where
    the authors stop as soon as the changed region does (after five at most); level and ``keep``
    are this library's choice where their data sets have their own; an image has the mean of its
    places, not the area above a threshold.

    Args:
        module: see `medjax.learners.diffusion.ddpm`.
        optimizer: see there.
        levels: of noise; by default the thousand of `linear`.
        level: place among them of the noise that an image is given.
        stages: how many.
        keep: a change, blurred, below which a place is put back.
        noise: `synomaly_noise` by default.
        prediction: see `ddpm`.
        clip: see `ddpm`; range of the images.
        image: the batch's entry of images, about between -1 and 1.
        sigma: of a Gaussian blur of the map, in voxels; 0 for none.
        **options: of `ddpm`.

    Raises:
        InputError: for a level that is not there, or fewer stages than one.
    """
    levels = linear() if levels is None else levels
    if not 0 <= level < len(levels):
        raise InputError("level", f"a place among {len(levels)} levels", level)
    if stages < 1:
        raise InputError("stages", "at least 1", stages)
    learner = ddpm(
        module,
        optimizer,
        levels=levels,
        noise=synomaly_noise() if noise is None else noise,
        prediction=prediction,
        clip=clip,
        image=image,
        **options,
    )

    def scores(state, batch, key):
        x, keys = batch[image].astype(jnp.float32), keyed(key, batch)
        denoise = denoise_with(module, settled(state), prediction=prediction, clip=clip)
        chosen = levels[level]

        def stage(now: Array, number: Array) -> tuple[Array, Float[Array, "batch *spatial"]]:
            own = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
            noisy = chosen.alpha * now + chosen.sigma * normal(own, x.shape[1:])
            clean = denoise(noisy, chosen)
            change = blurred(residual(x, clean), 1.0)
            return jnp.where(change[..., None] > keep, clean, x), residual(x, clean)

        _, changes = jax.lax.scan(stage, x, jnp.arange(stages))
        pixel = blurred(changes[-1], sigma)
        return Scores(mean_per_sample(pixel), pixel)

    return Detector(learner, scores)

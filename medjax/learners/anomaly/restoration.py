"""Restoration: an image is changed until a model of the normal finds it likely."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.augment.compose import keyed
from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.similarity import mean_per_sample
from medjax.learners.combinators import variables_of
from medjax.learners.learner import Learner

from .detector import Detector, Scores, blurred, residual
from .elbo import Energy


def elbo_restoration(
    learner: Learner,
    energy: Energy,
    *,
    weight: float = 1.8,
    steps: int = 500,
    rates: tuple[float, float] = (5e-3, 2e-3),
    switch: int = 100,
    bound: float = 100.0,
    image: str = "image",
    sigma: float = 0.0,
) -> Detector:
    """Restoration by a normative prior (You et al. 2019; Chen et al. 2020).

    Unsupervised lesion detection via image restoration with a normative prior, MIDL 2019, and
    arXiv:2005.00031. As there: the image goes along the slope of its evidence bound, held to
    what it was by total variation, which lets whole regions change and not single voxels; the
    score is how far each place went. Steps, their sizes, the bound on a slope and the weight of
    the total variation are those of the first paper's public code. What differs: no brain mask
    (the caller has one, or none), 2D and 3D.

    Args:
        learner: `medjax.learners.autoencoding.vae` or `gmvae`, the paper's.
        energy: `vae_energy` or `gmvae_energy` of its module.
        weight: of the total variation of what changed; by images whose noise is of a size.
        steps: of descent.
        rates: sizes of the first steps, and of those from ``switch`` on.
        switch: number of the first steps.
        bound: magnitude that a slope is cut at.
        image: the batch's entry of images.
        sigma: of a Gaussian blur of the map, in voxels; 0 for none.

    Raises:
        InputError: for fewer steps than one.
    """
    if steps < 1:
        raise InputError("steps", "at least 1", steps)

    def scores(state, batch, key):
        x, keys, variables = batch[image], keyed(key, batch), variables_of(state)

        def cost(now: Array, number: Array) -> Array:
            own = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
            return jnp.sum(energy(variables, now, own) + weight * variation(now - x))

        def step(now: Array, number: Array) -> tuple[Array, None]:
            slope = jnp.clip(jax.grad(cost)(now, number), -bound, bound)
            rate = jnp.where(number < switch, *rates).astype(now.dtype)
            return now - rate * slope, None

        restored, _ = jax.lax.scan(step, x, jnp.arange(steps))
        pixel = blurred(residual(x, restored), sigma)
        return Scores(mean_per_sample(pixel), pixel)

    return Detector(learner, scores)


def variation(x: Float[Array, "batch *spatial channel"]) -> Float[Array, " batch"]:
    """Total variation, the sum of magnitudes of differences along each axis.

    Its slope is zero where there is no difference.
    """
    total = jnp.zeros(x.shape[0], x.dtype)
    for axis in range(1, x.ndim - 1):
        total = total + jnp.abs(jnp.diff(x, axis=axis)).reshape(x.shape[0], -1).sum(axis=1)
    return total

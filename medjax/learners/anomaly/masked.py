"""Self-supervision as a score: what cannot be told from its surroundings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import keyed
from medjax.augment.corrupt import enlarged
from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Int, Key, PyTree
from medjax.image.similarity import mean_per_sample
from medjax.layers.conv import Size, per_axis
from medjax.learners.combinators import variables_of
from medjax.learners.learner import Learner, State
from medjax.learners.predictive.masked import simmim
from medjax.learners.predictive.restore import inpainting
from medjax.models.pretraining import Restorer, SimMIM

from .detector import Detector, Scores, blurred, residual

Restore = Callable[[State, Array, Bool[Array, "batch *spatial"]], Array]
"""``(state, images, hidden) -> images``, of which only what was hidden is looked at."""


def masked_error(
    learner: Learner,
    restore: Restore,
    *,
    unit: Size = 4,
    parts: int = 4,
    repeats: int = 1,
    image: str = "image",
    sigma: float = 0.0,
) -> Detector:
    """The error of what a self-supervised network paints where nothing was shown.

    Units of the image are put into random groups; each group is hidden in turn, so that every
    place is painted once from the others, and scored by how far that is from what was there.
    An image has the mean of its places. The idea is that of inpainting-based detection (Zavrtanik
    et al. 2021, RIAD, doi:10.1016/j.patcog.2020.107706, whose network is trained on such groups
    and whose score is one of gradients); groups, units and error are this library's choice.

    Args:
        learner: self-supervised, trained on normal images.
        restore: its network as a function.
        unit: voxels of a unit along each axis.
        parts: groups, so that one in so many units is hidden at a time.
        repeats: random groupings, over which errors are averaged.
        image: the batch's entry of images.
        sigma: of a Gaussian blur of the map, in voxels; 0 for none.

    Raises:
        InputError: for fewer groups than two, or none at all; when called, for more groups than
            units.
    """
    if parts < 2 or repeats < 1:
        raise InputError("parts", "two or more, and repeats at least 1", (parts, repeats))

    def groups(key: Key[Array, ""], grid: tuple[int, ...]) -> Int[Array, "*grid"]:
        rank = jnp.argsort(jax.random.uniform(key, (math.prod(grid),))).astype(jnp.int32)
        return (rank % parts).reshape(grid)

    def scores(state, batch, key):
        x = batch[image]
        spatial = x.shape[1:-1]
        size = per_axis(unit, len(spatial), "unit")
        grid = tuple(-(-n // s) for n, s in zip(spatial, size, strict=True))
        if math.prod(grid) < parts:
            raise InputError("parts", f"at most the {math.prod(grid)} units of an image", parts)

        def one(number: Array) -> Array:
            keys = keyed(jax.random.fold_in(key, number // parts), batch)
            chosen = jax.vmap(lambda key: groups(key, grid))(keys) == number % parts
            hidden = jax.vmap(lambda mask: enlarged(mask, size, spatial))(chosen)
            return jnp.where(hidden, residual(x, restore(state, x, hidden)), 0)

        pixel = jax.lax.map(one, jnp.arange(parts * repeats)).sum(0) / repeats
        pixel = blurred(pixel, sigma)
        return Scores(mean_per_sample(pixel), pixel)

    return Detector(learner, scores)


def ssl_error(
    backbone: Any,
    optimizer: optax.GradientTransformation,
    *,
    task: str = "inpainting",
    unit: Size = 4,
    parts: int = 4,
    repeats: int = 1,
    image: str = "image",
    sigma: float = 0.0,
    **options: Any,
) -> Detector:
    """`masked_error` of a context encoder (Pathak et al. 2016) or of SimMIM (Xie et al. 2022).

    Args:
        backbone: see `medjax.learners.predictive.inpainting` or `simmim`.
        optimizer: any Optax transformation.
        task: "inpainting" or "simmim".
        unit: see `masked_error`; SimMIM hides such units in training too.
        parts: see there.
        repeats: see there.
        image: see there.
        sigma: see there.
        **options: of the task.

    Raises:
        InputError: for another task.
    """
    learner, restore = _task(task, backbone, optimizer, unit, image, options)
    return masked_error(
        learner, restore, unit=unit, parts=parts, repeats=repeats, image=image, sigma=sigma
    )


def _task(
    task: str, backbone: Any, optimizer: Any, unit: Size, image: str, options: PyTree
) -> tuple[Learner, Restore]:
    """A learner, and its network as a function of images with holes."""
    if task == "inpainting":

        def restore(state, x, hidden):
            # As in training: the image's own mean is shown in holes.
            mean = x.mean(axis=tuple(range(1, x.ndim - 1)), keepdims=True)
            shown = jnp.where(hidden[..., None], mean, x)
            return Restorer(backbone).apply(variables_of(state), shown, train=False)

        return inpainting(backbone, optimizer, image=image, **options), restore
    if task == "simmim":

        def restore(state, x, hidden):
            return SimMIM(backbone).apply(variables_of(state), x, hidden, train=False)

        return simmim(backbone, optimizer, unit=unit, image=image, **options), restore
    raise InputError("task", "inpainting or simmim", repr(task))

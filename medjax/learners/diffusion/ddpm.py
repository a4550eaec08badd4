"""Learners of denoisers: DDPM with its relatives, and EDM."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.compose import keyed
from medjax.core.arrays import per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key
from medjax.learners.learner import Learner, State
from medjax.learners.objective import descend

from .levels import Levels, exploding, few, karras, linear, select
from .prediction import Denoise, coefficients, denoiser, guided
from .sample import ddim, ddpm_sample, heun

Sampler = Callable[[Denoise, Levels, Array, tuple[int, ...]], Array]
"""``(denoise, levels, keys, shape) -> images``, such as ``partial(ddim, eta=0.5)``."""

Noise = Callable[[Key[Array, ""], Array], Array]
"""``(key, image) -> noise`` of one sample."""


def white(key: Key[Array, ""], image: Array) -> Array:
    """Independent normal numbers, of which diffusion is made."""
    return jax.random.normal(key, image.shape, jnp.float32)


def ddpm(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    levels: Levels | None = None,
    prediction: str = "epsilon",
    image: str = "image",
    condition: str | None = None,
    label: str | None = None,
    drop: float = 0.0,
    guidance: float = 1.0,
    clip: tuple[float, float] | None = None,
    sampler: Sampler = ddpm_sample,
    sampling: Levels | None = None,
    seed: int = 0,
    noise: Noise = white,
) -> Learner:
    """Denoising diffusion (Ho et al. 2020, arXiv:2006.11239, algorithm 1 and eq. 14).

    Each sample gets a level of its own, uniformly among ``levels``; what is minimised is the
    mean square of what ``prediction`` says. Conditioned on an image (Saharia et al. 2022,
    arXiv:2104.07636, by channels) or a class, with classifier-free guidance (Ho & Salimans
    2022, arXiv:2207.12598): in training the condition is left out by chance.

    Args:
        module: ``(x, time, condition, label, train=...) -> (batch, *spatial, channel)``, where a
            condition of zeros and a negative label stand for none, such as
            `medjax.models.generative.DiffusionUNet`.
        optimizer: any Optax transformation. Wrap the learner in `medjax.learners.averaged`:
            samples of averaged parameters are much better.
        levels: of noise; by default the thousand of `linear`.
        prediction: what the module returns, see `medjax.learners.diffusion.prediction.Prediction`.
        image: the batch's entry of images, about between -1 and 1, which need not be there to
            predict with a ``condition`` of the same size.
        condition: the batch's entry of images that the module sees beside.
        label: the batch's entry of classes, integer ``(batch,)``.
        drop: chance of training a sample without its condition and label.
        guidance: of `predict`, see `guided`; 1 for none.
        clip: of `predict`, see `denoiser`.
        sampler: what `predict` does.
        sampling: levels that it does it at; by default all.
        seed: of the noise of `predict`.
        noise: what is added in training.

    Returns:
        A learner whose scalars are ``loss`` and ``gradient_norm``, and whose `predict` returns
        a sample for each of the batch: given its condition and label, and by a key of its
        ``index``.

    Raises:
        InputError: for ``drop`` outside [0, 1), guidance of a model that never learned to do
            without its condition, or another prediction.
    """
    levels = linear() if levels is None else levels

    def drawn(key: Key[Array, ""]) -> Levels:
        return levels[jax.random.randint(key, (), 0, len(levels))]

    return diffusion(
        module,
        optimizer,
        drawn,
        prediction=prediction,
        image=image,
        condition=condition,
        label=label,
        drop=drop,
        guidance=guidance,
        clip=clip,
        sampler=sampler,
        sampling=levels if sampling is None else sampling,
        seed=seed,
        noise=noise,
    )


def fast_ddpm(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    steps: int = 10,
    spacing: str = "uniform",
    levels: Levels | None = None,
    **options: Any,
) -> Learner:
    """Fast-DDPM: trained at the few levels that it is sampled at.

    Jiang et al. 2024 (arXiv:2405.14802). Ten levels of a thousand are learned, not all, so that
    training is shorter too; sampling is `ddim` without noise, as in the authors' code.

    Args:
        module: see `ddpm`.
        optimizer: see there.
        steps: number of levels.
        spacing: see `few`; the paper has the better of the two by task.
        levels: that they are chosen from; by default those of `linear`.
        **options: of `ddpm`.
    """
    levels = linear() if levels is None else levels
    chosen = select(levels, few(steps, len(levels), spacing))
    return ddpm(module, optimizer, levels=chosen, **{"sampler": ddim, **options})


def edm(
    module: Any,
    optimizer: optax.GradientTransformation,
    *,
    data: float = 0.5,
    mean: float = -1.2,
    spread: float = 1.2,
    image: str = "image",
    condition: str | None = None,
    label: str | None = None,
    drop: float = 0.0,
    guidance: float = 1.0,
    clip: tuple[float, float] | None = None,
    sampler: Sampler = heun,
    sampling: Levels | None = None,
    seed: int = 0,
) -> Learner:
    """EDM: preconditioned denoising at noise of any strength (Karras et al. 2022).

    arXiv:2206.00364, eq. 7 and 8 and table 1: sigmas are log-normal, and weights make the loss
    of the module's own output the mean square at all of them. Sampled by `heun` at 18 levels.

    Args:
        module: see `ddpm`, as for ``optimizer``, ``image``, ``condition``, ``label``, ``drop``,
            ``guidance``, ``clip``, ``sampler`` and ``seed``.
        optimizer: see there.
        data: standard deviation of the images.
        mean: of sigma's logarithm, for images of the deviation 0.5.
        spread: standard deviation of sigma's logarithm.
        image: see there.
        condition: see there.
        label: see there.
        drop: see there.
        guidance: see there.
        clip: see there.
        sampler: see there.
        sampling: levels of `predict`; by default those of `karras`.
        seed: see there.
    """

    def drawn(key: Key[Array, ""]) -> Levels:
        return exploding(jnp.exp(mean + spread * jax.random.normal(key)))

    return diffusion(
        module,
        optimizer,
        drawn,
        prediction="edm",
        data=data,
        image=image,
        condition=condition,
        label=label,
        drop=drop,
        guidance=guidance,
        clip=clip,
        sampler=sampler,
        sampling=karras() if sampling is None else sampling,
        seed=seed,
    )


def diffusion(
    module: Any,
    optimizer: optax.GradientTransformation,
    drawn: Callable[[Key[Array, ""]], Levels],
    *,
    prediction: str,
    image: str,
    condition: str | None,
    label: str | None,
    drop: float,
    guidance: float,
    clip: tuple[float, float] | None,
    sampler: Sampler,
    sampling: Levels,
    seed: int,
    data: float = 0.5,
    noise: Noise = white,
) -> Learner:
    """What `ddpm` and `edm` share; ``drawn`` gives the level of a sample by its key."""
    if not 0 <= drop < 1:
        raise InputError("drop", "a number in [0, 1)", drop)
    if guidance != 1 and not (drop and (condition or label)):
        expected = "1 where no condition or label is dropped in training"
        raise InputError("guidance", expected, guidance)
    coefficients(prediction, sampling, data)  # refuses other predictions now, not when traced

    def conditions(batch: Batch) -> tuple[Array | None, Array | None]:
        return tuple(None if name is None else batch[name] for name in (condition, label))

    def init(key, batch):
        x = batch[image]
        time = jnp.zeros(x.shape[:1], jnp.float32)
        variables = dict(module.init(key, x, time, *conditions(batch), train=False))
        params = variables.pop("params")
        return State(jnp.zeros((), jnp.int32), params, variables, optimizer.init(params))

    def objective(network, variables, batch, key):
        x0 = batch[image]
        of = {
            name: jax.vmap(partial(jax.random.fold_in, data=i))(keyed(key, batch))
            for i, name in enumerate(("level", "noise", "drop"))
        }
        level = jax.vmap(drawn)(of["level"])
        added = jax.vmap(noise)(of["noise"], x0)
        given = conditions(batch)
        if drop:
            dropped = jax.vmap(lambda key: jax.random.bernoulli(key, drop))(of["drop"])
            given = without(given, dropped)
        c = coefficients(prediction, level, data)
        c, level = jax.tree.map(lambda a: per_sample(a, x0.ndim), (c, level))
        x = c.scale * (level.alpha * x0 + level.sigma * added)
        predicted, variables = network(variables, x, level.time.reshape(-1), *given, key=key)
        error = predicted - (c.image * x0 + c.noise * added)
        return jnp.mean(error**2, axis=tuple(range(1, error.ndim))), variables

    def predict(state, batch):
        given = conditions(batch)
        shape = batch[image if image in batch else condition].shape
        denoise = denoise_with(module, state, given, prediction, data=data, clip=clip)
        if guidance != 1:
            every = jnp.ones(shape[:1], bool)
            bare = denoise_with(
                module, state, without(given, every), prediction, data=data, clip=clip
            )
            denoise = guided(denoise, bare, guidance)
        keys = keyed(jax.random.key(seed), batch)
        return sampler(denoise, sampling, keys, shape[1:])

    return Learner(init, (descend(module, objective, optimizer),), predict)


def denoise_with(
    module: Any,
    state: State,
    given: tuple[Array | None, Array | None] = (None, None),
    prediction: str = "epsilon",
    *,
    data: float = 0.5,
    clip: tuple[float, float] | None = None,
) -> Denoise:
    """The `Denoise` of a learner's state, for the samplers and for sampling posteriors.

    Args:
        module: that the learner was made with, as for ``prediction`` and ``data``.
        state: of the learner.
        given: images and labels to condition on.
        prediction: see `ddpm`; "edm" for `edm`.
        data: see `edm`.
        clip: see `denoiser`.
    """
    variables = {"params": state.params, **state.variables}

    def network(x: Array, time: Float[Array, " batch"]) -> Array:
        return module.apply(variables, x, time, *given, train=False)

    return denoiser(network, prediction, data=data, clip=clip)


def without(
    given: tuple[Array | None, Array | None], dropped: Array
) -> tuple[Array | None, Array | None]:
    """Conditions and labels with those of some samples left out: zeros, and -1."""
    condition, label = given
    if condition is not None:
        condition = jnp.where(per_sample(dropped, condition.ndim), 0, condition)
    if label is not None:
        label = jnp.where(dropped, -1, label)
    return condition, label

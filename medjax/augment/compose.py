"""How augmentations are keyed, put together, made a matter of chance and undone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from medjax.core.arrays import per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Bool, Key
from medjax.physics.fft import fftc, ifftc

Transform = Callable[[Key[Array, ""], Batch], Batch]


def keyed(key: Key[Array, ""], batch: Batch) -> Key[Array, " batch"]:
    """One key a sample, from the step's key and the sample's ``index``.

    A sample's randomness then does not depend on its place in the batch, on the
    batch's size or on the devices: held-out data is simulated alike in any batch.
    """
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(batch["index"])


@dataclasses.dataclass(frozen=True)
class Invertible:
    """A transform that knows how to undo what it did, given the same key.

    Args:
        forward: the transform.
        backward: ``backward(key, forward(key, batch))`` is the batch again.
    """

    forward: Transform
    backward: Transform

    def __call__(self, key: Key[Array, ""], batch: Batch) -> Batch:
        return self.forward(key, batch)


def inverse(transform: Transform) -> Invertible:
    """The transform that undoes another one, called with the same key.

    For test-time augmentation: augment with a key, predict, and bring the prediction
    back with the inverse of the same transform for the prediction's entry. Turns and
    mirrorings are undone exactly, `deform` up to its second interpolation.

    Raises:
        InputError: where there is none: noise, crops, elastic deformation, erasure.
    """
    if not isinstance(transform, Invertible):
        name = getattr(transform, "__qualname__", type(transform).__name__).partition(".")[0]
        raise InputError("transform", "one with an inverse (flip, rotate90, affine deform)", name)
    return Invertible(transform.backward, transform.forward)


def chain(*transforms: Transform) -> Transform:
    """Transforms one after the other, each with a key of its own."""

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        for number, one in enumerate(transforms):
            batch = one(jax.random.fold_in(key, number), batch)
        return batch

    def undone(key: Key[Array, ""], batch: Batch) -> Batch:
        for number, one in reversed(list(enumerate(transforms))):
            batch = inverse(one)(jax.random.fold_in(key, number), batch)
        return batch

    return _with_inverse(transform, undone, transforms)


def sometimes(probability: float, transform: Transform) -> Transform:
    """Transform each sample with some probability.

    Where no sample of the batch is chosen, nothing is computed.

    Args:
        probability: that a sample is transformed.
        transform: one that keeps the names, shapes and dtypes of the batch.

    Raises:
        InputError: for a probability outside [0, 1], and when called for a transform
            that changes the batch's shapes.
    """
    if not 0 <= probability <= 1:
        raise InputError("probability", "a number from 0 to 1", probability)

    def with_step(step: Transform) -> Transform:
        def transform(key: Key[Array, ""], batch: Batch) -> Batch:
            choice, own = jax.random.split(key)
            draw = jax.vmap(lambda k: jax.random.bernoulli(k, probability))
            return where_chosen(draw(keyed(choice, batch)), step, own, batch)

        return transform

    undone = with_step(lambda key, batch: inverse(transform)(key, batch))
    return _with_inverse(with_step(transform), undone, (transform,))


def one_of(*transforms: Transform) -> Transform:
    """One of the transforms for each sample, all equally likely.

    A transform that no sample of the batch has drawn is not computed.

    Args:
        *transforms: that keep the names, shapes and dtypes of the batch.

    Raises:
        InputError: for none at all, and as `sometimes` does.
    """
    if not transforms:
        raise InputError("transforms", "at least one", 0)

    def with_steps(steps: tuple[Transform, ...]) -> Transform:
        def transform(key: Key[Array, ""], batch: Batch) -> Batch:
            choice, own = jax.random.split(key)
            draw = jax.vmap(lambda k: jax.random.randint(k, (), 0, len(steps)))
            drawn = draw(keyed(choice, batch))
            for number, step in enumerate(steps):
                batch = where_chosen(drawn == number, step, jax.random.fold_in(own, number), batch)
            return batch

        return transform

    undone = with_steps(tuple(lambda k, b, one=one: inverse(one)(k, b) for one in transforms))
    return _with_inverse(with_steps(transforms), undone, transforms)


def on_kspace(transform: Transform, *, name: str = "kspace", ndim: int = 2) -> Transform:
    """Augment measured k-space by way of its images, coil by coil.

    As in MRAugment (Fabian, Heckel & Soltanolkotabi 2021, Data augmentation for deep
    learning based accelerated MRI reconstruction with limited data, ICML), augmented
    k-space is the Fourier transform of augmented coil images; undersample afterwards.

    Args:
        transform: of an entry of that name, ``Image(channels="first")`` where there
            are coils; it sees complex images.
        name: the entry, complex ``(batch, coil, *spatial)`` or ``(batch, *spatial)``,
            centred and fully sampled.
        ndim: number of spatial axes.
    """

    def with_step(step: Transform) -> Transform:
        def transform(key: Key[Array, ""], batch: Batch) -> Batch:
            batch = step(key, {**batch, name: ifftc(batch[name], ndim)})
            return {**batch, name: fftc(batch[name], ndim)}

        return transform

    undone = with_step(lambda key, batch: inverse(transform)(key, batch))
    return _with_inverse(with_step(transform), undone, (transform,))


def _with_inverse(
    forward: Transform, backward: Transform, parts: tuple[Transform, ...]
) -> Transform:
    if all(isinstance(part, Invertible) for part in parts):
        return Invertible(forward, backward)
    return forward


def where_chosen(
    chosen: Bool[Array, " batch"], step: Transform, key: Key[Array, ""], batch: Batch
) -> Batch:
    """The batch with the chosen samples transformed."""
    touched: list[str] = []

    def traced(batch: Batch) -> Batch:
        out = step(key, batch)
        touched[:] = [name for name in out if out[name] is not batch.get(name)]
        return out

    before, after = jax.eval_shape(lambda b: b, dict(batch)), jax.eval_shape(traced, dict(batch))
    if jax.tree.structure(before) != jax.tree.structure(dict(after)) or before != dict(after):
        changed = [name for name in after if after[name] != before.get(name)]
        raise InputError("transform", "one that keeps names, shapes and dtypes", changed)

    def run(batch: Batch) -> Batch:
        out = step(key, batch)
        return {name: out[name] for name in touched}

    # Not chosen in the whole batch: nothing to compute. One flag is all that devices exchange.
    out = jax.lax.cond(
        jnp.any(chosen), run, lambda batch: {name: batch[name] for name in touched}, dict(batch)
    )

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(per_sample(chosen, new.ndim), new, old)

    return {**batch, **{name: jax.tree.map(pick, out[name], batch[name]) for name in touched}}

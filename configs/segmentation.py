"""Segmentation of volumes from a prepared store: a 3D U-Net on random patches.

    medjax data prepare FOLDER stores/mine --spacing median --normalise zscore --crop True
    medjax train configs/segmentation.py --store stores/mine --run runs/mine
    medjax evaluate runs/mine
    medjax predict runs/mine scan.nii.gz -o labels.nii.gz

The recipe is nnU-Net's in the main (Isensee et al. 2021): patches of which a third hold
foreground, instance norm and leaky ReLU, Dice and cross-entropy, Nesterov momentum with a
polynomial decay, and its augmentation, here on the device. Its planning of the network,
deep supervision, mirroring at test time and ensemble are not here.
"""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax import augment, data, learners, losses, metrics, models, training
from medjax.core.errors import InputError
from medjax.inference import Segment


def experiment(
    *,
    store: str = "",
    labels: tuple[int, ...] = (),
    patch: tuple[int, ...] = (96, 96, 96),
    features: tuple[int, ...] = (32, 64, 128, 256),
    precision: Literal["float32", "bfloat16"] = "float32",
    mirror: bool = True,
    steps: int = 10_000,
    batch_size: int = 2,
    learning_rate: float = 1e-2,
    cache: float = 0.0,
    workers: int = 0,
    placement: str = "data",
    on_error: Literal["raise", "skip"] = "raise",
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
) -> training.Experiment:
    """One run.

    Args:
        store: folder or URL, as 'medjax data prepare' makes it.
        labels: values to learn; all that the store has where none is given.
        patch: voxels of a patch along each axis; two numbers for a store of slices.
        features: channels of the U-Net's levels.
        precision: of the network's computation; parameters are float32.
        mirror: whether left and right may be exchanged: not where they are two labels.
        steps: of training.
        batch_size: patches a step, over all devices.
        learning_rate: at the start, before polynomial decay.
        cache: GiB of memory for decoded volumes, once a host, whatever the workers.
        workers: loader processes.
        placement: of state and batch over the devices, such as data, fsdp or data+fsdp:8.
        on_error: stop at a case that cannot be read, or skip and list it.
        folds: of the cross-validation by subject.
        fold: the one that is the test set, from 0.
        seed: of everything random.
    """
    if not store:
        raise InputError("--store", "a prepared store ('medjax data prepare')", "none")
    if steps < 1:  # before the schedule is made of it
        raise InputError("--steps", "a number of at least 1", steps)
    opened = data.Store(store, cache=int(cache * 2**30))
    patches = data.Patches(opened, patch)
    found = {value for case in opened.cases for value in case.entries["label"].counts}
    values = (0, *(labels or sorted(found)))
    if missing := set(labels) - found:
        raise InputError("--labels", f"some of {sorted(found)}", sorted(missing))
    channels = max(1, len(opened.cases[0].entries["image"].channels))

    numbers = np.zeros(max(found) + 1, np.int32)
    numbers[list(values)] = np.arange(len(values))

    def numbered(_, batch):
        """Labels as numbers of classes."""
        return {**batch, "label": jnp.asarray(numbers)[batch["label"].astype(jnp.int32)]}

    entries = {"image": augment.Image(channels="last"), "label": augment.Labels()}
    image = {"image": augment.Image(channels="last")}
    flips = [augment.flip(axis, entries=entries) for axis in range(-len(patch), 0)]
    recipe = augment.chain(
        numbered,
        augment.sometimes(0.3, augment.deform(rotation=30.0, zoom=0.3, entries=entries)),
        *(flips if mirror else flips[1:]),
        augment.sometimes(0.15, augment.noise(0.1, entries=image)),
        augment.sometimes(0.2, augment.blur((0.5, 1.0), entries=image)),
        augment.sometimes(0.15, augment.brightness(spread=0.25, entries=image)),
        augment.sometimes(0.15, augment.contrast(0.25, entries=image)),
    )
    schedule = optax.polynomial_schedule(learning_rate, 0.0, 0.9, steps)
    learner = learners.supervised(
        models.UNet(len(values), features=features, dtype=jnp.dtype(precision)),
        losses.dice_cross_entropy,
        optax.chain(
            optax.clip_by_global_norm(12.0),
            optax.add_decayed_weights(3e-5),
            optax.sgd(schedule, momentum=0.99, nesterov=True),
        ),
    )
    learner = learners.augmented(learner, recipe)

    splits = functools.lru_cache(lambda: data.k_fold(patches, folds=folds, fold=fold, seed=seed))
    example = {
        "image": jax.ShapeDtypeStruct((batch_size, *patch, channels), jnp.float32),
        "label": jax.ShapeDtypeStruct((batch_size, *patch), patches.dtype),
        "index": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
    }

    def held_out(part):
        def loader(host, hosts):
            cases = sorted(set(getattr(splits(), part).indices))
            grid = data.GridPatches(opened, patch, overlap=0.0, cases=cases)
            return data.evaluation(grid, batch_size=batch_size, host=host, hosts=hosts)

        return loader

    def view(x):
        """Classes, of logits or as they are."""
        return jnp.argmax(x, -1) if jnp.issubdtype(x.dtype, jnp.floating) else x

    def dice(prediction, target):
        found = metrics.dice(prediction, target.astype(prediction.dtype), classes=len(values))
        return jnp.nanmean(found[:, 1:], axis=1)

    return training.Experiment(
        title=f"segmentation of {len(values) - 1} labels, 3D U-Net on patches",
        learner=learner,
        example=example,
        train=lambda host, hosts: data.training(
            splits().train,
            batch_size=batch_size,
            seed=seed,
            workers=workers,
            on_error=on_error,
            host=host,
            hosts=hosts,
        ),
        evaluation=training.Evaluation(
            validation=held_out("validation"),
            test=held_out("test"),
            prepare=numbered,
            target="label",
            view=view,
            metrics={"dice": training.Metric(dice)},
        ),
        steps=steps,
        seed=seed,
        evaluate_every=500,
        checkpoint_every=500,
        placement=training.Placement.parse(placement),
        predictor=Segment(store, opened.settings, patch, values),
        labels={"network": "3D U-Net"},
        caveats=("Dice is of patches side by side, not of whole cases.",),
        splits={"all": f"{folds} folds by subject, of which fold {fold} is the test set"},
        assignment=lambda: splits().record(),
    )

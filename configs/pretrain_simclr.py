"""SimCLR on tiles of a prepared store of 2D images, without labels.

    medjax data prepare FOLDER stores/tiles
    medjax train configs/pretrain_simclr.py --store stores/tiles --run runs/simclr
    medjax weights export runs/simclr -o encoder.safetensors
    medjax show configs/pretrain_simclr.py --batch-size 4096 --topology v5e:4x4

The recipe is that of Chen et al. 2020 (arXiv:2002.05709, section 2 and appendix B.6) in the
main: ResNet, LARS, a projector of two layers; batch norm sees the global batch. What views
differ in is `medjax.augment.modality_view`'s choice for the modality. Images are about 0 to 1.
Without a store, 'show' works and 'train' does not.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import optax

from medjax import augment, data, learners, training
from medjax.augment.views import modality_view, views
from medjax.core.errors import InputError
from medjax.core.trees import map_named
from medjax.learners.contrastive import encoder_variables, simclr
from medjax.models.classifiers.resnet import ResNet


def experiment(
    *,
    store: str = "",
    modality: str = "histology",
    size: Literal["18", "34", "50", "101", "152"] = "50",
    tile: tuple[int, ...] = (256, 256),
    view: tuple[int, ...] = (224, 224),
    channels: int = 3,
    temperature: float = 0.1,
    precision: Literal["float32", "bfloat16"] = "bfloat16",
    steps: int = 100_000,
    batch_size: int = 64,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-6,
    per_image: int = 1,
    cache: float = 0.0,
    workers: int = 0,
    placement: str = "data",
    on_error: Literal["raise", "skip"] = "raise",
    monitor_every: int = 10,
    checkpoint_every: int = 500,
    seed: int = 0,
) -> training.Experiment:
    """One run.

    Args:
        store: folder or URL, as 'medjax data prepare' makes it.
        modality: of the views, a name of medjax.augment.views.LEAST_CROP.
        size: of the ResNet.
        tile: pixels that are read along each axis.
        view: pixels of a view along each axis.
        channels: of the store's images, where no store is given.
        temperature: of the cosines.
        precision: of the network's computation; parameters are float32.
        steps: of training.
        batch_size: tiles a step, over all devices; each is a negative of all others.
        learning_rate: for 256 tiles a step; it grows with their number.
        weight_decay: of kernels.
        per_image: tiles of each image in an epoch.
        cache: GiB of memory for decoded images, once a host, whatever the workers.
        workers: loader processes.
        placement: of state and batch over the devices, such as data, fsdp or fsdp+tensor:4.
        on_error: stop at a case that cannot be read, or skip and list it.
        monitor_every: steps between looks at rank, uniformity and alignment; 0 for none.
        checkpoint_every: steps between checkpoints.
        seed: of everything random.
    """
    if steps < 1:  # before the schedule is made of it
        raise InputError("--steps", "a number of at least 1", steps)

    archive = data.Archive(store, tile, per_image, cache)
    channels = archive.channels(channels)

    def kernels(params):
        return map_named(lambda path, _: path.endswith("kernel"), params)

    peak = learning_rate * batch_size / 256
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, steps // 10, steps)
    optimizer = optax.lars(
        schedule, weight_decay, weight_decay_mask=kernels, trust_ratio_mask=kernels
    )
    encoder = ResNet.named(size, dtype=jnp.dtype(precision))
    learner = simclr(encoder, optimizer, temperature=temperature)
    if monitor_every:
        learner = learners.monitored(learner, ("first", "second"), every=monitor_every)
    entries = {"image": augment.Image(channels="last")}
    one = modality_view(modality, view, entries=entries)
    learner = learners.augmented(learner, views({"first": one, "second": one}))
    return training.Experiment(
        title=f"SimCLR, ResNet-{size}, tiles of {tile}",
        learner=learner,
        example={
            "image": jax.ShapeDtypeStruct((batch_size, *tile, channels), jnp.float32),
            "index": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        },
        train=archive.training(
            batch_size=batch_size, seed=seed, workers=workers, on_error=on_error
        ),
        steps=steps,
        seed=seed,
        checkpoint_every=checkpoint_every,
        placement=training.Placement.parse(placement),
        pretrained=encoder_variables,
    )

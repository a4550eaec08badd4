"""A masked autoencoder on volumes or images of a prepared store, without labels.

    medjax data prepare FOLDER stores/archive --spacing median --normalise zscore
    medjax train configs/pretrain_mae.py --store stores/archive --run runs/mae
    medjax weights export runs/mae -o encoder.safetensors
    medjax show configs/pretrain_mae.py --size l --batch-size 4096 --placement fsdp \\
        --topology v5e:16x16

The recipe is that of He et al. 2022 (arXiv:2111.06377, table 8), on random crops. Without a
store, 'show' works and 'train' does not. Launchers for many hosts: experiments/pretraining.
"""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from medjax import augment, data, learners, training
from medjax.core.errors import InputError
from medjax.core.trees import map_named
from medjax.learners.predictive import backbone_variables, mae
from medjax.models.pretraining import MAEDecoder
from medjax.models.vit import ViT


def experiment(
    *,
    store: str = "",
    size: Literal["ti", "s", "b", "l", "h"] = "b",
    patch: tuple[int, ...] = (16, 16, 16),
    crop: tuple[int, ...] = (96, 96, 96),
    channels: int = 1,
    hidden: float = 0.75,
    decoder_width: int = 512,
    decoder_depth: int = 8,
    precision: Literal["float32", "bfloat16"] = "bfloat16",
    remat: Literal["none", "dots", "full"] = "full",
    steps: int = 100_000,
    batch_size: int = 64,
    accumulate: int = 1,
    learning_rate: float = 1.5e-4,
    weight_decay: float = 0.05,
    per_volume: int = 4,
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
        size: of the vision transformer.
        patch: voxels that are one token along each axis; two numbers for images.
        crop: voxels that the network sees along each axis.
        channels: of the store's images, where no store is given.
        hidden: share of the patches that is hidden.
        decoder_width: channels of the decoder.
        decoder_depth: blocks of the decoder.
        precision: of the network's computation; parameters are float32.
        remat: what the backward pass computes anew, to save memory.
        steps: of training.
        batch_size: crops a step, over all devices.
        accumulate: micro-batches a step, to save memory.
        learning_rate: for 256 crops a step; it grows with their number.
        weight_decay: of kernels.
        per_volume: crops of each volume in an epoch.
        cache: GiB of memory for decoded volumes, once a host, whatever the workers.
        workers: loader processes.
        placement: of state and batch over the devices, such as data, fsdp or fsdp+tensor:4.
        on_error: stop at a case that cannot be read, or skip and list it.
        monitor_every: steps between looks at rank, uniformity and alignment; 0 for none.
        checkpoint_every: steps between checkpoints.
        seed: of everything random.
    """
    if steps < 1:  # before the schedule is made of it
        raise InputError("--steps", "a number of at least 1", steps)
    if len(patch) != len(crop):
        raise InputError("--patch", f"{len(crop)} numbers, as --crop has", len(patch))

    archive = data.Archive(store, crop, per_volume, cache)
    channels = archive.channels(channels)
    dtype = jnp.dtype(precision)
    encoder = ViT.named(
        size, patch=patch, image_size=crop, positions="sinusoidal", remat=remat, dtype=dtype
    )
    decoder = MAEDecoder(decoder_width, decoder_depth, remat=remat, dtype=dtype)
    peak = learning_rate * batch_size / 256
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, steps // 20, steps)
    optimizer = optax.adamw(
        schedule,
        b2=0.95,
        weight_decay=weight_decay,
        mask=functools.partial(map_named, lambda path, _: path.endswith("kernel")),
    )
    learner = mae(encoder, optimizer, ratio=hidden, decoder=decoder)
    if monitor_every:
        learner = learners.monitored(learner, every=monitor_every)
    learner = learners.accumulated(learner, accumulate) if accumulate > 1 else learner
    entries = {"image": augment.Image(channels="last")}
    flips = [augment.flip(axis, entries=entries) for axis in range(-len(crop), 0)]
    learner = learners.augmented(learner, augment.chain(*flips))
    return training.Experiment(
        title=f"masked autoencoder, ViT-{size.capitalize()}, crops of {crop}",
        learner=learner,
        example={
            "image": jax.ShapeDtypeStruct((batch_size, *crop, channels), jnp.float32),
            "index": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        },
        train=archive.training(
            batch_size=batch_size, seed=seed, workers=workers, on_error=on_error
        ),
        steps=steps,
        seed=seed,
        checkpoint_every=checkpoint_every,
        placement=training.Placement.parse(placement),
        pretrained=backbone_variables,
    )

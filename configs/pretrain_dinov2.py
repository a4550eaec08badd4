"""DINOv2 on tiles of a prepared store of 2D images, without labels.

    medjax data prepare FOLDER stores/tiles
    medjax train configs/pretrain_dinov2.py --store stores/tiles --run runs/dinov2
    medjax weights export runs/dinov2 -o encoder.safetensors
    medjax show configs/pretrain_dinov2.py --size l --batch-size 1024 --placement fsdp \\
        --topology v5e:16x16

The recipe is that of Oquab et al. 2023 (arXiv:2304.07193, table 16) in the main; what views
differ in is `medjax.augment.modality_view`'s choice for the modality. Images are about 0 to 1.
Without a store, 'show' works and 'train' does not.
"""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from medjax import augment, data, learners, training
from medjax.augment.views import modality_view, multi_crop
from medjax.core.errors import InputError
from medjax.core.trees import map_named
from medjax.learners.contrastive import PrototypeHead, cosine, dinov2, encoder_variables
from medjax.models.vit import ViT


def experiment(
    *,
    store: str = "",
    modality: str = "histology",
    size: Literal["ti", "s", "b", "l", "h", "g"] = "s",
    patch: int = 14,
    tile: tuple[int, ...] = (256, 256),
    large: int = 224,
    small: int = 98,
    small_count: int = 8,
    channels: int = 3,
    prototypes: int = 65536,
    precision: Literal["float32", "bfloat16"] = "bfloat16",
    remat: Literal["none", "dots", "full"] = "full",
    steps: int = 100_000,
    batch_size: int = 64,
    learning_rate: float = 4e-3,
    weight_decay: float = 0.04,
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
        size: of the vision transformer.
        patch: pixels that are one token along each axis.
        tile: pixels that are read along each axis.
        large: pixels of a large view.
        small: pixels of a small view.
        small_count: small views of a tile; there are two large ones.
        channels: of the store's images, where no store is given.
        prototypes: logits of each head.
        precision: of the network's computation; parameters are float32.
        remat: what the backward pass computes anew, to save memory.
        steps: of training.
        batch_size: tiles a step, over all devices.
        learning_rate: for 1024 tiles a step; it goes with the root of their number.
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

    encoder = ViT.named(
        size,
        patch=patch,
        image_size=large,
        mask_token=True,
        layer_scale=1e-5,
        drop_path=0.3 if size in "lhg" else 0.1,
        remat=remat,
        dtype=jnp.dtype(precision),
    )
    peak = learning_rate * (batch_size / 1024) ** 0.5
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, steps // 10, steps, 1e-6)
    optimizer = optax.chain(
        optax.clip_by_global_norm(3.0),
        optax.adamw(
            schedule,
            weight_decay=weight_decay,
            mask=functools.partial(map_named, lambda path, _: path.endswith("kernel")),
        ),
    )
    learner = dinov2(
        encoder,
        optimizer,
        projector=PrototypeHead(prototypes),
        patch_projector=PrototypeHead(prototypes),
        momentum=cosine(0.994, 1.0, steps),
        small=augment.views.small_names(small_count),
    )
    if monitor_every:
        learner = learners.monitored(learner, augment.views.LARGE, every=monitor_every)
    entries = {"image": augment.Image(channels="last")}
    wide = modality_view(modality, (large, large), crop=(0.32, 1.0), entries=entries)
    narrow = modality_view(modality, (small, small), crop=(0.05, 0.32), entries=entries)
    learner = learners.augmented(learner, multi_crop(wide, narrow, count=small_count))
    return training.Experiment(
        title=f"DINOv2, ViT-{size.capitalize()}, tiles of {tile}",
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
        pretrained=functools.partial(encoder_variables, teacher=True),
    )

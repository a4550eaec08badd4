"""A diffusion model of the images of a prepared store, in 2D or 3D: DDPM, Fast-DDPM or EDM.

    medjax data prepare FOLDER stores/slices
    medjax train configs/generate_diffusion.py --store stores/slices --run runs/ddpm
    medjax weights export runs/ddpm -o denoiser.safetensors
    medjax show configs/generate_diffusion.py --method edm --size 64 64 64

The learners are those of `medjax.learners.diffusion`, the denoiser DDPM's U-Net with attention
on its two coarsest levels; an average of the parameters is what is kept. The run's folder has
pictures of the same sixteen noises at every so many steps in ``samples/``, and at the end the
film of them. Without a store, 'show' works and 'train' does not.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax import data, learners, training
from medjax.core.errors import InputError
from medjax.learners import diffusion
from medjax.models.generative import DiffusionUNet


def experiment(
    *,
    store: str = "",
    method: Literal["ddpm", "fast_ddpm", "edm"] = "ddpm",
    size: tuple[int, ...] = (64, 64),
    channels: int = 1,
    features: tuple[int, ...] = (64, 128, 256, 256),
    low: float = 0.0,
    high: float = 1.0,
    precision: Literal["float32", "bfloat16"] = "float32",
    remat: Literal["none", "full"] = "none",
    steps: int = 50_000,
    batch_size: int = 32,
    learning_rate: float = 2e-4,
    average: float = 0.9999,
    per_image: int = 1,
    cache: float = 0.0,
    workers: int = 0,
    placement: str = "data",
    on_error: Literal["raise", "skip"] = "raise",
    checkpoint_every: int = 500,
    draw_every: int = 5000,
    draw_levels: int = 100,
    seed: int = 0,
) -> training.Experiment:
    """One run.

    Args:
        store: folder or URL, as 'medjax data prepare' makes it.
        method: DDPM at a thousand levels of noise, at ten (Fast-DDPM), or EDM.
        size: of the images along each axis, two or three numbers.
        channels: of the store's images, where no store is given.
        features: channels of the U-Net's levels, finest first.
        low: brightness that the network sees as -1; darker is cut.
        high: brightness that it sees as 1.
        precision: of the network's computation; parameters are float32.
        remat: whether blocks are computed again in the backward pass, for less memory.
        steps: of training.
        batch_size: images a step, over all devices.
        learning_rate: after a warm-up of 1,000 steps, or a tenth of fewer.
        average: decay of the parameters' average.
        per_image: patches of each image in an epoch.
        cache: GiB of memory for decoded images, once a host, whatever the workers.
        workers: loader processes.
        placement: of state and batch over the devices, such as data or fsdp.
        on_error: stop at a case that cannot be read, or skip and list it.
        checkpoint_every: steps between checkpoints.
        draw_every: steps between pictures.
        draw_levels: of DDPM's thousand, which samples go through; the others have their own.
        seed: of everything random.
    """
    if not low < high:
        raise InputError("--high", f"a number above --low, {low}", high)
    archive = data.Archive(store, size, per_image, cache)
    channels = archive.channels(channels)
    module = DiffusionUNet(
        channels,
        features=features,
        attention=(len(features) - 2, len(features) - 1),
        remat=remat,
        dtype=jnp.dtype(precision),
    )
    warmup = optax.linear_schedule(0.0, learning_rate, min(1000, max(1, steps // 10)))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(warmup))
    make = {"ddpm": diffusion.ddpm, "fast_ddpm": diffusion.fast_ddpm, "edm": diffusion.edm}[method]
    options: dict[str, Any] = {"clip": (-1.0, 1.0)}
    if method == "ddpm":
        levels = diffusion.linear()
        options["sampling"] = diffusion.select(levels, diffusion.few(draw_levels, len(levels)))
    learner = learners.averaged(make(module, optimizer, **options), average)
    drawn = {
        "image": np.zeros((16, *size, channels), np.float32),  # none of which is looked at
        "index": np.arange(16, dtype=np.int32),
    }

    def scaled(key, batch):
        image = 2 * (batch["image"] - low) / (high - low) - 1
        return {**batch, "image": jnp.clip(image, -1, 1)}

    return training.Experiment(
        title=f"{method}, images of {size}",
        learner=learners.augmented(learner, scaled),
        example={
            "image": jax.ShapeDtypeStruct((batch_size, *size, channels), jnp.float32),
            "index": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        },
        train=archive.training(
            batch_size=batch_size, seed=seed, workers=workers, on_error=on_error
        ),
        steps=steps,
        seed=seed,
        checkpoint_every=checkpoint_every,
        samples=training.Samples(batch=drawn, every=draw_every),
        placement=training.Placement.parse(placement),
        pretrained=learners.variables_of,
    )

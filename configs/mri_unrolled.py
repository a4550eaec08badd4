"""Unrolled reconstruction of 4-fold undersampled MRI: MoDL with a U-Net prior.

    medjax train configs/mri_unrolled.py --run runs/demo
    medjax evaluate runs/demo

By default on the ICBM152 T1 template that nilearn's wheel carries (the extra
``demo``), one coil, axial slices at 2 mm in the plane. ``--data-source FOLDER`` trains on
one's own: NIfTI volumes, or fully sampled fastMRI files, split by subject.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from medjax import augment, data, learners, losses, metrics, models, physics, training
from medjax.core.errors import InputError
from medjax.data import icbm152
from medjax.inference import Reconstruct

HDF5 = (".h5", ".hdf5")
PHASE = 0.3  # radians, of the simulated images


def experiment(
    *,
    data_source: str = "icbm152",
    size: tuple[int, int] = (112, 96),
    acceleration: float = 4.0,
    coils: int = 1,
    noise: float = 0.005,
    cascades: int = 4,
    features: tuple[int, ...] = (24, 48, 96),
    shared: bool = False,
    precision: Literal["float32", "bfloat16"] = "float32",
    steps: int = 1000,
    batch_size: int = 2,
    optimizer: Literal["adam", "sgd"] = "adam",
    learning_rate: float = 3e-3,
    average: float = 0.99,
    accumulate: int = 1,
    placement: str = "data",
    workers: int = 0,
    on_error: Literal["raise", "skip"] = "raise",
    checkpoint_every: int = 100,
    seed: int = 0,
) -> training.Experiment:
    """One run.

    Args:
        data_source: "icbm152", or a folder of NIfTI volumes or of fastMRI HDF5 files.
        size: rows and columns of the slices.
        acceleration: columns of k-space over sampled columns.
        coils: simulated receive coils; 1 is a single uniform one.
        noise: standard deviation of k-space noise, for images from 0 to 1.
        cascades: how often network and data consistency alternate.
        features: channels of the U-Net's levels.
        shared: one U-Net for all cascades, as in the paper.
        precision: of the network's computation; parameters are float32.
        steps: of training.
        batch_size: slices a step, over all devices.
        optimizer: adam, or sgd with momentum 0.9.
        learning_rate: peak, after warm-up and before cosine decay.
        average: decay of the parameters' moving average, which is what predicts.
        accumulate: micro-batches a step, to save memory.
        placement: of state and batch over the devices, such as data, fsdp or data+fsdp:8.
        workers: loader processes.
        on_error: stop at a file that cannot be read, or skip and list it.
        checkpoint_every: steps between checkpoints.
        seed: of everything random.
    """
    if steps < 1:  # before the schedule is made of it
        raise InputError("--steps", "a number of at least 1", steps)

    def mask(key, columns):
        centre = max(1, round(0.08 * columns))
        return physics.random_lines(key, columns, acceleration, calibration=centre)

    maps = physics.birdcage(coils, size) if coils > 1 else None
    simulate = augment.retrospective(mask, noise=noise, phase=PHASE, maps=maps)
    module = models.MoDL(
        # Without norms, as is usual in restoration: here worth 1.7 dB at equal steps.
        models.UNet(2, features=features, norm="none", dtype=jnp.dtype(precision)),
        cascades=cascades,
        shared=shared,
    )
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, min(50, steps // 10), steps, 0.01 * learning_rate
    )
    update = optax.adam(schedule) if optimizer == "adam" else optax.sgd(schedule, momentum=0.9)
    learner = learners.supervised(
        module,
        losses.rmse,
        optax.chain(optax.clip_by_global_norm(1.0), update),
        inputs=("kspace", "operator"),
        target="target",
    )
    learner = learners.accumulated(learner, accumulate) if accumulate > 1 else learner
    learner = learners.augmented(
        learner, augment.chain(augment.flip(-1), augment.flip(-2), simulate)
    )
    learner = learners.averaged(learner, average)

    splits = functools.lru_cache(lambda: _splits(data_source, size, seed))
    example = {
        "image": jax.ShapeDtypeStruct((batch_size, *size), _dtype(data_source)),
        "index": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
    }

    def zero_filled(batch, _):
        return batch["operator"].H(batch["kspace"])

    def compressed_sensing(batch, weight):
        return physics.wavelet_l1(
            batch["operator"], batch["kspace"], weight, steps=200, wavelet="haar", levels=4
        )

    def held_out(part):
        return lambda host, hosts: data.evaluation(
            getattr(splits(), part), batch_size=batch_size, host=host, hosts=hosts
        )

    return training.Experiment(
        title=f"{acceleration:g}-fold undersampled MRI, unrolled reconstruction",
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
            prepare=simulate,
            target="target",
            view=jnp.abs,
            metrics={
                "psnr": training.Metric(metrics.psnr, "dB", decimals=2),
                "ssim": training.Metric(metrics.ssim),
                "nmse": training.Metric(metrics.nmse, higher_is_better=False, decimals=4),
            },
            controls={
                "zero_filled": training.Control(zero_filled),
                "compressed_sensing": training.Control(
                    compressed_sensing,
                    candidates=(1e-4, 2e-4, 4e-4, 7e-4, 1e-3, 2e-3, 4e-3),
                    parameter="weight",
                ),
            },
        ),
        steps=steps,
        seed=seed,
        checkpoint_every=checkpoint_every,
        placement=training.Placement.parse(placement),
        predictor=Reconstruct(mask, noise=noise, phase=PHASE, coils=coils),
        labels={
            "zero_filled": "zero-filled",
            "compressed_sensing": "compressed sensing",
            "network": "MoDL",
        },
        caveats=_caveats(data_source),
        splits=_described(data_source),
        assignment=lambda: splits().record(),
    )


def _splits(source: str, size: tuple[int, int], seed: int) -> data.Splits:
    if source == "icbm152":
        return icbm152.splits(shape=size)
    folder = Path(source)
    if not folder.is_dir():
        raise InputError("--data-source", "'icbm152' or a folder", repr(source))
    if _fastmri(source):
        files = data.discover(folder, HDF5)
        return data.by_group(data.FastMRISlices(files, shape=size), seed=seed)
    files = data.discover(folder, (".nii", ".nii.gz"))
    return data.by_group(data.ImageSlices(files, shape=size), seed=seed)


def _fastmri(source: str) -> bool:
    return any(path.suffix in HDF5 for path in Path(source).rglob("*"))


def _dtype(source: str):
    return jnp.complex64 if source != "icbm152" and _fastmri(source) else jnp.float32


def _caveats(source: str) -> tuple[str, ...]:
    simulated = "The scans are simulated from images: Cartesian lines, white noise, smooth phase."
    if source != "icbm152":
        return (simulated,)
    return (
        "A demonstration, not a study: training and test slices are slabs of one average "
        "brain, the ICBM152 template. Nothing here says how the network does on a person.",
        simulated,
    )


def _described(source: str) -> dict[str, str]:
    if source != "icbm152":
        return {"all": "split by subject, 80 / 10 / 10 %"}
    return {
        "volume": "the ICBM152 T1 template, axial slices 1 mm apart",
        "validation": "a slab of 16 slices",
        "test": "another slab of 16 slices",
        "training": "the other slices, save 5 mm on each side of a held-out slab",
    }

"""From T1 to T2: the data, the methods, and what they make of it, kept.

`run.py` here and `experiments/gan_augmentation` share it.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import optax
import short_runs
import simulated_brain

from medjax import learners, losses, models
from medjax.core.files import replacing
from medjax.learners import adversarial
from medjax.models.generative import PatchGAN, TranslationResNet

SIZE, SPACING = 48, 4.0  # pixels, mm
BATCH = 8


def scans(subjects: int) -> dict[str, simulated_brain.Slices]:
    """Training subjects, others whose T2 CycleGAN sees, and the test's."""

    def of(side: str, count: int, seed: int = 0) -> simulated_brain.Slices:
        return simulated_brain.slices(side, count, each=4, size=SIZE, spacing=SPACING, seed=seed)

    return {
        "train": of("train", subjects),
        "others": of("train", subjects, 1),
        "test": of("test", max(2, subjects // 2)),
    }


def batch_of(data: simulated_brain.Slices, others: simulated_brain.Slices | None = None):
    """Batches with ``t1`` and ``t2``, of the same slices or, for ``others``, not of the same."""

    def batch(chosen: np.ndarray) -> dict[str, np.ndarray]:
        second = data if others is None else others
        return {
            "index": chosen.astype(np.int32),
            "t1": simulated_brain.scaled(data.t1[chosen]),
            "t2": simulated_brain.scaled(second.t2[chosen]),
        }

    return batch


def unet() -> models.UNet:
    return models.UNet(1, features=(16, 32, 64))


def adam(steps: int, rate: float, b1: float = 0.5) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(rate, max(2, steps), alpha=0.05), b1=b1)


@functools.cache
def programs(name: str, steps: int) -> short_runs.Programs:
    """A method, compiled once for all seeds."""
    if name == "network":
        learner = learners.supervised(
            unet(), losses.l1, adam(steps, 1e-3, 0.9), inputs=("t1",), target="t2"
        )
    elif name == "pix2pix":
        learner = adversarial.pix2pix(
            unet(),
            PatchGAN((16, 32, 64), norm="instance"),
            adam(steps, 1e-3),
            adam(steps, 2e-4),
            source="t1",
            target="t2",
        )
    else:
        learner = adversarial.cyclegan(
            TranslationResNet(1, (12, 24), blocks=4),
            PatchGAN((16, 32, 64), norm="instance"),
            adam(steps, 1e-3),
            adam(steps, 4e-4),
            first="t1",
            second="t2",
            average=0.99,
        )
    return short_runs.programs(learner)


def translated(name: str, run: short_runs.Programs, state, data) -> np.ndarray:
    """T2 of T1, in brightness."""
    made = short_runs.predicted(run, state, batch_of(data), len(data))
    made = made["t2"] if name == "cyclegan" else made
    return simulated_brain.unscaled(made)


def outputs(
    folder: Path, name: str, data: dict[str, simulated_brain.Slices], steps: int, seed: int
) -> dict[str, np.ndarray]:
    """Translations of the test's and the training slices, kept in a file of the folder."""
    path = folder / f"{name}-{seed}.npz"
    if not path.exists():
        run = programs(name, steps)
        others = data["others"] if name == "cyclegan" else None
        end = short_runs.train(
            run,
            batch_of(data["train"], others),
            len(data["train"]),
            batch_size=BATCH,
            steps=steps,
            seed=seed,
        )
        print(f"{name}, seed {seed}: {steps} steps in {end.seconds:.0f} s", flush=True)
        made = {s: translated(name, run, end.state, data[s]) for s in ("train", "test")}
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, **made, seconds=end.seconds)
    with np.load(path) as kept:
        return dict(kept)

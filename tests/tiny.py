"""A whole experiment, as small as one can be: denoise random 8 x 8 images."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax import data, learners, training
from medjax.augment import keyed

SAMPLES, SIZE = 24, 8


class Net(nn.Module):
    """Two convolutions, with batch norm so that there are other collections too."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(32, (3, 3), use_bias=False)(x[..., None])
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Conv(1, (3, 3))(nn.relu(x))[..., 0]


class Images:
    """A source of fixed random images, each its own subject."""

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        image = rng.random((SIZE, SIZE), dtype=np.float32)
        return {"image": image, "index": np.int32(index)}

    @property
    def groups(self):
        return tuple(str(i) for i in range(SAMPLES))


def noisy(key, batch):
    draw = jax.vmap(lambda k: jax.random.normal(k, (SIZE, SIZE)))
    return {**batch, "noisy": batch["image"] + 0.1 * draw(keyed(key, batch))}


def mse(output, target):
    return jnp.mean((output - target) ** 2, axis=(1, 2))


def learner(wrap: Callable = lambda learner: learner) -> learners.Learner:
    base = learners.supervised(Net(), mse, optax.adam(1e-2), inputs=("noisy",), target="image")
    return learners.augmented(wrap(base), noisy)


def experiment(steps: int = 12, *, batch_size: int = 8, workers: int = 0, **changes):
    """The experiment; keyword arguments replace fields of it."""
    source = Images()

    def held_out(start):
        part = data.Subset(source, range(start, start + 4))
        return lambda host, hosts: data.evaluation(
            part, batch_size=batch_size, host=host, hosts=hosts
        )

    fields = {
        "title": "tiny",
        "learner": learners.averaged(learner(), 0.9),
        "example": {
            "image": jax.ShapeDtypeStruct((batch_size, SIZE, SIZE), jnp.float32),
            "index": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        },
        "train": lambda host, hosts: data.training(
            data.Subset(source, range(16)),
            batch_size=batch_size,
            seed=3,
            workers=workers,
            host=host,
            hosts=hosts,
        ),
        "evaluation": training.Evaluation(
            validation=held_out(16),
            test=held_out(20),
            prepare=noisy,
            target="image",
            metrics={"mse": training.Metric(mse, higher_is_better=False)},
            controls={
                "as_is": training.Control(lambda batch, _: batch["noisy"]),
                "shrunk": training.Control(
                    lambda batch, weight: weight * batch["noisy"] + (1 - weight) * 0.5,
                    candidates=(0.0, 0.5, 0.9, 1.0),
                    parameter="weight",
                ),
            },
        ),
        "steps": steps,
        "log_every": 2,
        "evaluate_every": 6,
        "checkpoint_every": 3,
    }
    return training.Experiment(**{**fields, **changes})


def seen_as(learner: learners.Learner, prepared: Callable) -> learners.Learner:
    """A learner of ``prepared(batch)`` as one of the batch, in all that it does."""
    phases = tuple(
        phase._replace(
            gradients=lambda state, batch, key, phase=phase: phase.gradients(
                state, prepared(batch), key
            )
        )
        for phase in learner.phases
    )
    return learner._replace(
        init=lambda key, batch: learner.init(key, prepared(batch)),
        phases=phases,
        predict=lambda state, batch: learner.predict(state, prepared(batch)),
    )

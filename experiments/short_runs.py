"""What scripts of many short trainings share: the training itself, what is kept, tables.

For trainings of seconds to minutes on arrays in memory. What takes longer belongs in a run
folder, with checkpoints: see `medjax.training.fit`.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from medjax import learners
from medjax.core.files import replacing
from medjax.training import on_all_cores
from medjax.training.protocols.attentive import passes
from medjax.trust.downstream import paired_gain


class Programs(NamedTuple):
    """A learner's functions, compiled when first called and then for all seeds."""

    init: Callable[..., Any]
    step: Callable[..., Any]
    predict: Callable[..., Any]


def programs(learner: learners.Learner) -> Programs:
    """The jitted functions of a learner."""
    options = on_all_cores(jax.default_backend())
    step = jax.jit(learner.step, donate_argnums=0, compiler_options=options)
    predict = jax.jit(learner.predict, compiler_options=options)
    return Programs(jax.jit(learner.init), step, predict)


class Trained(NamedTuple):
    """A training's end.

    Attributes:
        state: the learner's.
        log: scalars of every tenth step and of the last, by name.
        seconds: of all steps but the first, which compiles.
    """

    state: Any
    log: dict[str, list[float]]
    seconds: float


def train(
    run: Programs,
    batch_of: Callable[[np.ndarray], dict[str, np.ndarray]],
    samples: int,
    *,
    batch_size: int,
    steps: int,
    seed: int,
) -> Trained:
    """Train from nothing.

    Args:
        run: of `programs`.
        batch_of: the batch of some indices.
        samples: how many there are.
        batch_size: at most.
        steps: how many.
        seed: of parameters, order and everything random in steps.
    """
    key = jax.random.key(seed)
    order = passes(samples, batch_size, steps, seed)
    # Threefry takes XLA on CPU a second a parameter to compile.
    state = run.init(jax.random.key(seed, impl="rbg"), batch_of(order[0]))
    began = 0.0
    log: dict[str, list[float]] = {}
    for number, chosen in enumerate(order):
        state, scalars = run.step(state, batch_of(chosen), jax.random.fold_in(key, number))
        if number == 0:
            jax.block_until_ready(state)
            began = time.monotonic()
        if number % 10 == 0 or number == steps - 1:
            for name, value in {"step": number, **scalars}.items():
                log.setdefault(name, []).append(float(value))
    jax.block_until_ready(state)
    return Trained(state, log, time.monotonic() - began)


def predicted(
    run: Programs,
    state: Any,
    batch_of: Callable[[np.ndarray], dict[str, np.ndarray]],
    samples: int,
    *,
    batch_size: int = 50,
) -> Any:
    """The learner's outputs for all samples, on the host; one compiled size of batch."""
    parts = []
    for start in range(0, samples, batch_size):
        chosen = np.arange(start, start + batch_size) % samples
        parts.append(jax.device_get(run.predict(state, batch_of(chosen))))
    return jax.tree.map(lambda *x: np.concatenate(x)[:samples], *parts)


def kept(path: Path, compute: Callable[[], Any]) -> Any:
    """What a JSON file holds, or else what ``compute()`` gives, kept there."""
    if not path.exists():
        value = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_text(json.dumps(value))
    return json.loads(path.read_text())


def cell(values: Sequence[float], digits: int = 2) -> str:
    """Mean and, of more than one, standard deviation, for a table."""
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def difference(own: Sequence[float], other: Sequence[float], digits: int = 2) -> str:
    """The mean of differences, seed by seed, with Student's 95 % interval where there are some."""
    if len(own) < 2:
        return f"{np.subtract(own, other).mean():+.{digits}f}"
    gain = paired_gain(np.subtract(own, other))
    low, high = (f"{end:+.{digits}f}" for end in (gain.low, gain.high))
    return f"{gain.mean:+.{digits}f} ({low} to {high})"


def versions() -> dict[str, str]:
    """Of what computed the numbers."""
    found = {package: version(package) for package in ("jax", "flax", "optax", "numpy")}
    return found | {"python": platform.python_version()}


def written(
    folder: Path,
    summary: dict[str, Any],
    text: str,
    *,
    names: tuple[str, str] = ("results.json", "tables.md"),
) -> None:
    """Keep all numbers and the tables as files of these names; print the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(names, (json.dumps(summary), text), strict=True):
        with replacing(folder / name) as draft:
            draft.write_text(content)
    print(text)

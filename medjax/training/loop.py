"""The training loop. There is one, and it reads from top to bottom."""

from __future__ import annotations

import contextlib
import math
import signal
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from medjax.core.errors import InputError, MedjaxError
from medjax.core.progress import progress
from medjax.core.trees import named_leaves

from .checkpoint import Checkpoints
from .evaluate import Judge
from .experiment import Experiment
from .records import Scalars, as_json, read_json, write_json
from .samples import drawing, write_film, write_picture
from .setup import place
from .watch import Unstable, UnstableWarning, Watch

CHECKPOINTS, SPLITS, SKIPPED = "checkpoints", "splits.json", "skipped.json"
UNSTABLE = "unstable.json"


class Stopped(MedjaxError):
    """The run was asked to stop and has saved itself; the same command continues it."""

    def __init__(self, message: str, number: int):
        self.number = number
        super().__init__(message)


class Diverged(MedjaxError):
    """The loss stopped being a number; the last checkpoint is from before."""


def fit(experiment: Experiment, directory: Path, *, shown: bool = True) -> Any:
    """Train until ``experiment.steps``, from the newest checkpoint if there is one.

    A run that is killed and continued ends with the same bits as one that was
    not: the checkpoint holds the state and the position in the data, and every
    random number is keyed by the seed, the step and the sample.

    Args:
        experiment: what to run.
        directory: of the run; holds checkpoints, scalars and events, who is on which
            side of the split, the samples that were skipped, pictures of what the learner
            makes and what its rules found, if any.
        shown: draw a progress bar (on the first host).

    Returns:
        The final state, on the devices.

    Raises:
        Stopped: after SIGTERM or an interrupt, with a checkpoint written.
        Diverged: when the loss is not finite.
        Unstable: when a rule found something and the experiment is to stop then, with a
            checkpoint written.
    """
    first = jax.process_index() == 0
    host, hosts = experiment.placement.host()
    loader = experiment.train(host=host, hosts=hosts)
    data = iter(loader)
    placed = place(experiment)
    init_key, step_key = jax.random.split(jax.random.key(experiment.seed))

    directory.mkdir(parents=True, exist_ok=True)
    if first:
        _require_same_split(experiment, directory)
    with (
        Checkpoints(directory / CHECKPOINTS, clean=True) as checkpoints,
        _stop_signals() as stopping,
    ):
        start = checkpoints.latest or 0
        if start >= experiment.steps:
            return checkpoints.restore(start, placed.shapes)
        state = checkpoints.restore(start, placed.shapes, data) if start else None
        batch = placed.put(next(data))
        _require_as_promised(batch, placed.batch)
        if state is None:
            state = placed.init(init_key, batch)

        judge = None if experiment.evaluation is None else Judge(experiment, placed)
        samples = experiment.samples
        draw = samples and drawing(samples, experiment.learner.predict, placed.mesh)
        watch = Watch(experiment.rules)
        record = Scalars(directory, start) if first else None
        offset = record.seconds if record else 0.0
        began = time.monotonic()
        with (
            contextlib.closing(record) if record else contextlib.nullcontext(),
            progress("training", experiment.steps, shown=shown and first) as update,
        ):
            text = "compiling"
            update(start, text)
            for step in range(start + 1, experiment.steps + 1):
                state, scalars = placed.step(state, batch, jax.random.fold_in(step_key, step))
                last = step == experiment.steps
                stop = _agreed(stopping(), step)
                leaving = last or stop != 0
                save = leaving or step % experiment.checkpoint_every == 0
                values, trouble = {}, []
                if save or step % experiment.log_every == 0:  # what is saved is finite
                    values = _numbers(scalars, step)
                    text = f"loss {values['loss']:.4g}" if "loss" in values else ""
                    if trouble := watch(values):
                        _report(trouble, experiment.on_unstable, directory, step, first)
                        if experiment.on_unstable == "stop":
                            leaving = save = True
                if judge and (last or step % experiment.evaluate_every == 0):
                    validation, picture = judge.validate(state)
                    values |= {f"validation/{k}": v for k, v in validation.items()}
                    text = text.partition("  ")[0]
                    text += "".join(f"  {k} {v:.4g}" for k, v in validation.items())
                    if record:
                        record.image(step, "validation/image", picture)
                if draw and (last or step % samples.every == 0):
                    drawn = draw(state)
                    if first:
                        write_picture(directory, step, drawn)
                if values and record:
                    record.write(step, offset + time.monotonic() - began, values)
                if save:
                    # Before the next batch is drawn: the iterator is at this step.
                    checkpoints.save(step, state, data, wait=leaving)
                    if first and getattr(data, "skipped", None):
                        write_json(directory / SKIPPED, data.skipped)
                if stop:
                    raise Stopped(
                        f"{directory}: stopped at step {step}, saved; run again to go on", stop
                    )
                if trouble and experiment.on_unstable == "stop" and not last:
                    raise Unstable(
                        f"{directory}: {'; '.join(trouble)} at step {step}, saved; run again to "
                        "go on for as long as it is well"
                    )
                if not last:
                    batch = placed.put(next(data))  # while the devices compute
                update(step, text)
    if draw and first:
        write_film(directory)
    return state


def _report(found: list[str], policy: str, directory: Path, step: int, first: bool) -> None:
    """Write down what the rules found, and say it where the run goes on."""
    if not first:
        return
    path = directory / UNSTABLE
    before = read_json(path) if path.exists() else []
    kept = [one for one in before if one["step"] < step]  # a kill undid what came later
    write_json(path, kept + [{"step": step, "found": text} for text in found])
    if policy == "warn":
        warnings.warn(f"step {step}: {'; '.join(found)}", UnstableWarning, stacklevel=3)


def _require_same_split(experiment: Experiment, directory: Path) -> None:
    """Keep who is on which side; a run that went on with another split would have leaked."""
    if experiment.assignment is None:
        return
    path, sides = directory / SPLITS, as_json(experiment.assignment())
    if path.exists() and (directory / CHECKPOINTS).exists() and read_json(path) != sides:
        raise InputError(path, "the split that the run began with", "another: the data changed")
    write_json(path, sides)


def _require_as_promised(batch: Any, example: Any) -> None:
    def shapes(tree: Any) -> dict[str, str]:
        return {name: f"{leaf.dtype} {leaf.shape}" for name, leaf in named_leaves(tree)}

    if shapes(batch) != shapes(example):
        raise InputError(
            "training batch", f"{shapes(example)}, the config's example", shapes(batch)
        )


def _numbers(scalars: Mapping[str, Any], step: int) -> dict[str, float]:
    values = {name: float(value) for name, value in jax.device_get(scalars).items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise Diverged(
                f"{name}: expected a finite number at step {step}, got {value}; "
                "try a lower learning rate"
            )
    return values


@contextlib.contextmanager
def _stop_signals() -> Iterator[Any]:
    """Ask which of SIGTERM and interrupt came, if any; a second one ends the process as usual."""
    came: list[int] = []

    def remember(number, frame):
        came.append(number)
        signal.signal(number, before[number])

    try:
        before = {n: signal.signal(n, remember) for n in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: signals are somebody else's
        yield lambda: 0
        return
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _agreed(stop: int, step: int) -> int:
    """The signal all hosts stop for now, or 0: a checkpoint is written by all or by none."""
    if jax.process_count() == 1:
        return stop
    # Asking everyone costs a round trip, so only now and then.
    if step % _ASK_EVERY:
        return 0
    return int(np.max(multihost_utils.process_allgather(np.asarray(stop))))


_ASK_EVERY = 10

"""Judging a state: metrics of the learner and of its controls, sample by sample."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from medjax.core.errors import InputError
from medjax.core.progress import progress
from medjax.core.types import Array, Batch

from .experiment import Experiment, Loader
from .setup import Placed

NETWORK = "network"
"""The learner's name among the methods."""


class Results(NamedTuple):
    """What an evaluation found.

    Attributes:
        index: of each sample in its source, ``(samples,)``.
        values: method to metric to one value a sample, ``(samples,)``.
        chosen: control to the value of its parameter that validation chose.
        milliseconds: method to the median time a sample took. The first batch, which
            may hold the compilation, counts only where it is the only one.
    """

    index: np.ndarray
    values: dict[str, dict[str, np.ndarray]]
    chosen: dict[str, float]
    milliseconds: dict[str, float]

    def means(self) -> dict[str, dict[str, float]]:
        """Method to metric to the mean over the samples that can be scored."""
        return {
            method: {metric: finite_mean(v) for metric, v in metrics.items()}
            for method, metrics in self.values.items()
        }


def finite_mean(values: np.ndarray) -> float:
    """The mean of the finite values, NaN if there is none.

    An empty slice has no PSNR and a perfect one an infinite one; neither may hide
    what the others say.
    """
    finite = values[np.isfinite(values)]
    return float(np.mean(finite)) if finite.size else float("nan")


class Judge:
    """Evaluates an experiment's learner and controls; compiles each once.

    Args:
        experiment: with its evaluation.
        placed: the same experiment on its mesh.

    Raises:
        InputError: for an experiment without one.
    """

    def __init__(self, experiment: Experiment, placed: Placed):
        if experiment.evaluation is None:
            raise InputError(experiment.title, "an experiment with an evaluation", "none")
        self.experiment, self.evaluation, self.placed = experiment, experiment.evaluation, placed
        # Held-out data is simulated from a key of its own, the same at every step.
        self.key = jax.random.fold_in(jax.random.key(experiment.seed), 0xE7A1)
        self._controls = {
            name: jax.jit(functools.partial(self._output, control.function))
            for name, control in self.evaluation.controls.items()
        }
        self._network = jax.jit(
            functools.partial(
                self._output, lambda batch, state: experiment.learner.predict(state, batch)
            )
        )
        self._score = jax.jit(self._scores)
        self._prepare = jax.jit(self.evaluation.prepare)

    def validate(self, state: Any) -> tuple[dict[str, float], np.ndarray]:
        """The learner on the validation data: mean metrics, and a picture of the first
        sample, output beside target, from 0 to 1."""
        predict = functools.partial(self._network, value=state)
        values, _, _ = self._run(predict, self.evaluation.validation)
        _, prepared = next(self._batches(self.evaluation.validation))
        pair = [predict(prepared), self.evaluation.view(prepared[self.evaluation.target])]
        pair = [_local(p)[0] for p in pair]
        picture = np.concatenate([_plane(p) for p in pair], axis=-1)
        if self.evaluation.origin == "lower":
            picture = picture[::-1]
        return {k: finite_mean(v) for k, v in values.items()}, picture / max(picture.max(), 1e-12)

    def test(self, state: Any, *, shown: bool = True) -> Results:
        """The learner and every control on the test data, each control's parameter
        chosen on the validation data."""
        methods: dict[str, Callable[..., Array]] = {}
        chosen: dict[str, float] = {}
        values: dict[str, dict[str, np.ndarray]] = {}
        milliseconds: dict[str, float] = {}
        controls = self.evaluation.controls
        total = sum(len(c.candidates) > 1 for c in controls.values()) + len(controls) + 1
        with progress("evaluating", total, shown=shown and jax.process_index() == 0) as update:
            done = 0
            for name, control in controls.items():
                value = control.candidates[0]
                if len(control.candidates) > 1:
                    update(done, f"choosing {control.parameter} of {name}")
                    chosen[name] = value = self._choose(name)
                    done += 1
                methods[name] = functools.partial(self._controls[name], value=np.float32(value))
            methods[NETWORK] = functools.partial(self._network, value=state)
            for name, method in methods.items():
                update(done, name)
                values[name], index, milliseconds[name] = self._run(method, self.evaluation.test)
                done += 1
            update(done, "")
        return Results(index, values, chosen, milliseconds)

    def pictures(
        self, state: Any, results: Results, index: int
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Target and every method's output for one test sample, as they are compared;
        of 3D ones the middle plane."""
        for batch, prepared in self._batches(self.evaluation.test):
            found = np.flatnonzero(_local(batch["index"]) == index)
            if len(found) == 0:
                continue
            row = found[0]
            outputs = {}
            for name, control in self.evaluation.controls.items():
                value = np.float32(results.chosen.get(name, control.candidates[0]))
                outputs[name] = self._controls[name](prepared, value=value)
            outputs[NETWORK] = self._network(prepared, value=state)
            target = self.evaluation.view(prepared[self.evaluation.target])
            return _plane(_local(target)[row]), {
                name: _plane(_local(output)[row]) for name, output in outputs.items()
            }
        raise KeyError(f"no test sample has index {index}")

    def _choose(self, name: str) -> float:
        metric = next(iter(self.evaluation.metrics))
        sign = 1 if self.evaluation.metrics[metric].higher_is_better else -1
        scores = {}
        for value in self.evaluation.controls[name].candidates:
            method = functools.partial(self._controls[name], value=np.float32(value))
            values, _, _ = self._run(method, self.evaluation.validation)
            scores[value] = sign * finite_mean(values[metric])
        scored = {value: score for value, score in scores.items() if np.isfinite(score)}
        if not scored:
            expected = f"a finite {metric} of {name} on the validation data"
            raise InputError(
                f"{name}: {self.evaluation.controls[name].parameter}", expected, "none"
            )
        return max(scored, key=scored.__getitem__)

    def _output(self, function: Callable[[Batch, Any], Any], batch: Batch, value: Any) -> Array:
        return self.evaluation.view(function(batch, value))

    def _scores(self, output: Array, batch: Batch) -> dict[str, Array]:
        target = self.evaluation.view(batch[self.evaluation.target])
        return {name: m.function(output, target) for name, m in self.evaluation.metrics.items()}

    def _batches(self, loader: Loader) -> Iterator[tuple[Batch, Batch]]:
        host, hosts = self.experiment.placement.host()
        for batch in loader(host=host, hosts=hosts):
            placed = self.placed.put(batch)
            yield placed, self._prepare(self.key, placed)

    def _run(
        self, method: Callable[..., Array], loader: Loader
    ) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
        values: dict[str, list[np.ndarray]] = {name: [] for name in self.evaluation.metrics}
        indices, times = [], []
        for batch, prepared in self._batches(loader):
            jax.block_until_ready(prepared)
            began = time.monotonic()
            output = jax.block_until_ready(method(prepared))
            seconds = time.monotonic() - began
            valid = _local(batch["valid"])
            times.append(seconds * 1e3 / len(valid))
            for name, score in self._score(output, prepared).items():
                values[name].append(_local(score)[valid])
            indices.append(_local(batch["index"])[valid])
        # The first batch of a method may hold its compilation.
        median = float(np.median(times[1:] or times))
        return {k: np.concatenate(v) for k, v in values.items()}, np.concatenate(indices), median


def _local(x: Array) -> np.ndarray:
    """A global array whole, on every host."""
    if x.is_fully_addressable:
        return np.asarray(x)
    return np.asarray(multihost_utils.process_allgather(x, tiled=True))


def _plane(x: np.ndarray) -> np.ndarray:
    """The middle plane of a 3D image; a 2D image as it is."""
    return x if x.ndim == 2 else _plane(x[x.shape[0] // 2])

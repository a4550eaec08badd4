"""From an experiment to compiled functions with everything placed on a mesh."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from medjax.core.types import Array, Batch, Key

from .activations import split_by_sample
from .checkpoint import abstract
from .experiment import Experiment


class Placed(NamedTuple):
    """An experiment on a mesh.

    Attributes:
        mesh: the devices.
        shapes: the state's shapes, each with its sharding; nothing is allocated.
        batch: likewise of a training batch.
        init: ``(key, batch) -> state``, made where it is to live.
        step: ``(state, batch, key) -> (state, scalars)``; the state is donated.
        put: a host's batch onto the devices.
    """

    mesh: Mesh
    shapes: Any
    batch: Batch
    init: Callable[[Key[Array, ""], Batch], Any]
    step: Callable[[Any, Batch, Key[Array, ""]], tuple[Any, dict[str, Array]]]
    put: Callable[[Batch], Batch]


def place(experiment: Experiment, devices: Sequence[Any] | None = None) -> Placed:
    """Work out where everything lives and jit the learner's functions for it.

    Args:
        experiment: what to run.
        devices: real ones or those of a topology; by default all there are.

    Raises:
        InputError: if the batch does not divide over the devices.
    """
    placement, learner = experiment.placement, experiment.learner
    mesh = placement.mesh(devices)
    key = jax.eval_shape(lambda: jax.random.key(0))
    shapes = jax.eval_shape(learner.init, key, experiment.example)
    state = placement.state(mesh, shapes)
    copied = NamedSharding(mesh, PartitionSpec())
    batch = placement.batch(mesh)
    for leaf in jax.tree.leaves(experiment.example):
        placement.require_divisible(mesh, leaf.shape[0])
    return Placed(
        mesh=mesh,
        shapes=abstract(shapes, state),
        batch=abstract(experiment.example, jax.tree.map(lambda _: batch, experiment.example)),
        init=jax.jit(
            learner.init,
            in_shardings=(copied, batch),
            out_shardings=state,
            compiler_options=_quick(mesh),
        ),
        step=jax.jit(
            split_by_sample(learner.step, placement, mesh),
            donate_argnums=0,
            in_shardings=(state, batch, copied),
            out_shardings=(state, copied),
            compiler_options=on_all_cores(mesh.devices.flat[0].platform),
        ),
        put=lambda batch: placement.put(mesh, batch),
    )


@functools.cache
def on_all_cores(platform: str) -> dict[str, str] | None:
    """Options for a program that runs many times: on CPU, convolutions on all cores.

    XLA of jaxlib 0.10 hands convolutions and sums, and what is done to their results, to a
    library that runs them on one core. Networks on larger images gain without it; those on tiny
    ones may lose a tenth (``experiments/benchmarks/cores.py``). None on other platforms, and
    where XLA knows no such option.
    """
    if platform != "cpu":
        return None
    options = {"xla_cpu_experimental_ynn_fusion_type": ""}
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return options


def _quick(mesh: Mesh) -> dict[str, int] | None:
    """Options for a program that runs once: every random array's generator is compiled on
    its own, and on CPU that takes three times as long as need be for the same bits."""
    platform = mesh.devices.flat[0].platform
    return {"xla_backend_optimization_level": 1} if platform == "cpu" else None

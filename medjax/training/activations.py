"""Activations stay with their samples, wherever the parameters are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from medjax.core.types import Array
from medjax.layers.intercept import changed_outputs

from .placement import Placement


def split_by_sample(
    step: Callable[..., Any], placement: Placement, mesh: Mesh
) -> Callable[..., Any]:
    """A step whose networks keep their activations split as the batch is.

    The partitioner is free to choose, and where parameters are split over ``data`` it may
    split channels over it too and hold the whole batch on every device: a ViT-B on 16 chips
    then sent tens of gigabytes of activations a step, where gathering its parameters takes
    0.6. So the first axis of what every module returns is tied to the batch's devices; the
    other axes are left to the partitioner, which splits them over ``model`` where the
    parameters are.

    Args:
        step: ``(state, batch, key) -> (state, scalars)``, to be traced.
        placement: of the batch.
        mesh: of devices.

    Returns:
        A function of the same arguments and values.
    """
    parts = placement.parts(mesh)
    if parts == 1:
        return step
    (axes,) = placement.batch(mesh).spec

    @functools.wraps(step)
    def constrained(state: Any, batch: Any, key: Array) -> tuple[Any, dict[str, Array]]:
        size = jax.tree.leaves(batch)[0].shape[0]

        def constrain(x: Array) -> Array:
            # Several views a sample, or windows, are multiples of it; micro-batches divide it.
            n = x.shape[0] if x.ndim else 0
            if not n or n % parts or (n % size and size % n):
                return x
            spec = PartitionSpec(axes, *[PartitionSpec.UNCONSTRAINED] * (x.ndim - 1))
            return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec))

        with changed_outputs(constrain):
            return step(state, batch, key)

    return constrained

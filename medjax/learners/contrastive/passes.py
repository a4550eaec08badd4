"""Views through a student's and a teacher's network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from medjax.core.types import Array, Key, PyTree
from medjax.learners.learner import State

from .pretrain import MEMORY, TEACHER


def passes(
    module: Any,
    params: PyTree,
    collections: Mapping[str, PyTree],
    views: Sequence[Any],
    key: Key[Array, ""],
    *,
    method: str = "__call__",
) -> tuple[list[Any], dict[str, PyTree]]:
    """Views through a module in training; those of one shape as one batch.

    Batch norm's statistics are then those of all these views. Views of a sample lie side by
    side in that batch, so that no sample leaves the device that it is on.

    Args:
        module: a Flax module.
        params: of it.
        collections: its others.
        views: the method's argument before ``train``: arrays, or tuples of arrays and Nones.
        key: of dropout, folded with the number of the pass.
        method: of the module.

    Returns:
        What the method gives for each view, and the collections after all passes.
    """
    arguments = [view if isinstance(view, tuple) else (view,) for view in views]
    kinds: dict[Any, list[int]] = {}
    for number, one in enumerate(arguments):
        leaves, structure = jax.tree.flatten(one)
        kind = (structure, *((x.shape, x.dtype) for x in leaves))
        kinds.setdefault(kind, []).append(number)
    outputs: list[Any] = [None] * len(views)
    for turn, members in enumerate(kinds.values()):
        count = len(members)
        joined = jax.tree.map(
            lambda *x: jnp.stack(x, 1).reshape(-1, *x[0].shape[1:]),
            *(arguments[member] for member in members),
        )
        output, after = module.apply(
            {"params": params, **collections},
            *joined,
            train=True,
            method=method,
            mutable=list(collections),
            rngs={"dropout": jax.random.fold_in(key, turn)},
        )
        collections = {**collections, **after}
        for place, member in enumerate(members):
            outputs[member] = jax.tree.map(
                lambda x, place=place, count=count: x.reshape(-1, count, *x.shape[1:])[:, place],
                output,
            )
    return outputs, dict(collections)


def teacher_passes(
    module: Any, state: State, views: Sequence[Any], key: Key[Array, ""], *, method: str = "project"
) -> tuple[list[Any], dict[str, PyTree]]:
    """As `passes`, of the teacher; no gradient reaches it.

    Dropout has another key than the student's. Like the student it normalises by the batch.
    """
    params, collections = jax.lax.stop_gradient(
        (state.extras[TEACHER], state.variables[MEMORY][TEACHER])
    )
    key = jax.random.fold_in(key, _TEACHER)
    outputs, after = passes(module, params, collections, views, key, method=method)
    return jax.lax.stop_gradient(outputs), after


_TEACHER = 0x7EAC  # folded into the key for the teacher's dropout

"""Checkpoints: the state and the place in the data together, written in the background.

The only file that imports Orbax. A checkpoint is a tree of arrays with JSON
beside it; reading one runs no code. One that was being written when the process
died is not there: it counts only with the marker that Orbax writes last.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint.experimental.v1 as ocp

from medjax.core.errors import InputError
from medjax.core.trees import named_leaves

logging.getLogger("absl").setLevel(logging.ERROR)


class Checkpoints:
    """The checkpoints of one run.

    Args:
        directory: of the checkpoints; made when the first is written.
        keep: how many of the latest to keep.
        clean: remove what a killed process left half-written. Only for the one who
            writes: a reader would remove what is being written.

    Use as a context manager: leaving it waits for the write in progress.
    """

    def __init__(self, directory: Path, keep: int = 2, clean: bool = False):
        policies = ocp.training.save_decision_policies
        self.directory = Path(directory).absolute()
        self._checkpointer = ocp.training.Checkpointer(
            self.directory,
            save_decision_policy=policies.AnySavePolicy([]),  # the loop decides
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=clean,
        )

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exc: object) -> None:
        self._checkpointer.close()

    @property
    def latest(self) -> int | None:
        """The step of the newest complete checkpoint."""
        newest = self._checkpointer.latest
        return None if newest is None else newest.step

    def save(self, step: int, state: Any, iterator: Any, *, wait: bool = False) -> None:
        """Start writing; return as soon as the arrays are copied, or wait for the disk.

        Args:
            step: of the state.
            state: arrays on the devices.
            iterator: has ``get_state() -> {name: number}``, the same on all hosts.
            wait: for the disk.
        """
        place = {name: np.asarray(value) for name, value in iterator.get_state().items()}
        response = self._checkpointer.save_checkpointables_async(
            step, {"state": state, "data": place}, force=True
        )
        if wait and response is not None:
            response.result()

    def restore(self, step: int, shapes: Any, iterator: Any | None = None) -> Any:
        """The state at ``step``; the iterator, if given, is moved to where it was.

        Args:
            step: of a checkpoint that is there.
            shapes: the state's shapes with a sharding on every leaf; the arrays
                land in that layout, whatever the one they were saved in.
            iterator: of the same data, for any number of hosts and workers.

        Raises:
            InputError: if the checkpoint is damaged or holds another model.
        """
        path = self.directory / str(step)
        with _readable(path):
            saved = self._checkpointer.checkpointables_metadata(step).metadata["state"]
            _require_same(path, saved, shapes)
            wanted = {"state": shapes}
            if iterator is not None:
                wanted["data"] = {k: np.asarray(v) for k, v in iterator.get_state().items()}
            found = self._checkpointer.load_checkpointables(step, wanted)
            if iterator is not None:
                iterator.set_state({name: int(value) for name, value in found["data"].items()})
            return found["state"]


@contextlib.contextmanager
def _readable(path: Path):
    """Turn whatever a damaged file makes Orbax or TensorStore raise into one line."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, KeyError, OSError, TypeError, AttributeError, RuntimeError) as error:
        first = str(error).strip().partition("\n")[0][:120]
        got = f"one that cannot be read ({type(error).__name__}: {first})"
        raise InputError(path, "a complete checkpoint of this experiment", got) from error


def _require_same(path: Path, saved: Any, shapes: Any) -> None:
    """Name the first leaf that differs: most often a parameter of the config did."""
    saved = {name: tuple(leaf.shape) for name, leaf in named_leaves(saved)}
    wanted = {name: tuple(leaf.shape) for name, leaf in named_leaves(shapes)}
    for name in sorted(saved.keys() | wanted.keys()):
        if saved.get(name) != wanted.get(name):
            expected = f"{name} of shape {wanted[name]}" if name in wanted else f"no {name}"
            got = f"shape {saved[name]}" if name in saved else "none"
            raise InputError(path, f"{expected}, as this config has it", got)


def abstract(shapes: Any, shardings: Any) -> Any:
    """Shapes with a sharding on every leaf, as `Checkpoints.restore` wants them."""
    return jax.tree.map(
        lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), shapes, shardings
    )

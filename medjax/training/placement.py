"""Where arrays live: a mesh with axes ``replica``, ``data`` and ``model``, and ordered rules.

A placement says how many devices each axis has and, by patterns over the paths of the
state's leaves, how each leaf is laid out. Everything else is `jax.jit` with shardings: the
partitioner finds the communication, and the same program runs on one device or on a pod.

Batches are split over ``replica`` and ``data``. Fully sharded states are split over
``data``, and copied over ``replica``; tensor parallel ones over ``model``. A config says it
in one line, which `Placement.parse` reads: ``"fsdp"``, ``"data+fsdp:8"``, ``"fsdp+tensor:4"``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from medjax.core.errors import InputError
from medjax.core.trees import map_named
from medjax.core.types import Batch

from .rules import FULLY_SHARDED, Rule, replicate, shard_largest, tensor_parallel

__all__ = [
    "PLACEMENTS",
    "Placement",
    "Rule",
    "data_parallel",
    "fully_sharded",
    "replicate",
    "replicated",
    "shard_largest",
]

AXES = ("replica", "data", "model")


@dataclass(frozen=True)
class Placement:
    """A mesh and the rules for what lives where on it.

    Attributes:
        data: devices on the ``data`` axis; -1 takes all that are left.
        model: devices on the ``model`` axis.
        rules: ``(pattern, rule)`` in order; the first pattern found in a leaf's
            path (``re.search``) decides, and no match means a copy everywhere.
        shard_batch: split batches over ``replica`` and ``data``, else copy them.
        replica: devices on the ``replica`` axis; -1 takes all that are left.
    """

    data: int = -1
    model: int = 1
    rules: Sequence[tuple[str, Rule]] = ()
    shard_batch: bool = True
    replica: int = 1

    @classmethod
    def parse(cls, text: str) -> Placement:
        """The placement that a line of a config means.

        Args:
            text: words joined by ``+``, each with a number of devices, ``:N``, or, one of
                them, without, which is for all that are left.
                ``data`` splits batches and copies the state; ``fsdp`` splits the state too;
                both together copy it from group to group and split it within each;
                ``tensor:N`` splits transformers, beside ``data`` where no other is named;
                ``replicated``, alone, copies all. ``data_parallel`` and ``fully_sharded``
                are ``data`` and ``fsdp``.

        Raises:
            InputError: for anything else.
        """
        expected = "words such as fsdp, data+fsdp:8 or fsdp+tensor:4"
        if text == "replicated":
            return replicated()
        sizes: dict[str, int] = {}
        for term in text.split("+"):
            word, colon, number = term.strip().partition(":")
            word = {"data_parallel": "data", "fully_sharded": "fsdp"}.get(word, word)
            known = word in ("data", "fsdp", "tensor") and word not in sizes
            if not known or (colon and not re.fullmatch(r"[1-9]\d*", number)):
                raise InputError("placement", expected, repr(text))
            sizes[word] = int(number) if colon else -1
        if "fsdp" not in sizes:
            sizes.setdefault("data", -1)
        if sizes.get("tensor") == -1 or list(sizes.values()).count(-1) > 1:
            raise InputError("placement", "a number of devices for all words but one", repr(text))
        split = "fsdp" in sizes
        rest = FULLY_SHARDED if split else ()
        rules = tensor_parallel(rest) if "tensor" in sizes else rest
        return cls(
            data=sizes["fsdp"] if split else sizes["data"],
            model=sizes.get("tensor", 1),
            rules=rules,
            replica=sizes.get("data", 1) if split else 1,
        )

    def mesh(self, devices: Sequence[Any] | None = None) -> Mesh:
        """The mesh over these devices, by default all.

        Raises:
            InputError: if the numbers do not fit the number of devices.
        """
        devices = list(jax.devices() if devices is None else devices)
        sizes = [self.replica, self.data, self.model]
        if -1 in sizes:
            sizes[sizes.index(-1)] = len(devices) // max(1, -int(np.prod(sizes)))
        if min(sizes) < 1 or int(np.prod(sizes)) != len(devices):
            wanted = f"{' x '.join(AXES)} devices to be {len(devices)}, the number there is"
            got = (self.replica, self.data, self.model)
            raise InputError("placement", wanted, " x ".join(map(str, got)))
        # Auto, not Explicit: Linen's convolutions have no rule for explicit axes.
        return jax.make_mesh(tuple(sizes), AXES, (AxisType.Auto,) * len(AXES), devices=devices)

    def state(self, mesh: Mesh, shapes: Any) -> Any:
        """A sharding for each leaf of the state, given its shapes."""

        def place(path: str, leaf: Any) -> NamedSharding:
            for pattern, rule in self.rules:
                if re.search(pattern, path):
                    return NamedSharding(mesh, rule(leaf.shape, mesh))
            return NamedSharding(mesh, PartitionSpec())

        return map_named(place, shapes)

    def parts(self, mesh: Mesh) -> int:
        """Into how many parts a batch is split."""
        return mesh.shape["replica"] * mesh.shape["data"] if self.shard_batch else 1

    def host(self, mesh: Mesh | None = None) -> tuple[int, int]:
        """Which part of every global batch this process loads: ``(part, parts)``.

        Processes whose devices differ only along ``model`` load the same; what is copied
        everywhere is loaded whole by everyone.

        Args:
            mesh: by default over all devices.

        Raises:
            InputError: if the processes' devices do not divide a batch into equal parts.
        """
        if not self.shard_batch or jax.process_count() == 1:
            return 0, 1
        mesh = self.mesh() if mesh is None else mesh
        rows = mesh.devices.reshape(-1, mesh.shape["model"])
        owned: dict[int, list[int]] = {}
        for index, row in enumerate(rows):
            for process in {device.process_index for device in row}:
                owned.setdefault(process, []).append(index)
        groups = sorted({tuple(indices) for indices in owned.values()})
        if sorted(index for group in groups for index in group) != list(range(len(rows))):
            expected = "whole processes along every axis"
            raise InputError("placement", expected, f"model={self.model} across their devices")
        return groups.index(tuple(owned[jax.process_index()])), len(groups)

    def batch(self, mesh: Mesh) -> NamedSharding:
        """The sharding of every array in a batch: first axis over ``replica`` and ``data``."""
        spec = PartitionSpec(("replica", "data")) if self.shard_batch else PartitionSpec()
        return NamedSharding(mesh, spec)

    def require_divisible(self, mesh: Mesh, batch_size: int) -> None:
        """Raise `InputError` if a global batch does not divide over its part of the mesh."""
        parts = self.parts(mesh)
        if batch_size % parts:
            raise InputError("batch_size", f"a multiple of the {parts} devices", batch_size)

    def put(self, mesh: Mesh, batch: Batch) -> Batch:
        """This host's part of a batch, onto its devices, as global arrays."""
        sharding = self.batch(mesh)
        _, hosts = self.host(mesh)

        def one(x: np.ndarray) -> jax.Array:
            size = x.shape[0] * hosts
            self.require_divisible(mesh, size)
            return jax.make_array_from_process_local_data(sharding, x, (size, *x.shape[1:]))

        return jax.tree.map(one, dict(batch))


def replicated() -> Placement:
    """Everything on every device: each does all the work. A baseline to compare with."""
    return Placement(shard_batch=False)


def data_parallel() -> Placement:
    """A copy of the state on every device, the batch split over them."""
    return Placement()


def fully_sharded() -> Placement:
    """Parameters, optimiser state and averages split too (ZeRO stage 3, FSDP).

    Rajbhandari et al. 2020 (arXiv:1910.02054); each layer is gathered when it is needed.
    """
    return Placement(rules=FULLY_SHARDED)


PLACEMENTS = {
    "replicated": replicated,
    "data_parallel": data_parallel,
    "fully_sharded": fully_sharded,
}
"""By the name that a config takes."""

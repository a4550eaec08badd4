"""How one array is laid out over a mesh: rules from a shape to a `PartitionSpec`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jax.sharding import Mesh, PartitionSpec

Rule = Callable[[tuple[int, ...], Mesh], PartitionSpec]
"""From a leaf's shape and the mesh to its layout."""


def replicate(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    """A copy on every device."""
    return PartitionSpec()


def shard_largest(axis: str = "data", smallest: int = 2**10) -> Rule:
    """Split the largest dimension that the mesh axis divides; small leaves are copied.

    Args:
        axis: of the mesh.
        smallest: elements that a part has at least; leaves that would be split finer are
            copied, since gathering them takes longer than their memory is worth.
    """

    def rule(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
        parts = mesh.shape[axis]
        fits = [i for i, n in enumerate(shape) if n % parts == 0]
        if not fits or math.prod(shape) < smallest * parts:
            return PartitionSpec()
        # The last among equals: channels, which every consumer reads whole.
        largest = max(fits, key=lambda i: (shape[i], i))
        return PartitionSpec(*(axis if i == largest else None for i in range(len(shape))))

    return rule


def shard_dimension(dimension: int, axis: str = "model", rest: Rule = replicate) -> Rule:
    """Split one dimension, and what remains of the leaf by another rule.

    Args:
        dimension: counted from the last, -1: leaves of stacked layers have one more in front.
        axis: of the mesh. A dimension that it does not divide is left to ``rest``.
        rest: for the other dimensions, over other axes of the mesh.
    """

    def rule(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
        at = len(shape) + dimension
        if at < 0 or shape[at] % mesh.shape[axis]:
            return rest(shape, mesh)
        # One element there is all that `rest` may see: no axis of more than one divides it.
        others = tuple(rest((*shape[:at], 1, *shape[at + 1 :]), mesh))
        spec = [*others, *([None] * (len(shape) - len(others)))]
        spec[at] = axis
        return PartitionSpec(*spec)

    return rule


FULLY_SHARDED = ((r"(^|/)(bias|scale)$", replicate), (".*", shard_largest()))
"""Every array is split but biases and norms' scales: they weigh little, and each would be
gathered in a message of its own in every layer."""

_COLUMNS = (
    (r"(^|/)(qkv|query|key_value)", -2),
    (r"(^|/)mlp/(up|gate)", -1),
)
_ROWS = (
    (r"(^|/)attention/out", -3),
    (r"(^|/)mlp/down", -2),
)


def tensor_parallel(
    rest: Sequence[tuple[str, Rule]] = (),
) -> tuple[tuple[str, Rule], ...]:
    """Rules that split transformers over ``model``.

    Shoeybi et al. 2019 (Megatron-LM, arXiv:1909.08053, section 3): attention by its heads and
    the MLP by its hidden channels, so that the first product of each needs no communication,
    the second one sum, and the same backward. Norms, biases after a sum, embeddings and heads
    of networks are left whole. Of `medjax.layers.attention` and `medjax.layers.mlp`, whose
    kernels are ``(channel, part, head, channel)``, ``(head, channel, channel)`` and
    ``(in, out)``.

    Args:
        rest: rules for everything besides, and by the last of them for the other dimensions
            of what is split.
    """
    others = rest[-1][1] if rest else replicate
    kernels = [
        (rf"{name}/kernel$", shard_dimension(at, "model", others)) for name, at in _COLUMNS + _ROWS
    ]
    biases = [(rf"{name}/bias$", shard_dimension(at, "model")) for name, at in _COLUMNS]
    return (*kernels, *biases, *rest)

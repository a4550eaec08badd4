"""What ``medjax show`` prints before anything is compiled: parameters, shapes, placement."""

from __future__ import annotations

import math
import re
from typing import Any


def print_parameters(console: Any, experiment: Any, parameters: dict[str, Any]) -> None:
    """The config's parameters."""
    from rich.table import Table

    table = Table(title=experiment.title, title_justify="left", box=None, show_header=False)
    for name, value in parameters.items():
        table.add_row(f"  {name}", str(value))
    console.print(table)


def print_shapes(console: Any, experiment: Any) -> None:
    """Each module of the network with the shapes that it gives."""
    import jax

    from medjax.layers.trace import innermost_once, recorded_calls

    key = jax.eval_shape(lambda: jax.random.key(0))
    with recorded_calls() as calls:
        jax.eval_shape(experiment.learner.init, key, experiment.example)
    console.print("\nshapes through the network", style="italic")
    rows = []
    for call in innermost_once(calls):
        shapes = ", ".join(f"{d}{list(s)}" for d, s in zip(call.dtypes, call.shapes, strict=True))
        rows.append((call.path, call.kind, shapes))
    _print_rows(console, rows)


def print_placement(console: Any, placed: Any) -> None:
    """Where each array of the state and the batch lives, and the memory that it takes."""
    from medjax.core.trees import count, named_leaves, nbytes

    state, batch = placed.shapes, placed.batch
    axes = [f"{name} {size}" for name, size in placed.mesh.shape.items() if size > 1]
    console.print(f"\nplacement on {' x '.join(axes) or 'one device'}", style="italic")
    params = _layouts(state.params)
    rows = [(f"params/{path}", *layout) for path, layout in params.items()]
    rest = {
        f"{part}/{path}": layout
        for part in ("variables", "optimizer", "extras")
        for path, layout in _layouts(getattr(state, part)).items()
    }
    copies: dict[str, int] = {}
    for path, layout in rest.items():
        # The optimiser and averages keep copies of the parameters' tree.
        of = next(
            (p for p, same in params.items() if path.endswith("/" + p) and same == layout), None
        )
        if of is None:
            rows.append((path, *layout))
        else:
            prefix = path.removesuffix("/" + of)
            copies[prefix] = copies.get(prefix, 0) + 1
    _print_rows(console, rows + [(f"batch/{p}", *layout) for p, layout in _layouts(batch).items()])
    for prefix, number in copies.items():
        console.print(f"  {prefix}/*: {number} arrays, each as its parameter", soft_wrap=True)
    for name, tree in (("parameters", state.params), ("state", state), ("batch", batch)):
        here = sum(_local(leaf) for _, leaf in named_leaves(tree))
        console.print(
            f"{name}: {count(tree):,} numbers, {nbytes(tree):,} bytes, {here:,} bytes a device"
        )


def _print_rows(console: Any, rows: list[tuple[str, ...]]) -> None:
    rows = _folded(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True))
        console.print(f"  {line}".rstrip(), soft_wrap=True)


def _folded(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows that differ only in the first number of their path, as one: ``block0..3/kernel``."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for path, *rest in rows:
        match = re.search(r"(?<=[a-z_])\d+(?=/|$)", path)
        key = path if match is None else f"{path[: match.start()]}{{}}{path[match.end() :]}"
        groups.setdefault((key, *rest), []).append(match.group() if match else "")
    return [
        (key.format(ns[0] if len(ns) == 1 else f"{ns[0]}..{ns[-1]}"), *rest)
        for (key, *rest), ns in groups.items()
    ]


def _layouts(tree: Any) -> dict[str, tuple[str, str, str]]:
    """Path to dtype with shape, layout, and bytes a device."""
    from medjax.core.trees import named_leaves

    found = {}
    for path, leaf in named_leaves(tree):
        sizes = leaf.sharding.mesh.shape
        axes = [(a,) if isinstance(a, str) else a or () for a in leaf.sharding.spec]
        names = [" x ".join(a for a in several if sizes[a] > 1) for several in axes]
        spec = ", ".join(name or "-" for name in names)
        layout = f"split over ({spec})" if any(names) else "copied"
        found[path] = (f"{leaf.dtype}{list(leaf.shape)}", layout, f"{_local(leaf):,} bytes")
    return found


def _local(leaf: Any) -> int:
    """Bytes of the part that one device holds."""
    return math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize

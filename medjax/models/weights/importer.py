"""From the tensors of another library's checkpoint to the variables of a module, exactly.

A naming is an ordered table of rules from names to paths. Every tensor must be used and
every leaf filled with the right shape; what is not is listed, all of it, in one error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.trees import map_named, named_leaves

from .transforms import Transform, keep

Tensors = Mapping[str, np.ndarray]
"""A checkpoint: names to arrays."""


Shapes = Mapping[str, tuple[int, ...]]
"""Of a module's leaves, by path."""


def _as_they_are(tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
    return tensors


class Rule(NamedTuple):
    """Where tensors of some names go.

    Attributes:
        pattern: regular expression that matches the whole of a tensor's name.
        target: template (``\\1``, ...) of the leaf's path, such as
            ``params/blocks/[\\1]/norm/scale``, where a part ``[3]`` stands for place 3
            along the first axis of a leaf that stacks layers. Several targets split the
            tensor evenly along its first axis. None ignores the tensor: buffers, and what
            only the checkpoint's own training needed.
        transform: from the tensor and the shape that is wanted to the leaf's layout.
    """

    pattern: str
    target: str | tuple[str, ...] | None
    transform: Transform = keep


class Naming(NamedTuple):
    """How a library names a family's tensors.

    Attributes:
        rules: the first whose pattern matches decides.
        prepare: ``(tensors, shapes) -> tensors``, what is done before, where one leaf is made
            of several tensors; ``shapes`` are the module's, by path.
        head: name of the layer that gives logits.
    """

    rules: tuple[Rule, ...]
    prepare: Callable[[dict[str, np.ndarray], Shapes], dict[str, np.ndarray]] = _as_they_are
    head: str = "head"


OWN = Naming((Rule("(.+)", r"\1"),))
"""medjax's own names, as `save_weights` writes them: paths."""


class Report(NamedTuple):
    """What became of each tensor and leaf; paths of stacked leaves carry their place.

    Attributes:
        filled: path to the name of the tensor that it came from.
        adapted: paths whose tensor an adaptation brought to another shape.
        ignored: names that the naming ignores or the caller dropped.
        unused: names that no rule knows, or whose target the module does not have.
        missing: paths that no tensor filled.
        misshapen: path, or name of a tensor that cannot be split, to what was wanted and came.
    """

    filled: dict[str, str]
    adapted: list[str]
    ignored: list[str]
    unused: list[str]
    missing: list[str]
    misshapen: dict[str, str]

    @property
    def complete(self) -> bool:
        """Whether everything was used and filled."""
        return not (self.unused or self.missing or self.misshapen)

    def faults(self) -> str:
        """All that is not as it should be, in one line."""
        shapes = [f"{path}: {what}" for path, what in self.misshapen.items()]
        parts = (("missing", self.missing), ("left over", self.unused), ("of other shape", shapes))
        return "; ".join(f"{len(all_)} {what}: {', '.join(all_)}" for what, all_ in parts if all_)


def import_weights(
    tensors: Tensors,
    naming: Naming,
    variables: Any,
    *,
    adaptations: Sequence[tuple[str, Transform]] = (),
    drop: Sequence[str] = (),
    retain: Sequence[str] = (),
    strict: bool = True,
    source: str = "weights",
) -> tuple[Any, Report]:
    """Fill a module's variables with a checkpoint's tensors.

    Args:
        tensors: the checkpoint.
        naming: its table.
        variables: the module's, as `jax.eval_shape` of its ``init`` gives them; or arrays,
            where some are to stay as they are.
        adaptations: ``(pattern, function)``, of which the first whose pattern is found
            (``re.search``) in the path is applied where a tensor has another shape than
            its leaf: `adapt_kernel` and others.
        drop: patterns (``re.search``) of names to leave unused, such as an old head.
        retain: patterns of paths that stay as they are in ``variables``, such as a new head.
        strict: whether anything left over, missing or of another shape is an error; if
            not, such leaves stay as they are, and the report tells.
        source: what to call the checkpoint in errors.

    Returns:
        Variables as NumPy arrays of the leaves' dtypes, and what became of everything.

    Raises:
        InputError: as ``strict`` says; where two tensors claim one leaf; where a leaf that
            stays as it is is a shape and no array.
    """
    leaves = dict(named_leaves(variables))
    report = Report({}, [], [], [], [], {})
    found: dict[str, dict[int | None, np.ndarray]] = {path: {} for path in leaves}
    dropped, retained = _any(drop), _any(retain)
    shapes = {path: leaf.shape for path, leaf in leaves.items()}
    full = {name: _full_precision(tensor) for name, tensor in tensors.items()}
    for name, tensor in naming.prepare(full, shapes).items():
        targets, transform = _rule(naming.rules, name)
        if dropped(name) or targets == ():
            report.ignored.append(name)
            continue
        known = [_has(leaves, *_placed(t)) and not retained(_placed(t)[0]) for t in targets or ()]
        if targets is None or not all(known):
            report.unused.append(name)
            continue
        if len(targets) > 1 and (not tensor.ndim or tensor.shape[0] % len(targets)):
            report.misshapen[name] = f"wanted {len(targets)} equal parts, got {tensor.shape}"
            continue
        parts = np.split(tensor, len(targets)) if len(targets) > 1 else [tensor]
        for target, part in zip(targets, parts, strict=True):
            path, place = _placed(target)
            if target in report.filled:
                both = f"{report.filled[target]} and {name} for {target}"
                raise InputError(source, "one tensor a parameter", both)
            shape = leaves[path].shape[place is not None :]
            value = transform(part, shape)
            if value.shape != shape:
                adapt = next((f for pattern, f in adaptations if re.search(pattern, path)), keep)
                value = adapt(value, shape)
                if value.shape == shape:
                    report.adapted.append(target)
                else:
                    report.misshapen[target] = f"wanted {shape}, got {value.shape}"
            report.filled[target] = name
            found[path][place] = value

    def assembled(path: str, leaf: Any) -> Any:
        values = found[path]
        places = range(leaf.shape[0]) if values and None not in values else (None,)
        names = [path if place is None else f"{path} [{place}]" for place in places]
        absent = [n for n, place in zip(names, places, strict=True) if place not in values]
        if not retained(path):
            report.missing.extend(absent)
            if not absent and not any(_placed(t)[0] == path for t in report.misshapen):
                whole = [values[place].astype(leaf.dtype) for place in places]
                return whole[0] if None in values else np.stack(whole)
        return leaf

    filled = map_named(assembled, variables)
    if strict and not report.complete:
        raise InputError(source, "a tensor for every parameter and no others", report.faults())
    for path, leaf in named_leaves(filled):
        if isinstance(leaf, jax.ShapeDtypeStruct):
            raise InputError(path, "an array for what is not in the checkpoint", "a shape alone")
    return jax.tree.map(np.asarray, filled), report


def _full_precision(tensor: np.ndarray) -> np.ndarray:
    # Sums of tensors, and what adaptations make of them, must not be rounded to half precision.
    half = jnp.issubdtype(tensor.dtype, jnp.floating) and tensor.dtype.itemsize < 4
    return tensor.astype(np.float32) if half else tensor


def _any(patterns: Sequence[str]) -> Callable[[str], bool]:
    return lambda text: any(re.search(pattern, text) for pattern in patterns)


def _rule(rules: Sequence[Rule], name: str) -> tuple[tuple[str, ...] | None, Transform]:
    """Targets of a name, none for one that is ignored and None for one that is not known."""
    for pattern, target, transform in rules:
        if match := re.fullmatch(pattern, name):
            targets = (target,) if isinstance(target, str) else target or ()
            return tuple(match.expand(t) for t in targets), transform
    return None, keep


def _placed(target: str) -> tuple[str, int | None]:
    """The leaf's path, and the place along its first axis that ``[3]`` in the target names."""
    match = re.search(r"/\[(\d+)\]", target)
    if not match:
        return target, None
    return target.replace(match[0], "", 1), int(match[1])


def _has(leaves: Mapping[str, Any], path: str, place: int | None) -> bool:
    return path in leaves and (place is None or place < leaves[path].shape[0])

"""Architectures of the literature whose weights can be imported by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.registry import Registry
from medjax.core.trees import named_leaves
from medjax.models.backbone import Backbone

from .files import read_tensors
from .importer import OWN, Naming, Report, import_weights
from .transforms import Transform, adapt_kernel, adapt_positions, inflate

FAMILIES = Registry(
    "weights",
    {
        "vit": "medjax.models.weights.vit:ENTRIES",
        "swin": "medjax.models.weights.swin:ENTRIES",
        "resnet": "medjax.models.weights.resnet:ENTRIES",
        "densenet": "medjax.models.weights.densenet:ENTRIES",
        "convnext": "medjax.models.weights.convnext:ENTRIES",
        "inverted": "medjax.models.weights.inverted:ENTRIES",
        "plain": "medjax.models.weights.plain:ENTRIES",
    },
)
"""A table of entries a family of networks."""


class Entry(NamedTuple):
    """An architecture as its authors made it.

    Attributes:
        backbone: ``backbone(classes=..., ...) -> module``.
        spatial: of an input.
        channels: of an input.
        stem: path, within the parameters, of the layer that sees the input.
        namings: by the library's name, in the order in which they are tried.
        inflations: ``(pattern, function)`` for leaves that `inflate` does not bring from
            images to volumes, as `import_weights` takes its adaptations.
    """

    backbone: Callable[..., Backbone]
    spatial: tuple[int, ...]
    channels: int
    stem: str
    namings: Mapping[str, Naming]
    inflations: tuple[tuple[str, Transform], ...] = ()


class Imported(NamedTuple):
    """Weights that were imported.

    Attributes:
        module: the backbone that they are for.
        variables: its, as NumPy arrays.
        report: what became of each tensor.
        naming: the name of the library whose names the file has.
    """

    module: Backbone
    variables: Any
    report: Report
    naming: str


def entries() -> dict[str, Entry]:
    """All architectures by name."""
    return {name: entry for family in FAMILIES for name, entry in FAMILIES[family].items()}


def entry(name: str) -> Entry:
    """One architecture.

    Raises:
        InputError: for an unknown name, with the nearest ones.
    """
    known = entries()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or sorted(known)
        raise InputError("weights", f"one of {', '.join(near)}", repr(name))
    return known[name]


def recognised(names: Iterable[str], namings: Mapping[str, Naming]) -> str:
    """Which of some namings knows the most of a checkpoint's names; the first among equals."""

    def known(naming: str) -> int:
        rules = namings[naming].rules
        return sum(any(re.fullmatch(rule.pattern, tensor) for rule in rules) for tensor in names)

    return max(namings, key=known)


def import_file(
    path: str | Path,
    name: str,
    *,
    channels: int | None = None,
    volume: bool = False,
    drop_head: bool = False,
    **fields: Any,
) -> Imported:
    """Import another library's checkpoint for an architecture.

    Args:
        path: of a safetensors file.
        name: of the architecture, see `entries`.
        channels: of the input, if others than the authors' (`adapt_channels`).
        volume: inflate a network of images to volumes (`inflate`).
        drop_head: leave the head out, and return a backbone without classes; otherwise it
            has as many as the file's head, or none where the file has no head.
        **fields: of the backbone, such as ``image_size`` or ``window``, to whose grid
            positions are then interpolated.

    Raises:
        InputError: as `read_tensors`, `entry` and `import_weights` do.
    """
    chosen = entry(name)
    tensors = read_tensors(path)
    library = recognised(tensors, chosen.namings)
    naming = chosen.namings[library]
    head = tensors.get(f"{naming.head}.weight")
    classes = 0 if head is None or drop_head else head.shape[0]
    native, spatial = chosen.backbone(classes=classes, **fields), chosen.spatial
    if volume:
        if len(spatial) != 2:
            raise InputError("volume", "a network of images", f"{name}, which is one of volumes")
        # First for images, exactly, so that what is two-dimensional in the file is not guessed.
        native = chosen.backbone(classes=classes)

    def shapes(module: Backbone, spatial: tuple[int, ...]) -> Any:
        x = jax.ShapeDtypeStruct((1, *spatial, channels or chosen.channels), jnp.float32)
        return jax.eval_shape(module.init, jax.random.key(0), x)

    positions = (r"(?:position/table|relative_bias)$", adapt_positions)
    stem = (rf"^params/{chosen.stem}/kernel$", adapt_kernel)
    variables, report = import_weights(
        tensors,
        naming,
        shapes(native, spatial),
        adaptations=(positions, stem) if channels else (positions,),
        drop=(rf"^{re.escape(naming.head)}\.",) if drop_head else (),
        source=str(path),
    )
    if not volume:
        return Imported(native, variables, report, library)
    module = chosen.backbone(classes=classes, **fields)
    variables, inflated = import_weights(
        dict(named_leaves(variables)),
        OWN,
        shapes(module, (*spatial, spatial[0])),
        adaptations=(*chosen.inflations, positions, (r"/kernel$", inflate)),
        source=f"{path}, inflated",
    )
    adapted = list(dict.fromkeys([*report.adapted, *inflated.adapted]))
    return Imported(module, variables, report._replace(adapted=adapted), library)

"""What chips send each other, and how fast their links let them."""

from __future__ import annotations

import math
import re

import numpy as np

from medjax.training.hardware import Chip

from .hlo import Computation, Instruction

KINDS = (
    "all-gather",
    "reduce-scatter",
    "all-reduce",
    "all-to-all",
    "collective-permute",
    "ragged-all-to-all",
    "collective-broadcast",
)


def sent_bytes(
    computation: Computation, instruction: Instruction, kind: str, devices: int
) -> tuple[int, list[int]]:
    """Bytes that each member of a collective gets from others, and one group's members.

    Args:
        computation: that the instruction is in.
        instruction: a collective, or its start.
        kind: one of `KINDS`.
        devices: of the whole program.
    """
    size = sum(b.bytes for name in instruction.operands for b in computation[name].buffers)
    if kind == "collective-permute":
        pairs = re.findall(r"\{(\d+),(\d+)\}", instruction.attributes)
        far = sorted({int(n) for a, b in pairs if a != b for n in (a, b)})
        # Rings turn both ways at once: together they have all the links of their members.
        return (size, far) if far else (0, [0])
    members = groups(instruction.attributes, devices)[0]
    n = len(members)
    if kind == "all-gather":
        return size * (n - 1), members
    part = size * (n - 1) // n
    # All are added up part by part, then the parts are shared.
    return (2 * part if kind == "all-reduce" else part), members


def groups(attributes: str, devices: int) -> list[list[int]]:
    """Which devices take part in a collective together, in any of XLA's three notations.

    Lists, ``{{0,1},{2,3}}``; the axes of a mesh, ``mesh['a'=2,'b'=2] {'b'}``; or groups cut
    from a transposed range, ``[2,2]<=[2,2]T(1,0)``.
    """
    text = re.search(r"replica_groups=(.*)", attributes)
    text = text[1] if text else ""
    if text.startswith("{{"):
        lists = text[1 : text.index("}}") + 1]
        return [[int(n) for n in part.split(",")] for part in re.findall(r"\{([\d,]+)\}", lists)]
    if mesh := re.match(r"(?:mesh|@\w+)?\[(.*?)\]\s*\{([^}]*)\}", text):
        axes = {name: int(n) for name, n in re.findall(r"'?([\w.]+)'?=(\d+)", mesh[1])}
        named = re.findall(r"'?([\w.]+)'?", mesh[2])
        first = [i for i, name in enumerate(axes) if name not in named]
        order = first + [list(axes).index(name) for name in named]
        ids = np.arange(math.prod(axes.values())).reshape(*axes.values())
        size = math.prod(axes[name] for name in named)
        return ids.transpose(order).reshape(-1, size).tolist()
    if cut := re.match(r"\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text):
        shape, source, order = (
            [int(n) for n in (part or "").split(",") if n] for part in cut.groups()
        )
        ids = np.arange(math.prod(source)).reshape(source)
        ids = ids.transpose(order) if order else ids
        return ids.reshape(-1, shape[-1]).tolist()
    return [list(range(devices))]


def bandwidth(chip: Chip, shape: tuple[int, ...], members: np.ndarray) -> float:
    """Bytes a second that the worst placed of a group's chips can send to the others.

    Along each axis of the slice that the group spans: two links where they close to a ring
    that the group fills, else one, since the chips at the ends have no more.
    """
    if chip.torus is None:
        return chip.link * chip.links
    rings = chip.rings(shape)
    links = 0
    for axis, (size, ring) in enumerate(zip(shape, rings, strict=True)):
        spanned = len(np.unique(members[:, axis]))
        links += 0 if spanned < 2 else 2 if ring and spanned == size else 1
    return chip.link * max(1, links)

"""What a compiled step asks of a chip: operations, traffic to memory, traffic to others.

All three are read from the program that XLA made for the chip, loops counted as often as
they run. With the chip's published peaks each gives a time that no run of the program
beats; the longest of them bounds the step.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .hardware import Chip
from .hlo import Buffer, Computation, Instruction, Program, parse

COLLECTIVES = (
    "all-gather",
    "reduce-scatter",
    "all-reduce",
    "all-to-all",
    "collective-permute",
    "ragged-all-to-all",
    "collective-broadcast",
)


class Collective(NamedTuple):
    """All collectives of one kind in a step.

    Attributes:
        count: how many are run.
        bytes: that a chip sends at least, so that all have their results.
        seconds: that its links take for them.
    """

    count: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class StepCost:
    """Of one step, on one chip.

    Attributes:
        flops: of matrix products and convolutions; a multiply and an add are two.
        bytes: read from and written to the large memory.
        collectives: by kind.
        chip: whose peaks count.
        uncounted: loops whose length cannot be told; they are counted as if run once.
    """

    flops: int
    bytes: int
    collectives: dict[str, Collective]
    chip: Chip
    uncounted: int = 0

    @property
    def compute_seconds(self) -> float:
        """That the operations take at the peak."""
        return self.flops / self.chip.flops

    @property
    def memory_seconds(self) -> float:
        """That the traffic to memory takes at the peak."""
        return self.bytes / self.chip.bandwidth

    @property
    def collective_seconds(self) -> float:
        """That the traffic to other chips takes at the peak."""
        return sum(c.seconds for c in self.collectives.values())

    @property
    def bound(self) -> tuple[str, float]:
        """What is longest, and the seconds that no step beats."""
        times = {
            "compute": self.compute_seconds,
            "memory": self.memory_seconds,
            "interconnect": self.collective_seconds,
        }
        return max(times.items(), key=lambda item: item[1])

    @property
    def collective_share(self) -> float:
        """Of the step, spent in collectives, if they overlap with nothing else."""
        rest = max(self.compute_seconds, self.memory_seconds)
        return self.collective_seconds / ((self.collective_seconds + rest) or 1.0)


def step_cost(
    text: str, chip: Chip, shape: tuple[int, ...], coordinates: Sequence[Sequence[int]]
) -> StepCost:
    """Count what a program does.

    Args:
        text: of the compiled program.
        chip: that it was compiled for.
        shape: of the slice, chips along each axis.
        coordinates: of each device in the mesh's order.
    """
    program = parse(text)
    flops = traffic = uncounted = 0
    places = np.asarray(coordinates)[:, : len(shape)]
    # Key to times, bytes and seconds: of all pieces of one that is cut up, once.
    found: dict[object, tuple[str, int, int, float]] = {}
    for computation, instruction, times, fused in program.runs():
        if instruction.opcode in ("convolution", "dot"):
            flops += times * products(computation, instruction)
        if instruction.opcode == "while":
            uncounted += program.trips(computation, instruction) is None
        if not fused:
            traffic += times * memory_traffic(program, computation, instruction)
        kind = instruction.opcode.removesuffix("-start")
        if kind not in COLLECTIVES:
            continue
        size, members = sent_bytes(computation, instruction, kind, len(places))
        key: object = len(found)
        if "chain_id=" in instruction.attributes:
            # Its pieces are overlapped with one fusion after another, some within loops.
            key = (kind, instruction.attribute(r"channel_id=(\d+)"))
            times = min(times, found[key][1]) if key in found else times
        found[key] = (kind, times, size, size / bandwidth(chip, shape, places[members]))
    kinds = {}
    for kind in COLLECTIVES:
        runs = [run[1:] for run in found.values() if run[0] == kind]
        if runs:
            kinds[kind] = Collective(
                sum(times for times, _, _ in runs),
                sum(times * size for times, size, _ in runs),
                sum(times * seconds for times, _, seconds in runs),
            )
    return StepCost(flops, traffic, kinds, chip, uncounted)


def products(computation: Computation, instruction: Instruction) -> int:
    """Operations of a ``dot`` or a ``convolution``, which is also what TPUs make of a dot."""
    out = instruction.buffers[0].shape
    left, right = (computation[name].buffers[0].shape for name in instruction.operands[:2])
    if instruction.opcode == "dot":
        contracted = instruction.attribute(r"lhs_contracting_dims=\{([\d,]*)\}") or ""
        return 2 * math.prod(out) * math.prod(left[int(i)] for i in contracted.split(",") if i)
    labels = instruction.attribute(r"dim_labels=(\w+_\w+->\w+)") or "bf_io->bf"
    left_labels, right_labels, out_labels = re.split("_|->", labels)
    groups = int(instruction.attribute(r"feature_group_count=(\d+)") or 1)
    groups *= int(instruction.attribute(r"batch_group_count=(\d+)") or 1)
    window = _window(instruction.attribute(r"window=\{([^}]*)\}") or "")
    total = left[left_labels.index("b")] * left[left_labels.index("f")]
    total *= right[right_labels.index("o")]
    for i in range(len(out_labels) - 2):
        sizes = (left, left_labels), (right, right_labels), (out, out_labels)
        total *= _positions(*(shape[text.index(str(i))] for shape, text in sizes), window, i)
    return 2 * total // groups


def _window(text: str) -> dict[str, list[list[int]]]:
    """``size=4x3 pad=0_0x2_2`` as numbers a dimension."""
    found = re.findall(r"(\w+)=([\dx_\-]+)", text)
    return {k: [[int(n) for n in part.split("_")] for part in v.split("x")] for k, v in found}


def _positions(length: int, kernel: int, out: int, window: dict[str, list], i: int) -> int:
    """Pairs of an output's and a kernel's place that meet an element of the input.

    The rest of a window meets padding, or the zeros of a dilated input.
    """

    def of(name: str, default: int) -> int:
        return window[name][i][0] if name in window else default

    stride, spread, dilation = of("stride", 1), of("lhs_dilate", 1), of("rhs_dilate", 1)
    at = np.arange(out)[:, None] * stride + np.arange(kernel)[None] * dilation - of("pad", 0)
    return int(np.sum((at >= 0) & (at <= (length - 1) * spread) & (at % spread == 0)))


_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call"}
_FREE |= {"conditional", "after-all", "opt-barrier", "partition-id", "replica-id", "iota"}


def memory_traffic(program: Program, computation: Computation, instruction: Instruction) -> int:
    """Bytes that an instruction outside fusions reads from and writes to the large memory."""
    opcode = instruction.opcode
    if opcode in _FREE or opcode.endswith(("-done", "-update")):
        return 0
    results = list(instruction.buffers)
    reads = {i: computation[name].buffers for i, name in enumerate(instruction.operands)}
    if opcode in ("dynamic-slice", "slice", "gather"):
        return 2 * _slow(results)
    if opcode == "dynamic-update-slice":
        return 2 * _slow(reads[1])
    if opcode.endswith("-start"):
        # (to, from, ...): the piece that is moved, once at each end in the large memory.
        if opcode.removesuffix("-start") in COLLECTIVES:
            return _slow([b for buffers in reads.values() for b in buffers]) * 2
        moved = min((b.bytes for b in results[:2]), default=0)
        return sum(moved for b in results[:2] if not b.fast)
    if opcode == "fusion":
        inner = program.computations.get(instruction.called[0], {})
        return _fusion_traffic(inner, instruction, reads, results)
    return _slow([b for buffers in reads.values() for b in buffers]) + _slow(results)


def _fusion_traffic(
    inner: Computation,
    instruction: Instruction,
    reads: dict[int, tuple[Buffer, ...]],
    results: list[Buffer],
) -> int:
    users: dict[str, list[Instruction]] = defaultdict(list)
    for each in inner.values():
        for name in each.operands:
            users[name].append(each)
    total = 0
    aliased = re.findall(r"\{(\d*)\}: \((\d+), \{", instruction.attributes)
    for parameter in (i for i in inner.values() if i.opcode == "parameter"):
        place = int(re.match(r"\(?(\d+)", parameter.attributes)[1])
        if place not in reads or str(place) in {operand for _, operand in aliased}:
            continue
        whole = _slow(reads[place])
        slices = users[parameter.name]
        if slices and all(_part(s, parameter.name) is not None for s in slices):
            whole = min(whole, sum(_part(s, parameter.name) for s in slices))
        total += whole
    root = next(i for i in inner.values() if i.root)
    made = [inner[n] for n in root.operands] if root.opcode == "tuple" else [root]
    outputs = {output or "0" for output, _ in aliased}
    for index, each in enumerate(made):
        if str(index) in outputs or index >= len(results) or results[index].fast:
            continue
        while each.opcode in ("bitcast", "copy") and each.operands:
            each = inner[each.operands[0]]
        if each.opcode == "dynamic-update-slice":
            total += inner[each.operands[1]].buffers[0].bytes
        else:
            total += results[index].bytes
    return total


def _part(user: Instruction, name: str) -> int | None:
    """What an instruction reads of an operand, if that is only a part of it."""
    if user.opcode in ("dynamic-slice", "slice", "gather") and user.operands[0] == name:
        return user.buffers[0].bytes
    if user.opcode == "dynamic-update-slice" and user.operands[0] == name:
        return 0  # written in place
    return None


def _slow(buffers: Sequence[Buffer]) -> int:
    return sum(b.bytes for b in buffers if not b.fast)


def sent_bytes(
    computation: Computation, instruction: Instruction, kind: str, devices: int
) -> tuple[int, list[int]]:
    """Bytes that each member of a collective sends at least, and one group's members."""
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

"""Bytes that a program reads from and writes to a chip's large memory.

Buffers that the compiler keeps in the chip's own fast memory do not count, nor does what is
changed in place beyond the part that is written.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from .collectives import KINDS
from .hlo import Buffer, Computation, Instruction, Program

_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call"}
_FREE |= {"conditional", "after-all", "opt-barrier", "partition-id", "replica-id"}


def memory_traffic(program: Program, computation: Computation, instruction: Instruction) -> int:
    """Bytes that an instruction outside fusions reads from and writes to the large memory."""
    opcode = instruction.opcode
    if opcode in _FREE or opcode.endswith(("-done", "-update")):
        return 0
    if 'custom_call_target="AllocateBuffer"' in instruction.attributes:
        return 0
    results = list(instruction.buffers)
    reads = {i: computation[name].buffers for i, name in enumerate(instruction.operands)}
    if opcode in ("dynamic-slice", "slice", "gather"):
        return 2 * _slow(results)
    if opcode == "dynamic-update-slice":
        return 2 * _slow(reads[1])
    if opcode.endswith("-start"):
        # (to, from, ...): the piece that is moved, once at each end in the large memory.
        if opcode.removesuffix("-start") in KINDS:
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

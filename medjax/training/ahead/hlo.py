"""Reading compiled programs: instructions, and how often each is run.

XLA prints what it compiled as text. Its own counts take the body of a loop once; a
transformer whose blocks are scanned over is nearly all body, so that they are of no use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_BITS = {"pred": 8, "token": 0, "opaque": 0}
_LEAF = re.compile(r"\b([a-z]\w*)\[([\d,<= ]*)\](?:\{([^}]*)\})?")
_START = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_CALLED = re.compile(r"\b(?:calls|to_apply|body|condition|called_computations)=\{?%([\w.\-]+)")


class Buffer(NamedTuple):
    """One array.

    Attributes:
        dtype: as XLA calls it.
        shape: of the part on one device.
        fast: whether it lives in the chip's own memory (VMEM), not in the large one.
    """

    dtype: str
    shape: tuple[int, ...]
    fast: bool

    @property
    def bytes(self) -> int:
        """Size, without the padding of its layout."""
        bits = _BITS.get(self.dtype)
        if bits is None:
            digits = re.search(r"\d+", self.dtype)
            bits = int(digits[0]) if digits else 8
        return math.prod(self.shape) * bits // 8


class Instruction(NamedTuple):
    """One line of a program.

    Attributes:
        name: unique in its computation.
        opcode: such as "fusion".
        buffers: of the result, a tuple's one after another.
        operands: names of instructions in the same computation.
        attributes: the rest of the line; of a constant or parameter its parentheses.
        root: whether its result is the computation's.
    """

    name: str
    opcode: str
    buffers: tuple[Buffer, ...]
    operands: tuple[str, ...]
    attributes: str
    root: bool

    def attribute(self, pattern: str) -> str | None:
        """The first group of a pattern in the attributes."""
        found = re.search(pattern, self.attributes)
        return found[1] if found else None

    @property
    def called(self) -> tuple[str, ...]:
        """Computations that it runs."""
        return tuple(_CALLED.findall(self.attributes)) + tuple(
            name
            for names in re.findall(r"branch_computations=\{([^}]*)\}", self.attributes)
            for name in re.findall(r"%([\w.\-]+)", names)
        )


Computation = dict[str, Instruction]


class Program(NamedTuple):
    """A compiled program.

    Attributes:
        computations: by name.
        entry: the name of the one that runs first.
    """

    computations: dict[str, Computation]
    entry: str

    def runs(self) -> Iterator[tuple[Computation, Instruction, int, bool]]:
        """Every instruction that runs: its computation, itself, how often, and whether it
        is a part of a fusion. Both branches of a condition are taken to run."""
        todo = [(self.entry, 1, False)]
        while todo:
            name, times, fused = todo.pop()
            computation = self.computations.get(name, {})
            for instruction in computation.values():
                yield computation, instruction, times, fused
                if instruction.opcode.endswith(("-done", "-update")):
                    continue  # of what its start runs
                inner = times
                if instruction.opcode == "while":
                    trips = self.trips(computation, instruction)
                    inner *= 1 if trips is None else trips
                within = fused or instruction.opcode == "fusion"
                if instruction.opcode in ("fusion", "while", "call", "conditional", "async-start"):
                    todo += [(called, inner, within) for called in instruction.called]

    def trips(self, computation: Computation, loop: Instruction) -> int | None:
        """How often the body of a loop runs, where a counter goes from one constant to another.

        None where it does not, as in loops that end when something has converged.
        """
        known = loop.attribute(r'"known_trip_count":\{"n":"(\d+)"')  # not in programs for TPUs
        if known is not None:
            return int(known)
        condition = self.computations[loop.attribute(r"condition=%([\w.\-]+)")]
        body = self.computations[loop.attribute(r"body=%([\w.\-]+)")]
        test, result = _root(condition), _root(body)
        if test.opcode != "compare" or "direction=LT" not in test.attributes:
            return None
        counter, end = (condition[name] for name in test.operands)
        if counter.opcode != "get-tuple-element" or result.opcode != "tuple":
            return None
        index = int(counter.attribute(r"index=(\d+)"))
        step = body[result.operands[index]]
        steps = [_constant(body[name]) for name in step.operands if step.opcode == "add"]
        steps = [n for n in steps if n]
        last, first = _constant(end), self._initial(computation, loop, index)
        if last is None or len(steps) != 1:
            return None
        return max(0, -(-(last - first) // steps[0]))

    def _initial(self, computation: Computation, loop: Instruction, index: int) -> int:
        """The first value of a loop's counter; 0 where it is no constant."""
        first = computation[loop.operands[0]]
        while first.opcode in ("tuple", "copy", "bitcast"):
            first = computation[first.operands[index if first.opcode == "tuple" else 0]]
        return _constant(first) or 0


def _root(computation: Computation) -> Instruction:
    return next(i for i in computation.values() if i.root)


def _constant(instruction: Instruction) -> int | None:
    if instruction.opcode != "constant":
        return None
    number = re.match(r"^\((-?\d+)\)", instruction.attributes)
    return int(number[1]) if number else None


def parse(text: str) -> Program:
    """Read a program.

    Args:
        text: as ``jax.stages.Compiled.as_text`` gives it.
    """
    computations: dict[str, Computation] = {}
    entry, current = "", None
    for line in text.splitlines():
        if current is None:
            head = _HEAD.match(line)
            if head:
                current = computations.setdefault(head[2], {})
                entry = head[2] if head[1] else entry
        elif line.startswith("}"):
            current = None
        elif start := _START.match(line):
            instruction = _instruction(start[2], start[3], bool(start[1]))
            current[instruction.name] = instruction
    return Program(computations, entry)


def _instruction(name: str, rest: str, root: bool) -> Instruction:
    end = _closing(rest, 0) if rest.startswith("(") else rest.index(" ")
    result, rest = rest[:end], rest[end:].lstrip()
    opcode, _, _ = rest.partition("(")
    end = _closing(rest, len(opcode))
    inside = rest[len(opcode) : end]
    operands = tuple(re.findall(r"%([\w.\-]+)", inside))
    attributes = inside if opcode in ("constant", "parameter") else rest[end:]
    return Instruction(name, opcode, _buffers(result), operands, attributes, root)


def _closing(text: str, start: int) -> int:
    """Behind the parenthesis that closes the one at ``start``."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i + 1
    return len(text)


def _buffers(result: str) -> tuple[Buffer, ...]:
    found = []
    for dtype, shape, layout in _LEAF.findall(result):
        sizes = tuple(int(n) for n in re.findall(r"\d+", shape))
        found.append(Buffer(dtype, sizes, "S(1)" in layout))
    return tuple(found)

"""What a compiled step asks of a chip: operations, traffic to memory, traffic to others.

All three are read from the program that XLA made for the chip, loops counted as often as
they run. With the chip's published peaks each gives a time that no run of the program
beats; the longest of them bounds the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medjax.training.hardware import Chip

from .collectives import KINDS, bandwidth, sent_bytes
from .hlo import parse
from .products import products
from .traffic import memory_traffic


class Collective(NamedTuple):
    """All collectives of one kind in a step.

    Attributes:
        count: how many are run.
        bytes: that a chip gets from others at least.
        seconds: that its links take for them at least.
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
        if kind not in KINDS:
            continue
        size, members = sent_bytes(computation, instruction, kind, len(places))
        key: object = len(found)
        if "chain_id=" in instruction.attributes:
            # Its pieces are overlapped with one fusion after another, some within loops.
            key = (kind, instruction.attribute(r"channel_id=(\d+)"))
            times = min(times, found[key][1]) if key in found else times
        found[key] = (kind, times, size, size / bandwidth(chip, shape, places[members]))
    kinds = {}
    for kind in KINDS:
        runs = [run[1:] for run in found.values() if run[0] == kind]
        if runs:
            kinds[kind] = Collective(
                sum(times for times, _, _ in runs),
                sum(times * size for times, size, _ in runs),
                sum(times * seconds for times, _, seconds in runs),
            )
    return StepCost(flops, traffic, kinds, chip, uncounted)

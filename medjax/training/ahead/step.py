"""The training step compiled for a slice that is not there, and what it would take."""

from __future__ import annotations

import re
from typing import NamedTuple

import jax

from medjax.core.errors import InputError
from medjax.training.setup import Placed

from .cost import StepCost, step_cost
from .topology import Slice


class Ahead(NamedTuple):
    """A step as the slice's compiler made it; all numbers are of one chip.

    Attributes:
        memory: bytes by what they are for: arguments, outputs that are not arguments
            changed in place, temporaries, and the program itself.
        cost: what it does.
    """

    memory: dict[str, int]
    cost: StepCost

    @property
    def bytes(self) -> int:
        """All the memory that a chip needs."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether it is there."""
        return self.bytes <= self.cost.chip.memory


def compile_ahead(placed: Placed, where: Slice) -> Ahead:
    """Compile a placed experiment's real training step; nothing is allocated.

    Args:
        placed: on the slice's devices (`medjax.training.place`).
        where: the slice.

    Raises:
        InputError: if the compiler found no way to fit it into a chip's memory.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    try:
        compiled = placed.step.lower(placed.shapes, placed.batch, key).compile()
    except jax.errors.JaxRuntimeError as error:
        used = re.search(r"Used ([\d.]+\w) of ([\d.]+\w) hbm", str(error))
        if used is None:
            raise
        expected = f"at most the {used[2]}B that programs have of a {where.chip.name} chip"
        raise InputError("memory of the training step", expected, f"{used[1]}B") from None
    size = compiled.memory_analysis()
    memory = {
        "arguments": size.argument_size_in_bytes,
        "outputs, new": size.output_size_in_bytes - size.alias_size_in_bytes,
        "temporary": size.temp_size_in_bytes,
        "program": size.generated_code_size_in_bytes,
    }
    coordinates = [device.coords for device in placed.mesh.devices.flat]
    return Ahead(memory, step_cost(compiled.as_text(), where.chip, where.shape, coordinates))

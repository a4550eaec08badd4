"""Ahead of time: what a training step takes of hardware that is not there.

`tpu_slice` names a slice of TPUs, `medjax.training.place` puts an experiment on its devices,
`compile_ahead` compiles the step for them, and `step_cost` reads from the compiled program
what it asks of each chip.
"""

from .cost import Collective, StepCost, step_cost
from .step import Ahead, compile_ahead
from .topology import Slice, tpu_slice

__all__ = [
    "Ahead",
    "Collective",
    "Slice",
    "StepCost",
    "compile_ahead",
    "step_cost",
    "tpu_slice",
]

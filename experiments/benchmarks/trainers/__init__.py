"""The libraries that `generative.py` sets side by side, a file each.

A trainer has ``VERSION``, a string; ``WAYS``, by work the ways in which the library can do it;
and ``prepare(work, way, settings)``, which makes networks, optimisers and data and returns a
`Run`. Settings are those of `generative.WORKS`, the same for all. What is compiled is compiled
before anything is timed.
"""

from collections.abc import Callable
from typing import NamedTuple


class Run(NamedTuple):
    """A work that is ready.

    Attributes:
        step: does the training step of a number, which says which lazy terms are due in it.
        parameters: by player, how many there are.
        flops: of a step with all its lazy terms, as the library estimates it: XLA counts all
            operations, PyTorch convolutions and products of matrices.
    """

    step: Callable[[int], None]
    parameters: dict[str, int]
    flops: float

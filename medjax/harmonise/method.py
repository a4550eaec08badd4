"""What every method of harmonisation is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Harmoniser(NamedTuple):
    """A method as two pure functions.

    Attributes:
        fit: from training data, or the target to look like, to a state: a NamedTuple of
            arrays or an array.
        transform: ``(state, data, ...) -> data`` of the same shape.
    """

    fit: Callable[..., Any]
    transform: Callable[..., Any]

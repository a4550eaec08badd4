"""What lowerings for CPU share."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

import jax
from jax.interpreters import mlir

from medjax.core.types import Array

_alone = contextvars.ContextVar("alone", default=False)


def lowered_for_cpu(function: Callable[..., Array]) -> Callable:
    """A primitive's rule for CPU, from a function in which `used_whole` may stand."""
    rule = mlir.lower_fun(function, multiple_results=False)

    def lowered(context, *args, **settings):
        devices = getattr(context.module_context.axis_context, "num_devices", 1) or 1
        token = _alone.set(devices == 1)
        try:
            return rule(context, *args, **settings)
        finally:
            _alone.reset(token)

    return lowered


def used_whole(x: Array) -> Array:
    """``x``, made known to XLA as an array that is needed as such.

    Else XLA on CPU computes sums of gradients along residual paths anew in each loop that reads
    them, ten operands at a time. Where there are several devices it does nothing: a use like
    this would gather the array on each.
    """
    if _alone.get():
        jax.lax.dce_sink(x, prevent_mlir_dce=True)
    return x

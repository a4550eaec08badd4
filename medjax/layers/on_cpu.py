"""What lowerings for CPU share."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from medjax.core.types import Array

_alone = contextvars.ContextVar("alone", default=False)


def lowered_for_cpu(function: Callable[..., Array]) -> Callable:
    """A primitive's rule for CPU, from a function in which `used_whole` may stand."""
    rule = mlir.lower_fun(function, multiple_results=False)

    def lowered(context, *args, **settings):
        module = context.module_context
        devices = getattr(module.axis_context, "num_devices", 1) or 1
        # What is exported must not hold a call that other versions may not know.
        exported = getattr(module.lowering_parameters, "for_export", False)
        token = _alone.set(devices == 1 and not exported)
        try:
            return rule(context, *args, **settings)
        finally:
            _alone.reset(token)

    return lowered


def is_alone() -> bool:
    """Whether what is being lowered runs here and on one device, with whole arrays."""
    return _alone.get()


def used_whole(x: Array) -> Array:
    """``x``, made known to XLA as an array that is needed as such.

    Else XLA on CPU computes sums of gradients along residual paths anew in each loop that reads
    them, ten operands at a time. Where there are several devices it does nothing: a use like
    this would gather the array on each.
    """
    if is_alone():
        jax.lax.dce_sink(x, prevent_mlir_dce=True)
    return x


def computed_once(x: Array) -> Array:
    """``x``, which is computed once on CPU, and not for each of its uses; see `used_whole`."""
    return computed_once_p.bind(x)


computed_once_p = Primitive("medjax_computed_once")
computed_once_p.def_impl(lambda x: x)
computed_once_p.def_abstract_eval(lambda x: x)
ad.deflinear2(computed_once_p, lambda ct, x: [ct])
batching.defvectorized(computed_once_p)
mlir.register_lowering(computed_once_p, lambda context, x: [x])
mlir.register_lowering(computed_once_p, lowered_for_cpu(used_whole), "cpu")

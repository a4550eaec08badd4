"""What lowerings for CPU share."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from medjax.core.types import Array, Float

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
    """``x``, which is computed once on CPU, and not for each of its uses; see `used_whole`.

    So is its gradient.
    """
    return computed_once_p.bind(x)


def concatenated(
    x: Float[Array, "*places in"], y: Float[Array, "*places more"]
) -> Float[Array, "*places both"]:
    """The channels of ``x`` and then those of ``y``, computed once on CPU.

    A sum of both between zeros: a concatenation reads no more than it writes, and XLA copies such
    anew for each use.
    """

    def padded(z: Array, before: int, after: int) -> Array:
        edges = [(0, 0, 0)] * (z.ndim - 1) + [(before, after, 0)]
        return jax.lax.pad(z, jnp.zeros((), z.dtype), edges)

    return computed_once(padded(x, 0, y.shape[-1]) + padded(y, x.shape[-1], 0))


def _transposed(ct: Any, x: Any) -> list[Any]:
    return [ct if type(ct) is ad.Zero else computed_once(ct)]


computed_once_p = Primitive("medjax_computed_once")
computed_once_p.def_impl(lambda x: x)
computed_once_p.def_abstract_eval(lambda x: x)
ad.deflinear2(computed_once_p, _transposed)
batching.defvectorized(computed_once_p)
mlir.register_lowering(computed_once_p, lambda context, x: [x])
mlir.register_lowering(computed_once_p, lowered_for_cpu(used_whole), "cpu")

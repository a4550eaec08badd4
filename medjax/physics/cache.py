"""Work on a large batch a few megabytes at a time, where that is faster.

XLA on CPU runs one elementwise loop or transform after the other over the whole
array, each of which reads and writes memory. A loop over parts of the batch keeps
each part in the processor's cache from the first to the last of them. On a GPU or
TPU, or for a batch that is spread over devices, such a loop would only serialise,
so which form is taken is known when the program is lowered, and the other is not
compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import mlir

from medjax.core.types import Array

CACHED = 2**22
"""Bytes of one part; half or twice of it is as fast."""


def in_parts(
    function: Callable[..., Array], *arrays: Array, batch: Sequence[int], nbytes: int
) -> Array:
    """``function(*arrays)``, on one CPU device by a loop over the batch.

    Args:
        function: of arrays with any number of leading batch axes, which it treats
            sample by sample.
        arrays: whose leading axes are ``batch``.
        batch: the shape of the batch.
        nbytes: what the largest intermediate array takes for the whole batch.

    Returns:
        The function's value, with the same leading axes.
    """
    samples = math.prod(batch)
    fits = max(1, CACHED * samples // max(nbytes, 1))
    if fits >= samples:
        return function(*arrays)
    together = max(n for n in range(1, fits + 1) if samples % n == 0)

    def parts(*arrays: Array) -> Array:
        split = [a.reshape(-1, together, *a.shape[len(batch) :]) for a in arrays]
        out = jax.lax.map(lambda part: function(*part), split)
        return out.reshape(*batch, *out.shape[2:])

    return jax.lax.cond(one_cpu_p.bind(), parts, function, *arrays)


one_cpu_p = Primitive("medjax_one_cpu")
one_cpu_p.def_impl(jax.jit(lambda: one_cpu_p.bind()))
one_cpu_p.def_abstract_eval(lambda: jax.core.ShapedArray((), np.dtype(bool)))


def _constant(cpu: bool) -> Callable:
    def rule(context):
        devices = getattr(context.module_context.axis_context, "num_devices", 1) or 1
        answer = mlir.lower_fun(lambda: jnp.asarray(cpu and devices == 1), multiple_results=False)
        return answer(context)

    return rule


mlir.register_lowering(one_cpu_p, _constant(False))
mlir.register_lowering(one_cpu_p, _constant(True), platform="cpu")

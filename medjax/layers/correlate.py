"""Correlation of an image with a kernel, whose derivatives are fast wherever they stand.

XLA has fast convolutions on CPU for one order of axes: batch first and channels last, the
kernel's outputs last. Its own derivatives come in other orders, which it brings into that one in
the outermost computation alone: inside a ``cond``, ``scan`` or ``while`` a kernel's gradient is a
plain loop, tens of times slower (``experiments/benchmarks/convolution.py``). So this is a
primitive, whose derivatives are itself; `correlate_cpu` has what it is lowered to on CPU.
Elsewhere it is what JAX would have made.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from medjax.core.types import Array, Float

from .correlate_cpu import channels_last, correlated
from .on_cpu import lowered_for_cpu


def correlate(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window in out"],
    strides: tuple[int, ...],
    edges: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    spread: tuple[int, ...] | None = None,
) -> Float[Array, "batch *reduced out"]:
    """``y[i] = sum of x[strides i + dilation k - before] kernel[k]`` over the window ``k``.

    Differentiable in both arguments as often as one likes, forwards and backwards.

    Args:
        x: image with 2 or 3 spatial axes.
        kernel: of its dtype.
        strides: step between outputs along each axis.
        edges: zeros before and after each spatial axis.
        dilation: step between the window's samples along each axis.
        spread: put so many zeros, less 1, between two samples of the image; none by default.
    """
    layout = lax.conv_dimension_numbers(x.shape, kernel.shape, channels_last(len(strides)))
    return _bound(
        x,
        kernel,
        strides=tuple(strides),
        edges=tuple(edges),
        spread=tuple(spread or (1,) * len(strides)),
        dilation=tuple(dilation),
        layout=layout,
    )


correlate_p = Primitive("medjax_correlate")
"""Bilinear ``(x, kernel)``: a convolution with any order of axes, ``layout``, of which ``spread``
puts zeros between the samples of ``x``; see `correlate` for the rest."""


def _bound(x: Array, kernel: Array, **settings) -> Array:
    """The primitive, of arguments that vary over the same axes of a mesh in `jax.shard_map`."""
    axes = [jax.typeof(each).mat.varying for each in (x, kernel)]
    x, kernel = (
        lax.pcast(each, tuple(sorted(missing)), to="varying") if missing else each
        for each, missing in ((x, axes[1] - axes[0]), (kernel, axes[0] - axes[1]))
    )
    return correlate_p.bind(x, kernel, **settings)


def _plainly(x: Array, kernel: Array, *, strides, edges, spread, dilation, layout) -> Array:
    return lax.conv_general_dilated(x, kernel, strides, edges, spread, dilation, layout)


def _reach(size: int, apart: int) -> int:
    """The length of so many samples with ``apart - 1`` zeros between two."""
    return (size - 1) * apart + 1


def _abstract(x, kernel, *, strides, edges, spread, dilation, layout):
    shape = [0] * x.ndim
    shape[layout.out_spec[0]] = x.shape[layout.lhs_spec[0]]
    shape[layout.out_spec[1]] = kernel.shape[layout.rhs_spec[0]]
    sizes, window = _sizes(x.shape, layout.lhs_spec), _sizes(kernel.shape, layout.rhs_spec)
    for i, at in enumerate(layout.out_spec[2:]):
        free = _reach(sizes[i], spread[i]) + sum(edges[i]) - _reach(window[i], dilation[i])
        shape[at] = free // strides[i] + 1
    return x.update(shape=tuple(shape))


def _sizes(shape: tuple[int, ...], spec: tuple[int, ...]) -> list[int]:
    return [shape[axis] for axis in spec[2:]]


def _swapped(spec: tuple[int, ...]) -> tuple[int, ...]:
    return (spec[1], spec[0], *spec[2:])


def _to_image(ct, x, kernel, *, strides, edges, spread, dilation, layout):
    """Transposed in ``x``: outputs, spread by the strides, with the mirrored kernel."""
    back = lax.ConvDimensionNumbers(layout.out_spec, _swapped(layout.rhs_spec), layout.lhs_spec)
    sizes = zip(
        _sizes(x.aval.shape, layout.lhs_spec),
        _sizes(kernel.shape, layout.rhs_spec),
        _sizes(ct.shape, layout.out_spec),
        strict=True,
    )
    around = []
    for i, (size, window, outputs) in enumerate(sizes):
        before = _reach(window, dilation[i]) - 1 - edges[i][0]
        whole = _reach(size, spread[i]) + _reach(window, dilation[i]) - 1
        around.append((before, whole - _reach(outputs, strides[i]) - before))
    return _bound(
        ct,
        jnp.flip(kernel, layout.rhs_spec[2:]),
        strides=spread,
        edges=tuple(around),
        spread=strides,
        dilation=dilation,
        layout=back,
    )


def _to_kernel(ct, x, kernel, *, strides, edges, spread, dilation, layout):
    """Transposed in ``kernel``: the image with the outputs as its kernel, batch as channels."""
    back = lax.ConvDimensionNumbers(*(_swapped(layout[i]) for i in (0, 2, 1)))
    sizes = zip(
        _sizes(x.shape, layout.lhs_spec),
        _sizes(kernel.aval.shape, layout.rhs_spec),
        _sizes(ct.shape, layout.out_spec),
        strict=True,
    )
    around = []
    for i, (size, window, outputs) in enumerate(sizes):
        whole = _reach(outputs, strides[i]) + _reach(window, dilation[i]) - 1
        around.append((edges[i][0], whole - _reach(size, spread[i]) - edges[i][0]))
    return _bound(
        x,
        ct,
        strides=dilation,
        edges=tuple(around),
        spread=spread,
        dilation=strides,
        layout=back,
    )


def _transposed(ct, x, kernel, **settings):
    if ad.is_undefined_primal(x):
        if type(ct) is ad.Zero:
            return [ad.Zero(x.aval), None]
        return [_to_image(ct, x, kernel, **settings), None]
    if type(ct) is ad.Zero:
        return [None, ad.Zero(kernel.aval)]
    return [None, _to_kernel(ct, x, kernel, **settings)]


def _bilinear(primals, tangents, **settings):
    (x, kernel), (dx, dkernel) = primals, tangents
    terms = []
    if type(dx) is not ad.Zero:
        terms.append(_bound(dx, kernel, **settings))
    if type(dkernel) is not ad.Zero:
        terms.append(_bound(x, dkernel, **settings))
    return _bound(x, kernel, **settings), functools.reduce(jnp.add, terms)


def _batched(args, dims, *, layout, **settings):
    (x, kernel), (at_x, at_kernel) = args, dims
    if at_kernel is None:  # the images join the batch, as the first part of its index
        return _joined(
            x,
            at_x,
            layout.lhs_spec[0],
            layout.out_spec[0],
            lambda joined: _bound(joined, kernel, layout=layout, **settings),
        )
    if at_x is None:  # the kernels' outputs are outputs of one kernel
        return _joined(
            kernel,
            at_kernel,
            layout.rhs_spec[0],
            layout.out_spec[1],
            lambda joined: _bound(x, joined, layout=layout, **settings),
        )
    x, kernel = jnp.moveaxis(x, at_x, 0), jnp.moveaxis(kernel, at_kernel, 0)
    one = functools.partial(_bound, layout=layout, **settings)
    plain = functools.partial(_plainly, layout=layout, **settings)
    # Each with a kernel of its own would be groups of channels, slow on CPU.
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: lax.map(lambda pair: one(*pair), (x, kernel)),
        default=jax.vmap(plain),
    ), 0


def _joined(array, at, into, out, function):
    """Apply with the axis ``at`` merged into the axis ``into`` of what remains; undo at ``out``."""
    array = jnp.moveaxis(array, at, into)
    count = array.shape[into]
    shape = array.shape
    array = array.reshape(*shape[:into], count * shape[into + 1], *shape[into + 2 :])
    y = function(array)
    return y.reshape(*y.shape[:out], count, y.shape[out] // count, *y.shape[out + 1 :]), out


correlate_p.def_impl(
    jax.jit(correlate_p.bind, static_argnames=("strides", "edges", "spread", "dilation", "layout"))
)
correlate_p.def_abstract_eval(_abstract)
mlir.register_lowering(correlate_p, mlir.lower_fun(_plainly, multiple_results=False))
mlir.register_lowering(correlate_p, lowered_for_cpu(correlated), "cpu")
ad.primitive_jvps[correlate_p] = _bilinear
ad.primitive_transposes[correlate_p] = _transposed
batching.primitive_batchers[correlate_p] = _batched

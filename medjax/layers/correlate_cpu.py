"""How `correlate` is made on CPU: the order of axes and the form that XLA has fast code for.

Measured by ``experiments/benchmarks/convolution.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from medjax.core.types import Array, Float

from .on_cpu import used_whole

Edges = tuple[tuple[int, int], ...]

NARROW = 2
"""Outputs up to which sums of shifted products are faster: XLA makes whole vectors of outputs."""


def correlated(
    x: Array,
    kernel: Array,
    *,
    strides: tuple[int, ...],
    edges: Edges,
    spread: tuple[int, ...],
    dilation: tuple[int, ...],
    layout: lax.ConvDimensionNumbers,
) -> Array:
    """The convolution with these orders of axes; see `medjax.layers.correlate`."""
    images, kernels, result = layout
    if set(spread) == {1} and min(end for edge in edges for end in edge) < 0:
        for axis, (before, after) in zip(images[2:], edges, strict=True):
            x = lax.slice_in_dim(x, max(0, -before), x.shape[axis] - max(0, -after), axis=axis)
        edges = tuple((max(0, before), max(0, after)) for before, after in edges)
    first, last, *rest = result
    place = (first, *rest, last)  # where each axis of a result with channels last goes
    plain = {*strides, *spread, *dilation} == {1}
    sizes = [
        (x.shape[axis] - 1) * apart + 1 for axis, apart in zip(images[2:], spread, strict=True)
    ]
    window = [kernel.shape[axis] for axis in kernels[2:]]
    fewer = x.shape[images[0]] > kernel.shape[kernels[0]]
    x = used_whole(x)
    if math.prod(window) * 4 > math.prod(sizes):  # an image too
        kernel = used_whole(kernel)
    if set(window) == {1}:
        y = _pointwise(_as_image(x, images), _as_kernel(kernel, kernels), strides, edges, spread)
    elif (
        set(spread) == {1}
        and set(edges) == {(0, 0)}
        and _is_one_place(sizes, window, strides, dilation)
    ):
        y = _whole(x, kernel, dilation, layout)
    elif plain and _is_narrow(x, kernel, layout):
        y = narrow(_as_image(x, images), _as_kernel(kernel, kernels), edges)
    elif {*strides, *dilation} == {1} and _is_upside_down(sizes, window, edges, fewer or not plain):
        # The image's batch goes outermost. In the gradient of a kernel it is channels that lie
        # innermost, a slow copy; the kernel's outputs may stay, so let the fewer be the batch.
        # With zeros in between the image would be the smaller of the two, see `_plainly`.
        around = _mirrored(sizes, window, edges)
        y = _plainly(
            _as_image(kernel, kernels), _as_kernel(x, images), strides, around, dilation, spread
        )
        y = jnp.flip(y, range(1, y.ndim - 1))
        place = (last, *rest, first)
    elif {*strides, *dilation} == {1} and not plain and _divides(spread, window):
        image, weights = _as_image(x, images), _as_kernel(kernel, kernels)
        y = by_phase(image, weights, edges, spread, _with_channels_last)
    else:
        y = _plainly(
            _as_image(x, images), _as_kernel(kernel, kernels), strides, edges, spread, dilation
        )
    return y.transpose([place.index(axis) for axis in range(y.ndim)])


def channels_last(ndim: int) -> tuple[str, str, str]:
    """The order of axes with channels last, as `jax.lax.conv_dimension_numbers` reads it."""
    axes = "DHW"[-ndim:]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def narrow(
    x: Float[Array, "batch *spatial in"], kernel: Float[Array, "*window in out"], edges: Edges
) -> Float[Array, "batch *reduced out"]:
    """A convolution whose channels are summed first, and then the window, an axis at a time.

    It holds as many images of the outputs as there are places in the window.
    """
    ndim = x.ndim - 2
    precise = x.dtype if x.dtype == jnp.float64 else jnp.float32
    y = jnp.tensordot(x, kernel, axes=((-1,), (-2,)), preferred_element_type=precise)
    for axis, edge in enumerate(edges, start=1):
        # (batch, *reduced, *spatial, *window, out): the first of either is next.
        y = jnp.pad(y, [edge if a == axis else (0, 0) for a in range(y.ndim)])
        window = y.shape[ndim + 1]
        size = y.shape[axis] - window + 1
        places = (lax.index_in_dim(y, k, ndim + 1, keepdims=False) for k in range(window))
        y = sum(lax.slice_in_dim(part, k, k + size, axis=axis) for k, part in enumerate(places))
    return y.astype(x.dtype)


def by_phase(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window in out"],
    edges: Edges,
    spread: tuple[int, ...],
    convolve: Callable[[Array, Array, Edges], Array],
) -> Float[Array, "batch *enlarged out"]:
    """A convolution of an image with ``spread - 1`` zeros between two samples, without the zeros.

    An output meets every ``spread``-th place of the window, and which ones is decided by its
    place between two samples, its phase. Phases are channels of one convolution of the image as
    it is, and are put side by side then. Where ``spread`` does not divide the window, zeros fill
    it up.

    Args:
        x: image with any number of spatial axes.
        kernel: see ``convolve``.
        edges: zeros before and after each spatial axis, after the spreading.
        spread: distance of two samples.
        convolve: ``(image, kernel, edges)`` to the convolution with strides of 1; the edges may
            be negative.
    """
    ndim = x.ndim - 2
    more = [-k % step for k, step in zip(kernel.shape, spread, strict=False)]
    kernel = jnp.pad(kernel, [*((0, n) for n in more), (0, 0), (0, 0)])
    around, kept, parts = [], [], []
    each = zip(x.shape[1:-1], kernel.shape, spread, edges, more, strict=False)
    for size, k, step, (before, after), extra in each:
        outputs = (size - 1) * step + before + after + extra - k + 2
        # Output o is phase r of the window that begins with sample m + 1, where
        # o - before - 1 = step m + r, and meets the window's places step - 1 - r + step l.
        first, last = (-before - 1) // step, (outputs - before - 2) // step
        around.append((-first - 1, last + k // step - size + 1))
        start = -before - 1 - step * first
        kept.append(slice(start, start + outputs))
        parts += [k // step, step]
    features = kernel.shape[-1]
    kernel = jnp.flip(kernel.reshape(*parts, -1, features), range(1, 2 * ndim, 2))
    windows, phases = range(0, 2 * ndim, 2), range(1, 2 * ndim, 2)
    kernel = kernel.transpose(*windows, 2 * ndim, *phases, 2 * ndim + 1)
    y = convolve(x, kernel.reshape(*parts[::2], x.shape[-1], -1), tuple(around))
    batch, *sizes, _ = y.shape
    y = y.reshape(batch, *sizes, *spread, features)
    order = [axis for i in range(1, ndim + 1) for axis in (i, ndim + i)]
    y = y.transpose(0, *order, 2 * ndim + 1)
    sizes = [n * step for n, step in zip(sizes, spread, strict=True)]
    return y.reshape(batch, *sizes, features)[:, *kept]


def _with_channels_last(x: Array, kernel: Array, edges: Edges) -> Array:
    ones = (1,) * len(edges)
    layout = lax.conv_dimension_numbers(x.shape, kernel.shape, channels_last(len(edges)))
    return correlated(
        x, kernel, strides=ones, edges=edges, spread=ones, dilation=ones, layout=layout
    )


def _divides(spread: tuple[int, ...], window: list[int]) -> bool:
    return all(k % step == 0 for step, k in zip(spread, window, strict=True))


def _plainly(
    x: Array,
    kernel: Array,
    strides: tuple[int, ...],
    edges: Edges,
    spread: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Array:
    if math.prod(kernel.shape[:-2]) > math.prod(x.shape[1:-1]) and set(spread) == {1}:
        # XLA would take the larger of the two for the image and mirror the other, for which it
        # has no fast code; and it would take zeros that are not held back for edges.
        x = lax.optimization_barrier(jnp.pad(x, ((0, 0), *edges, (0, 0))))
        edges = ((0, 0),) * len(edges)
    order = channels_last(len(strides))
    return lax.conv_general_dilated(x, kernel, strides, edges, spread, dilation, order)


def _pointwise(
    x: Array, kernel: Array, strides: tuple[int, ...], edges: Edges, spread: tuple[int, ...]
) -> Array:
    """A window of one place: a product of matrices."""
    kernel = kernel.reshape(kernel.shape[-2:])
    some = (slice(None), *(slice(None, None, step) for step in strides))
    around = [(*edge, apart - 1) for edge, apart in zip(edges, spread, strict=True)]
    if set(around) == {(0, 0, 0)}:
        return jnp.tensordot(x[some], kernel, axes=1)
    y = jnp.tensordot(x, kernel, axes=1)
    return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *around, (0, 0, 0)])[some]


def _is_one_place(
    sizes: list[int], window: list[int], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> bool:
    """Whether the window fits into the image once, as in the gradient of a kernel of one place."""
    each = zip(sizes, window, strides, dilation, strict=True)
    return all(0 <= n - ((k - 1) * apart + 1) < step for n, k, step, apart in each)


def _whole(
    x: Array, kernel: Array, dilation: tuple[int, ...], layout: lax.ConvDimensionNumbers
) -> Array:
    """An image of one place: a product of matrices, in whatever order axes are."""
    (batch, channels, *axes), (outputs, inputs, *window), _ = layout
    for axis, k, step in zip(axes, window, dilation, strict=True):
        reach = (kernel.shape[k] - 1) * step + 1
        x = lax.slice_in_dim(x, 0, reach, step, axis)
    # What is summed lies along one axis: along several XLA copies an operand into another order.
    pairs = sorted(zip((channels, *axes), (inputs, *window), strict=True))
    over_image, over_window = zip(*pairs, strict=True)
    rows, at = _matrix(x, batch, over_image)
    columns, below = _matrix(kernel, outputs, over_window)
    y = lax.dot_general(rows, columns, (((at,), (below,)), ((), ())))
    return y.reshape(y.shape[0], *(1,) * len(axes), y.shape[1])


def _matrix(x: Array, kept: int, over: tuple[int, ...]) -> tuple[Array, int]:
    """``x`` with the axes ``over`` as one, and which of the two that is: the second where the
    kept axis lies outermost."""
    if kept == 0:
        return x.transpose(kept, *over).reshape(x.shape[kept], -1), 1
    return x.transpose(*over, kept).reshape(-1, x.shape[kept]), 0


def _as_image(x: Array, spec: tuple[int, ...]) -> Array:
    batch, channels, *axes = spec
    return x.transpose(batch, *axes, channels)


def _as_kernel(x: Array, spec: tuple[int, ...]) -> Array:
    outputs, inputs, *window = spec
    return x.transpose(*window, inputs, outputs)


def _is_narrow(x: Array, kernel: Array, layout: lax.ConvDimensionNumbers) -> bool:
    outputs, inputs, *window = (kernel.shape[axis] for axis in layout.rhs_spec)
    # What it holds must not be much more than the input.
    return outputs <= NARROW and math.prod(window) * outputs <= 4 * inputs


def _is_upside_down(sizes: list[int], window: list[int], edges: Edges, worth: bool) -> bool:
    """Whether the window is the larger image of the two, as in the gradient of a kernel, and it
    is worth it to exchange them."""
    each = zip(sizes, window, edges, strict=True)
    reach = [n + sum(edge) - k + 1 for n, k, edge in each]
    ends = [end for pair in _mirrored(sizes, window, edges) for end in pair]
    return worth and math.prod(reach) < math.prod(window) and min(ends) >= 0


def _mirrored(sizes: list[int], window: list[int], edges: Edges) -> Edges:
    """Zeros around the kernel with which the image, as its kernel, gives the mirrored outputs."""
    each = zip(sizes, window, edges, strict=True)
    return tuple((n + after - k, n + before - k) for n, k, (before, after) in each)

"""Transposed convolution whose windows overlap, and convolution of an enlarged image."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .bias import with_bias
from .conv import Edges, Size, convolve_folded, per_axis, require_image
from .correlate import correlate
from .correlate_cpu import by_phase


def convolve_transposed(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window in out"],
    stride: Size = 2,
    *,
    kept: Sequence[tuple[int, int]] | None = None,
) -> Float[Array, "batch *enlarged out"]:
    """``y[stride i + k] = sum of x[i] kernel[k]``, ``(size - 1) stride + window`` an axis.

    What PyTorch's ``conv_transpose`` gives without padding. It is a correlation with zeros put
    between the inputs; on CPU one without them, whose channels are the outputs between two
    inputs, of a volume and where the stride divides the window (`correlate_cpu.by_phase`).

    Args:
        x: image with 2 or 3 spatial axes.
        kernel: of its dtype.
        stride: factor of enlargement along each axis.
        kept: the first output and the one after the last that are wanted, of each axis.
    """
    ndim = x.ndim - 2
    stride = per_axis(stride, ndim, "stride")
    window = kernel.shape[:ndim]
    sizes = [(n - 1) * s + k for n, s, k in zip(x.shape[1:-1], stride, window, strict=True)]
    kept = kept or [(0, size) for size in sizes]
    each = zip(kept, sizes, window, strict=True)
    edges = tuple((k - 1 - a, k - 1 - (size - b)) for (a, b), size, k in each)
    kernel = jnp.flip(kernel, range(ndim))
    ones = (1,) * ndim

    def plainly(x: Array, kernel: Array) -> Array:
        return correlate(x, kernel, ones, edges, ones, stride)

    def on_cpu(x: Array, kernel: Array) -> Array:
        return by_phase(x, kernel, edges, stride, _in_a_volume)

    if ndim == 2:
        return plainly(x, kernel)
    return jax.lax.platform_dependent(x, kernel, cpu=on_cpu, default=plainly)


def convolve_resized(
    x: Float[Array, "batch *spatial in"], kernel: Float[Array, "*window in out"], factor: Size = 2
) -> Float[Array, "batch *enlarged out"]:
    """The convolution of an image that was enlarged by nearest neighbours, without enlarging it.

    Most of a window's samples are alike then: it is a transposed convolution, whose kernel is
    the sum of the mirrored one moved by less than the factor (Aitken et al. 2017,
    arXiv:1707.02937). With a window of 3 and a factor of 2 that is four samples instead of nine
    an output of an image, 8 instead of 27 of a volume.

    Args:
        x: image with 2 or 3 spatial axes.
        kernel: summed in its dtype and then of that of ``x``.
        factor: of enlargement along each axis.

    Returns:
        The outputs in the dtype of ``x``; with zeros around the image as for
        `medjax.layers.convolve`, "same".
    """
    ndim = x.ndim - 2
    factor = per_axis(factor, ndim, "factor")
    window = kernel.shape[:ndim]
    kernel = jnp.flip(kernel, range(ndim))
    for axis, step in enumerate(factor):
        edges = [(0, 0)] * kernel.ndim
        moved = [[*edges[:axis], (i, step - 1 - i), *edges[axis + 1 :]] for i in range(step)]
        kernel = sum(jnp.pad(kernel, edge) for edge in moved)
    each = zip(window, x.shape[1:-1], factor, strict=True)
    kept = [(k // 2, k // 2 + n * step) for k, n, step in each]
    return convolve_transposed(x, kernel.astype(x.dtype), factor, kept=kept)


def _in_a_volume(x: Array, kernel: Array, edges: Edges) -> Array:
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((*e, 0) for e in edges), (0, 0, 0)])
    return convolve_folded(x, kernel, (1, 1, 1), padding=0)


class ResizeConv(nn.Module):
    """Nearest neighbours and a convolution (Odena et al. 2016, doi:10.23915/distill.00003).

    `convolve_resized`, with the parameters of a `medjax.layers.Conv` after the enlarging; 2D or
    3D by its input.

    Attributes:
        features: output channels.
        factor: of enlargement along each axis.
        kernel_size: window along each axis, on the larger grid.
        use_bias: whether to add a learned constant a channel.
        kernel_init: initialiser of the kernel.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    factor: Size = 2
    kernel_size: Size = 3
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.he_normal()
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        window = per_axis(self.kernel_size, x.ndim - 2, "kernel_size")
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        y = convolve_resized(x.astype(self.dtype), kernel, self.factor)
        return with_bias(self, y)


class OverlappingTranspose(nn.Module):
    """Transposed convolution with a window of at least the stride; 2D or 3D by its input.

    The output is ``stride`` times as large as the input: what reaches beyond it is cut off, the
    odd voxel at the start, as PyTorch's networks do with ``padding`` and ``output_padding``.
    `medjax.layers.ConvTranspose` is the one whose windows do not overlap.

    Attributes:
        features: output channels.
        kernel_size: window along each axis.
        stride: factor of enlargement along each axis.
        use_bias: whether to add a learned constant a channel.
        kernel_init: initialiser of the kernel.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    kernel_size: Size = 4
    stride: Size = 2
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.normal(0.02)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image.

        Raises:
            InputError: for another rank or dtype, or a window smaller than the stride.
        """
        require_image(x, type(self).__name__)
        window = per_axis(self.kernel_size, x.ndim - 2, "kernel_size")
        stride = per_axis(self.stride, x.ndim - 2, "stride")
        if any(k < s for k, s in zip(window, stride, strict=True)):
            raise InputError("kernel_size", f"at least the stride {stride}", window)
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        starts = [(k - s + 1) // 2 for k, s in zip(window, stride, strict=True)]
        each = zip(starts, x.shape[1:-1], stride, strict=True)
        y = convolve_transposed(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride,
            kept=[(start, start + n * s) for start, n, s in each],
        )
        return with_bias(self, y)

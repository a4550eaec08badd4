"""Transposed convolution whose windows overlap, as one convolution and a reshape."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import Size, convolve, per_axis, require_image


def convolve_transposed(
    x: Float[Array, "batch *spatial in"], kernel: Float[Array, "*window in out"], stride: Size = 2
) -> Float[Array, "batch *enlarged out"]:
    """``y[stride i + k] = sum of x[i] kernel[k]``, ``(size - 1) stride + window`` an axis.

    What PyTorch's ``conv_transpose`` gives without padding. The outputs between two inputs
    (``stride`` an axis) are channels of one ordinary convolution of the small image, and come
    to their places by a reshape: a convolution with zeros put between the inputs, which is what
    XLA makes of the textbook form, does several times the work, and on CPU has no fast code.

    Args:
        x: image with 2 or 3 spatial axes.
        kernel: of its dtype.
        stride: factor of enlargement along each axis.
    """
    ndim = x.ndim - 2
    stride = per_axis(stride, ndim, "stride")
    *window, inputs, features = kernel.shape
    reach = [-(-k // s) for k, s in zip(window, stride, strict=True)]  # inputs that an output sees
    ends = [(0, r * s - k) for r, s, k in zip(reach, stride, window, strict=True)]
    kernel = jnp.pad(kernel, [*ends, (0, 0), (0, 0)])
    blocks = [n for r, s in zip(reach, stride, strict=True) for n in (r, s)]
    kernel = kernel.reshape(*blocks, inputs, features)
    # (r0, s0, r1, s1, ..., in, out) to (r0, r1, ..., in, s0, s1, ..., out)
    order = [*range(0, 2 * ndim, 2), 2 * ndim, *range(1, 2 * ndim, 2), 2 * ndim + 1]
    kernel = jnp.flip(kernel.transpose(order), tuple(range(ndim)))
    kernel = kernel.reshape(*reach, inputs, -1)
    y = (
        convolve(x, kernel, padding=tuple(r - 1 for r in reach))
        if max(reach) > 1
        else convolve(x, kernel)
    )
    sizes = y.shape[1:-1]
    y = y.reshape(x.shape[0], *sizes, *stride, features)
    order = [axis for i in range(ndim) for axis in (1 + i, 1 + ndim + i)]
    y = y.transpose(0, *order, y.ndim - 1)
    y = y.reshape(x.shape[0], *(n * s for n, s in zip(sizes, stride, strict=True)), features)
    each = zip(x.shape[1:-1], stride, window, strict=True)
    return y[:, *(slice((n - 1) * s + k) for n, s, k in each)]


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
        y = convolve_transposed(x.astype(self.dtype), kernel.astype(self.dtype), stride)
        starts = [(k - s + 1) // 2 for k, s in zip(window, stride, strict=True)]
        each = zip(starts, x.shape[1:-1], stride, strict=True)
        y = y[:, *(slice(start, start + n * s) for start, n, s in each)]
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = y + with_rank(bias.astype(self.dtype), y.ndim)
        return y

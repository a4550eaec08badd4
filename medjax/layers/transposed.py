"""Transposed convolution whose windows overlap."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import Size, per_axis, require_image
from .correlate import correlate
from .spread import biased


def convolve_transposed(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window in out"],
    stride: Size = 2,
    *,
    kept: Sequence[tuple[int, int]] | None = None,
) -> Float[Array, "batch *enlarged out"]:
    """``y[stride i + k] = sum of x[i] kernel[k]``, ``(size - 1) stride + window`` an axis.

    What PyTorch's ``conv_transpose`` gives without padding. Of an image it is a correlation with
    zeros put between the inputs. Of a volume, for which XLA has no fast code on CPU, one product
    of matrices gives what each input adds to all outputs that it reaches, and what meets is added
    up, an axis at a time.

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
    if ndim == 2:
        each = zip(kept, sizes, window, strict=True)
        edges = tuple((k - 1 - a, k - 1 - (size - b)) for (a, b), size, k in each)
        return correlate(x, jnp.flip(kernel, (0, 1)), (1, 1), edges, (1, 1), stride)
    precise = x.dtype if x.dtype == jnp.float64 else jnp.float32
    y = jnp.tensordot(x, kernel, axes=((-1,), (-2,)), preferred_element_type=precise)
    for axis, step in enumerate(stride, start=1):
        # (batch, *enlarged, *spatial, *window, out): the first of either is next.
        y = _added_up(y, axis, ndim + 1, step)
    return y[:, *(slice(*ends) for ends in kept)].astype(x.dtype)


def _added_up(parts: Array, axis: int, window: int, stride: int) -> Array:
    """Put ``parts[i, k]`` at ``stride i + k``; ``k`` is the axis ``window``, which goes."""
    size, reach = parts.shape[axis], parts.shape[window]
    blocks = size + -(-reach // stride) - 1
    by_place = []  # between two inputs: a sum of whole arrays, each so many inputs further on
    for place in range(stride):
        total = jnp.zeros((), parts.dtype)
        for shift, k in enumerate(range(place, reach, stride)):
            edges = [(0, 0, 0)] * (parts.ndim - 1)
            edges[axis] = (shift, blocks - size - shift, 0)
            part = jax.lax.index_in_dim(parts, k, window, keepdims=False)
            total = total + jax.lax.pad(part, jnp.zeros((), parts.dtype), edges)
        by_place.append(total)
    shape = parts.shape[:window] + parts.shape[window + 1 :]
    shape = (*shape[:axis], blocks, *shape[axis + 1 :])
    y = jnp.stack([jnp.broadcast_to(total, shape) for total in by_place], axis + 1)
    y = y.reshape(*shape[:axis], blocks * stride, *shape[axis + 1 :])
    return jax.lax.slice_in_dim(y, 0, (size - 1) * stride + reach, axis=axis)


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
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = biased(y, bias)
        return y

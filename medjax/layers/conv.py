"""Convolution and transposed convolution of images and volumes.

Parameters are float32 and have Flax's names and layout, so that weights are
interchangeable with ``nn.Conv`` and ``nn.ConvTranspose``; the computation runs
in ``dtype``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .bias import with_bias
from .correlate import correlate
from .correlate_cpu import channels_last
from .grouped import convolve_shifted

Size = int | tuple[int, ...]
"""One number for all spatial axes, or one an axis."""

Padding = Literal["same", "half"] | int | tuple[int, ...]
"""Zeros around an image. same: as few as give ``ceil(size / stride)`` outputs, the odd one
at the end, as XLA and TensorFlow have it. half: half of the window at either end, as
PyTorch's networks have it: the same at stride 1, another grid of outputs at stride 2.
A number: so many at either end of each axis, or of its axis."""

Edges = Sequence[tuple[int, int]]
"""Zeros before and after each spatial axis."""


def per_axis(value: Size, ndim: int, who: str, *, least: int = 1) -> tuple[int, ...]:
    """``value`` as one number for each of ``ndim`` axes.

    Raises:
        InputError: for a tuple of another length, or a number below ``least``.
    """
    sizes = (value,) * ndim if isinstance(value, int) else tuple(value)
    if len(sizes) != ndim or min(sizes) < least:
        kind = "a positive integer" if least else "an integer from 0"
        raise InputError(who, f"{kind}, or {ndim} of them", value)
    return sizes


def require_image(x: Array, who: str) -> None:
    """Raise `InputError` unless ``x`` is floating, ``(batch, *spatial, channel)``, 2D or 3D."""
    if x.ndim not in (4, 5) or not jnp.issubdtype(x.dtype, jnp.floating):
        expected = "a floating array (batch, *spatial, channel) with 2 or 3 spatial axes"
        raise InputError(who, expected, f"{x.dtype} {x.shape}")


def edges_of(
    padding: Padding,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[tuple[int, int]]:
    """The zeros that a `Padding` comes to for an image of these sizes.

    Raises:
        InputError: for another padding.
    """
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if padding == "half":
        return [((k - 1) // 2 * d,) * 2 for k, d in zip(window, dilation, strict=True)]
    if padding == "same":
        each = zip(sizes, strides, reach, strict=True)
        total = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in each]
        return [(t // 2, t - t // 2) for t in total]
    if isinstance(padding, str):
        raise InputError("padding", "same, half or numbers", repr(padding))
    return [(p, p) for p in per_axis(padding, len(sizes), "padding", least=0)]


def convolve(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window in_group out"],
    strides: Size = 1,
    *,
    padding: Padding = "same",
    dilation: Size = 1,
    groups: int = 1,
) -> Float[Array, "batch *reduced out"]:
    """Cross-correlation of an image with a kernel.

    Args:
        x: image with 2 or 3 spatial axes.
        kernel: as many window axes as ``x`` has spatial ones; dtype of ``x``.
        strides: step between outputs along each axis.
        padding: zeros around the image.
        dilation: step between the window's samples along each axis.
        groups: parts of the channels, in order, that are convolved apart;
            as many as there are channels make a depthwise convolution.

    Returns:
        The outputs in the dtype of ``x``; with the padding "same" ``ceil(size / stride)``
        an axis.

    Raises:
        InputError: where the groups do not divide the channels.

    XLA's convolutions on CPU are several times slower than what they can be put in terms
    of (see ``experiments/benchmarks/convolution.py``), so there the depth of a volume is
    folded into channels, a window of one is a product of matrices, and convolutions in
    groups are sums of shifted products. Which form is compiled follows the platform that
    the program is lowered for, not the process that traces it.
    """
    strides = per_axis(strides, x.ndim - 2, "strides")
    dilation = per_axis(dilation, x.ndim - 2, "dilation")
    window = kernel.shape[:-2]
    if x.shape[-1] != groups * kernel.shape[-2] or kernel.shape[-1] % groups:
        channels = f"{x.shape[-1]} channels and {kernel.shape[-1]} features"
        raise InputError("groups", f"a divisor of {channels}", groups)
    edges = edges_of(padding, x.shape[1:-1], window, strides, dilation)

    def plainly(x: Array, kernel: Array) -> Array:
        return _convolve(x, kernel, strides, edges, dilation, groups)

    def on_cpu(x: Array, kernel: Array) -> Array:
        if groups > 1:
            return convolve_shifted(x, kernel, strides, edges, dilation, groups)
        return convolve_folded(x, kernel, strides, padding, dilation)

    if groups == 1 and (len(strides) == 2 or set(window) == {1}):
        return plainly(x, kernel)
    return jax.lax.platform_dependent(x, kernel, cpu=on_cpu, default=plainly)


def _convolve(
    x: Array,
    kernel: Array,
    strides: tuple[int, ...],
    edges: Edges,
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Array:
    if groups == 1:
        return correlate(x, kernel, strides, tuple(edges), dilation)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        strides,
        edges,
        rhs_dilation=dilation,
        dimension_numbers=channels_last(len(strides)),
        feature_group_count=groups,
    )


def convolve_folded(
    x: Float[Array, "batch d h w in"],
    kernel: Float[Array, "kd kh kw in out"],
    strides: tuple[int, int, int],
    padding: Padding = "same",
    dilation: tuple[int, int, int] = (1, 1, 1),
) -> Float[Array, "batch _ _ _ out"]:
    """3D `convolve` as one 2D convolution: the window's slices along depth become channels.

    It holds ``kd`` copies of the input for the time of the convolution.
    """
    batch, *sizes, channels = x.shape
    window, *plane, _, features = kernel.shape
    edges = edges_of(padding, tuple(sizes), kernel.shape[:3], strides, dilation)
    step, apart = strides[0], dilation[0]
    x = jnp.pad(x, ((0, 0), edges[0], (0, 0), (0, 0), (0, 0)))
    outputs = (x.shape[1] - (window - 1) * apart - 1) // step + 1
    reach = (outputs - 1) * step + 1
    starts = range(0, window * apart, apart)
    x = jnp.concatenate(
        [jax.lax.slice_in_dim(x, i, i + reach, step, axis=1) for i in starts], axis=-1
    )
    x = x.reshape(batch * outputs, *sizes[1:], window * channels)
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(*plane, window * channels, features)
    y = _convolve(x, kernel, strides[1:], edges[1:], dilation[1:])
    return y.reshape(batch, outputs, *y.shape[1:])


def standardised(kernel: Float[Array, "*window in out"]) -> Float[Array, "*window in out"]:
    """A kernel whose mean is 0 and variance 1 for each output channel.

    Weight standardisation of Qiao et al. 2019 (arXiv:1903.10520, eq. 7), with the 1e-5 under
    the root. In front of a group norm it does what batch norm does for the
    gradients, and needs no batch.
    """
    axes = tuple(range(kernel.ndim - 1))
    kernel = kernel - kernel.mean(axes, keepdims=True)
    return kernel * jax.lax.rsqrt((kernel**2).mean(axes, keepdims=True) + 1e-5)


class Conv(nn.Module):
    """Convolution with zero padding; 2D or 3D by its input.

    Initialisation is He et al. 2015 (arXiv:1502.01852, eq. 10): normal with
    variance ``2 / fan_in``, truncated at two standard deviations.

    Attributes:
        features: output channels.
        kernel_size: window along each axis.
        strides: step along each axis.
        use_bias: whether to add a learned constant a channel.
        dtype: of the computation and the output; parameters are float32.
        kernel_init: initialiser of the kernel.
        padding: see `Padding`.
        dilation: step between the window's samples along each axis.
        groups: see `convolve`; 0 for as many as there are input channels (depthwise).
        standardise: convolve with the `standardised` kernel.
    """

    features: int
    kernel_size: Size = 3
    strides: Size = 1
    use_bias: bool = True
    dtype: jnp.dtype | type = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.he_normal()
    padding: Padding = "same"
    dilation: Size = 1
    groups: int = 1
    standardise: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image.

        Raises:
            InputError: for another rank or dtype, and where the groups do not divide the
                channels.
        """
        require_image(x, type(self).__name__)
        window = per_axis(self.kernel_size, x.ndim - 2, "kernel_size")
        groups = self.groups or x.shape[-1]
        shape = (*window, x.shape[-1] // groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        if self.standardise:
            kernel = standardised(kernel)
        y = convolve(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=groups,
        )
        return with_bias(self, y)


class ConvTranspose(nn.Module):
    """Transposed convolution with the kernel as large as the stride; 2D or 3D by its input.

    Windows do not overlap then, so it is one dense layer and a reshape. Equal to
    ``nn.ConvTranspose`` of that kernel and stride, with the same parameters.

    Attributes:
        features: output channels.
        stride: factor of enlargement along each axis.
        use_bias: whether to add a learned constant a channel.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    stride: Size = 2
    use_bias: bool = True
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image by ``stride``.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        ndim = x.ndim - 2
        stride = per_axis(self.stride, ndim, "stride")

        # Each output sees one input voxel, so the window is no part of the fan-in; and no
        # rectifier follows, so the gain is 1.
        init = nn.initializers.variance_scaling(
            1.0, "fan_in", "truncated_normal", batch_axis=tuple(range(ndim))
        )
        kernel = self.param("kernel", init, (*stride, x.shape[-1], self.features), jnp.float32)
        # Flax's layout runs against the output's direction along each window axis.
        weights = jnp.flip(kernel, tuple(range(ndim))).astype(self.dtype)
        y = jnp.tensordot(x.astype(self.dtype), weights, axes=((-1,), (-2,)))
        # (batch, *spatial, *stride, features) to (batch, s0, r0, s1, r1, ..., features)
        order = [axis for i in range(ndim) for axis in (1 + i, 1 + ndim + i)]
        y = y.transpose(0, *order, y.ndim - 1)
        sizes = [n * s for n, s in zip(x.shape[1:-1], stride, strict=True)]
        y = y.reshape(x.shape[0], *sizes, self.features)
        return with_bias(self, y)

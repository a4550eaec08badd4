"""Enlarging by sub-pixel convolution: channels become places."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .conv import Conv, Size, per_axis


def pixel_shuffle(
    x: Float[Array, "batch *spatial values"], scale: Size
) -> Float[Array, "batch *larger channel"]:
    """Channels to places: each voxel becomes a block of ``scale`` voxels.

    Shi et al. 2016 (ESPCN, arXiv:1609.05158, eq. 4), 2D and 3D. As PyTorch's, the block's
    places run fastest among the channels, so that weights are interchangeable.

    Args:
        x: image whose channels are a multiple of the block's voxels.
        scale: factor of enlargement along each axis.

    Raises:
        InputError: where the channels are no multiple.
    """
    ndim = x.ndim - 2
    scale = per_axis(scale, ndim, "scale")
    block = math.prod(scale)
    if x.shape[-1] % block:
        raise InputError("pixel_shuffle", f"a multiple of {block} channels", x.shape[-1])
    y = x.reshape(*x.shape[:-1], x.shape[-1] // block, *scale)
    # (batch, *spatial, channel, *scale) to (batch, s0, r0, s1, r1, ..., channel)
    order = [axis for i in range(ndim) for axis in (1 + i, 2 + ndim + i)]
    y = y.transpose(0, *order, 1 + ndim)
    sizes = (n * s for n, s in zip(x.shape[1:-1], scale, strict=True))
    return y.reshape(x.shape[0], *sizes, x.shape[-1] // block)


def icnr(
    scale: tuple[int, ...], base: nn.initializers.Initializer | None = None
) -> nn.initializers.Initializer:
    """An initialiser with which `pixel_shuffle` begins as nearest-neighbour enlargement.

    Aitken et al. 2017 (arXiv:1707.02937, section 4): all places of a block start with one
    kernel, so that there is no checkerboard to unlearn.

    Args:
        scale: factor of enlargement along each axis.
        base: initialiser of that kernel; LeCun's by default, as no rectifier follows.

    Returns:
        An initialiser of kernels ``(*window, in, out)``, ``out`` a multiple of the block.
    """
    base = nn.initializers.lecun_normal() if base is None else base
    block = math.prod(scale)

    def init(key: Array, shape: tuple[int, ...], dtype: type = jnp.float32) -> Array:
        return jnp.repeat(base(key, (*shape[:-1], shape[-1] // block), dtype), block, axis=-1)

    return init


def scale_stages(scale: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A factor a step: the prime factors of each axis, so that 4 is 2 and 2, and 3 is 3.

    Axes with fewer of them take part in the first steps alone; none where all are 1.
    """

    def primes(n: int) -> list[int]:
        found, divisor = [], 2
        while n > 1:
            while n % divisor == 0:
                found.append(divisor)
                n //= divisor
            divisor += 1
        return found

    factors = [primes(s) for s in scale]
    count = max(len(f) for f in factors)
    return [tuple(f[i] if i < len(f) else 1 for f in factors) for i in range(count)]


class SubPixel(nn.Module):
    """A convolution to ``scale`` times as many places (Shi et al. 2016).

    Attributes:
        features: channels of the output.
        scale: factor of enlargement along each axis.
        kernel_size: window of the convolution.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    scale: Size = 2
    kernel_size: Size = 3
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *larger features"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D."""
        scale = per_axis(self.scale, x.ndim - 2, "scale")
        conv = Conv(
            self.features * math.prod(scale),
            self.kernel_size,
            kernel_init=icnr(scale),
            dtype=self.dtype,
            name="conv",
        )
        return pixel_shuffle(conv(x), scale)


class Upscale(nn.Module):
    """Sub-pixel convolutions one after the other, a prime factor each, as EDSR has them.

    Nothing where all factors are 1.

    Attributes:
        features: channels of each of them.
        scale: factor of enlargement along each axis in all.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    scale: Size = 2
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D."""
        scale = per_axis(self.scale, x.ndim - 2, "scale")
        for number, step in enumerate(scale_stages(scale)):
            x = SubPixel(self.features, step, dtype=self.dtype, name=f"step{number}")(x)
        return x


def nearest(
    x: Float[Array, "batch *spatial channel"], scale: Size
) -> Float[Array, "batch *larger channel"]:
    """Each voxel repeated ``scale`` times along each axis."""
    for axis, factor in enumerate(per_axis(scale, x.ndim - 2, "scale"), start=1):
        x = jnp.repeat(x, factor, axis=axis) if factor > 1 else x
    return x

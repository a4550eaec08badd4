"""From images to tokens."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .attention import INIT
from .bias import with_bias
from .conv import Size, per_axis, require_image


def patch_grid(spatial: tuple[int, ...], patch: Size) -> tuple[int, ...]:
    """Number of patches along each axis; the last may reach beyond the image."""
    sizes = per_axis(patch, len(spatial), "patch")
    return tuple(-(-n // p) for n, p in zip(spatial, sizes, strict=True))


def to_patches(x: Float[Array, "batch *spatial channel"], patch: Size) -> Array:
    """Cut an image into patches side by side, zeros at the end of axes that are no multiple.

    Returns:
        ``(batch, *grid, values)`` with the values of a patch in the order ``(*patch, channel)``.
    """
    ndim = x.ndim - 2
    sizes, grid = per_axis(patch, ndim, "patch"), patch_grid(x.shape[1:-1], patch)
    edges = [(0, g * p - n) for g, p, n in zip(grid, sizes, x.shape[1:-1], strict=True)]
    x = jnp.pad(x, [(0, 0), *edges, (0, 0)])
    cells = [n for pair in zip(grid, sizes, strict=True) for n in pair]
    x = x.reshape(x.shape[0], *cells, x.shape[-1])
    order = [*range(1, 1 + 2 * ndim, 2), *range(2, 2 + 2 * ndim, 2)]
    return x.transpose(0, *order, x.ndim - 1).reshape(x.shape[0], *grid, -1)


def from_patches(
    patches: Float[Array, "batch *grid values"], patch: Size, spatial: tuple[int, ...]
) -> Float[Array, "batch *spatial channel"]:
    """The image that `to_patches` cut, whose sizes were ``spatial``."""
    ndim = len(spatial)
    sizes, grid = per_axis(patch, ndim, "patch"), patches.shape[1:-1]
    x = patches.reshape(patches.shape[0], *grid, *sizes, -1)
    order = [axis for i in range(1, ndim + 1) for axis in (i, i + ndim)]
    x = x.transpose(0, *order, x.ndim - 1)
    x = x.reshape(x.shape[0], *(g * p for g, p in zip(grid, sizes, strict=True)), x.shape[-1])
    return x[:, *(slice(n) for n in spatial)]


class PatchEmbed(nn.Module):
    """A linear map of each patch: a convolution with the kernel as large as the stride.

    The kernel has a convolution's layout, ``(*patch, in, features)``.

    Attributes:
        features: channels of the tokens.
        patch: size along each axis.
        use_bias: whether to add a learned constant a channel.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    patch: Size = 16
    use_bias: bool = True
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *grid features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image of any size, 2D or 3D."""
        require_image(x, type(self).__name__)
        window = per_axis(self.patch, x.ndim - 2, "patch")
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", INIT, shape, jnp.float32).astype(self.dtype)
        kernel = kernel.reshape(math.prod(shape[:-1]), self.features)
        y = jnp.tensordot(to_patches(x.astype(self.dtype), window), kernel, axes=1)
        return with_bias(self, y)

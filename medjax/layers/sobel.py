"""Convolution by Sobel's kernels, whose strength is learned."""

from __future__ import annotations

import itertools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import with_rank
from medjax.core.types import Array, Float

from .conv import convolve, require_image
from .spread import biased


def sobel_kernels(ndim: int) -> np.ndarray:
    """Sobel's and Feldman's kernels, ``(direction, *window)``, of window 3.

    The derivative along each axis, smoothed by ``(1, 2, 1)`` along the others; then for each
    pair of axes the derivative along both diagonals of their plane, smoothed along what is
    left. Four in 2D, nine in 3D.
    """
    slope, smooth = np.asarray([-1.0, 0, 1]), np.asarray([1.0, 2, 1])

    def along(factors: list[np.ndarray]) -> np.ndarray:
        kernel = np.ones(())
        for factor in factors:
            kernel = kernel[..., None] * factor
        return kernel

    kernels = [along([slope if axis == i else smooth for axis in range(ndim)]) for i in range(ndim)]
    for i, j in itertools.combinations(range(ndim), 2):
        for sign in (1, -1):
            # The corners weigh two, their neighbours one.
            rest = [np.ones(3) if axis in (i, j) else smooth for axis in range(ndim)]
            shape = [3 if axis == i else 1 for axis in range(ndim)]
            other = [3 if axis == j else 1 for axis in range(ndim)]
            plane = sign * slope.reshape(shape) + slope.reshape(other)
            kernels.append(plane * along(rest))
    return np.stack(kernels).astype(np.float32)


class SobelConv(nn.Module):
    """Edges by Sobel's kernels, each channel's with a learned factor and bias.

    Liang et al. 2020 (EDCNN, arXiv:2011.00139; Eformer, arXiv:2109.08044, takes it from there):
    kernels are fixed but for their factor, which starts at one; channels take the directions by
    turns, and each sees the sum of the input's channels. What differs: in 3D there are nine
    directions (`sobel_kernels`), and any number of channels will do.

    Attributes:
        features: output channels; four, or nine in 3D, see every direction once.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        kernels = sobel_kernels(x.ndim - 2)
        chosen = kernels[np.arange(self.features) % len(kernels)]
        kernel = jnp.asarray(np.moveaxis(chosen, 0, -1)[..., None, :])
        factor = self.param("factor", nn.initializers.ones, (self.features,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        kernel = (kernel * with_rank(factor, kernel.ndim)).astype(self.dtype)
        y = convolve(x.astype(self.dtype).sum(axis=-1, keepdims=True), kernel)
        return biased(y, bias)

"""Images as a coarser grid sees them: blur by a point spread function, then fewer samples."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.struct import static, struct
from medjax.core.types import Array, Float
from medjax.image.filters import along

from .operator import LinearOperator


@struct
class Downsampling(LinearOperator):
    """Blur along each axis, then one sample for each block: ``(..., *spatial)`` to coarser ones.

    A sample lies in the middle of its block, as scanners' voxels do. Beyond the border the
    image is mirrored, so that kernels whose sum is one keep constants. Factors of 1 beside
    others make thick slices.

    Attributes:
        kernels: real taps of each axis, centred on a block: as many as its factor and an even
            number more. `bicubic_kernel` and `slice_profile` make some.
        factors: samples of the fine grid in a block, along each axis.
    """

    kernels: tuple[Array, ...]
    factors: tuple[int, ...] = static(default=(2, 2))

    def __post_init__(self):
        if len(self.kernels) != len(self.factors) or min(self.factors) < 1:
            raise InputError("factors", f"{len(self.kernels)}, of at least 1", self.factors)
        for taps, factor in zip(self.kernels, self.factors, strict=True):
            if taps.ndim != 1 or len(taps) < factor or (len(taps) - factor) % 2:
                expected = f"{factor} taps, or an even number more, for the factor {factor}"
                raise InputError("kernels", expected, taps.shape)

    def forward(self, x: Array) -> Array:
        ndim = len(self.factors)
        for axis, factor in zip(range(-ndim, 0), self.factors, strict=True):
            if x.shape[axis] % factor:
                raise InputError("x", f"sizes that are multiples of {self.factors}", x.shape)
            x = along(self._matrix(axis, x.shape[axis]), x, axis)
        return x

    def adjoint(self, y: Array) -> Array:
        ndim = len(self.factors)
        for axis, factor in zip(range(-ndim, 0), self.factors, strict=True):
            y = along(self._matrix(axis, y.shape[axis] * factor).T, y, axis)
        return y

    def _matrix(self, axis: int, size: int) -> Float[Array, "out size"]:
        """What voxels of a line make its samples. A product with it is fast, and its own adjoint
        is exact."""
        taps, factor = self.kernels[axis], self.factors[axis]
        rows = np.arange(size // factor)[:, None]
        place = rows * factor + np.arange(taps.shape[-1])[None] - (taps.shape[-1] - factor) // 2
        place = place % (2 * size)
        place = np.where(place < size, place, 2 * size - 1 - place)
        matrix = jnp.zeros((size // factor, size), taps.dtype)
        return matrix.at[np.broadcast_to(rows, place.shape), place].add(taps[None])


def bicubic_kernel(factor: int) -> Float[Array, " taps"]:
    """Keys' cubic kernel (a = -1/2), as wide as the factor asks: MATLAB's ``imresize``.

    Keys 1981, doi:10.1109/TASSP.1981.1163711, eq. 15. The taps' sum is one.

    Raises:
        InputError: for a factor below 1.
    """
    x = np.abs(_distances(factor, 2 * factor)) / factor
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    taps = np.where(x <= 1, near, np.where(x < 2, far, 0))
    return jnp.asarray(taps / taps.sum(), float)


def slice_profile(factor: int, width: float) -> Float[Array, " taps"]:
    """A Gaussian profile, as of a slice-selective pulse; the taps' sum is one.

    Args:
        factor: of the downsampling: the distance from one slice to the next.
        width: full width at half maximum, in samples of the fine grid; the slices' thickness.

    Raises:
        InputError: for a factor below 1, or a width that is not positive.
    """
    if not width > 0:
        raise InputError("width", "a number above 0", width)
    sigma = width / (2 * math.sqrt(2 * math.log(2)))
    taps = np.exp(-0.5 * (_distances(factor, max(4 * sigma, factor / 2)) / sigma) ** 2)
    return jnp.asarray(taps / taps.sum(), float)


def _distances(factor: int, reach: float) -> np.ndarray:
    """From a block's middle to the voxels within reach: at least to those in the block."""
    if factor < 1:
        raise InputError("factor", "at least 1", factor)
    count = factor + 2 * max(0, math.ceil(reach - factor / 2))
    return np.arange(count) - (count - 1) / 2

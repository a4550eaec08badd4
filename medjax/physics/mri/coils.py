"""Receiver coils: the operator, simulated sensitivities, and sensitivities from the data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import meets_last, with_rank
from medjax.core.errors import InputError
from medjax.core.struct import static, struct
from medjax.core.types import Array, Complex
from medjax.physics.fft import ifftc
from medjax.physics.operator import LinearOperator, cast_like, require_complex


@struct
class Coils(LinearOperator):
    """An image as each coil sees it: ``(..., *spatial)`` to ``(..., coil, *spatial)``.

    Attributes:
        maps: complex sensitivities, ``(*batch, coil, *spatial)``. Batch axes meet
            the last of the image's and are equal to them or one; a map without
            them serves every image.
        ndim: number of spatial axes.

    Raises:
        InputError: for real maps or ones without a coil axis, or, when applied,
            an image that they do not fit.
    """

    maps: Array
    ndim: int = static(default=2)

    def __post_init__(self):
        require_complex(self.maps, "maps")
        if self.maps.ndim <= self.ndim:
            raise InputError("maps", f"a coil axis and {self.ndim} spatial ones", self.maps.shape)

    def forward(self, x: Array) -> Array:
        x = jnp.expand_dims(x, x.ndim - self.ndim)
        return self.matching(x) * x

    def adjoint(self, y: Array) -> Array:
        return jnp.sum(jnp.conj(self.matching(y)) * y, axis=-self.ndim - 1)

    def normal(self, x: Array) -> Array:
        maps = self.matching(jnp.expand_dims(x, x.ndim - self.ndim))
        power = jnp.sum(jnp.real(maps) ** 2 + jnp.imag(maps) ** 2, axis=-self.ndim - 1)
        return power.astype(x.dtype) * x

    def matching(self, x: Array) -> Array:
        """The maps at the rank and precision of ``x``, which has a coil axis of any size."""
        require_complex(x, "Coils")
        batch, maps = self.maps.ndim - self.ndim - 1, self.maps
        coil = x.ndim - self.ndim - 1
        if (
            maps.shape[-self.ndim :] != x.shape[-self.ndim :]
            or x.shape[coil] not in (1, maps.shape[batch])
            or not meets_last(maps.shape[:batch], x.shape[:coil])
        ):
            raise InputError("maps", f"sensitivities that fit data of shape {x.shape}", maps.shape)
        return cast_like(with_rank(maps, x.ndim), x)


def birdcage(
    coils: int, shape: Sequence[int], *, radius: float = 1.5
) -> Complex[Array, " coils *spatial"]:
    """Sensitivities of a simulated birdcage array, smooth in modulus and phase.

    Coil ``c`` is a long wire at angle ``2 pi c / coils``: at the complex
    displacement ``d`` from it the transverse field, and by reciprocity the
    sensitivity, is ``1 / d`` up to a constant. In a volume coils sit by turns on
    two rings half way to its ends, and with the distance ``h`` along the axis it
    is ``conj(d) / (|d|^2 + h^2)``. A model for simulations, not a solution of
    Maxwell's equations.

    Args:
        coils: number of coils, at least 1.
        shape: ``(y, x)`` or ``(z, y, x)``.
        radius: of the array, in halves of the field of view; more than sqrt(2),
            so that no coil is inside.

    Returns:
        complex64, ``(coils, *shape)``, of unit root sum of squares everywhere.

    Raises:
        InputError: for arguments outside these ranges.
    """
    if coils < 1:
        raise InputError("coils", "at least 1", coils)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise InputError("shape", "(y, x) or (z, y, x)", tuple(shape))
    if not math.sqrt(2) < radius < math.inf:
        raise InputError("radius", "more than sqrt(2)", radius)
    axes = [(np.arange(n) - n // 2) / (n / 2) for n in shape]
    grid = np.meshgrid(*axes, indexing="ij")
    angle = np.exp(2j * np.pi * np.arange(coils) / coils).reshape(-1, *(1,) * len(shape))
    displacement = grid[-1] + 1j * grid[-2] - radius * angle
    along = 0.0
    if len(shape) == 3:
        along = grid[0] - np.where(np.arange(coils) % 2, 0.5, -0.5).reshape(-1, 1, 1, 1)
    # The coil's own angle, so that all coils are in phase at the centre.
    field = -angle * np.conj(displacement) / (np.abs(displacement) ** 2 + along**2)
    field /= np.sqrt(np.sum(np.abs(field) ** 2, axis=0))
    return jnp.asarray(field, jnp.complex64)


def calibrate(
    kspace: Array, calibration: int | Sequence[int], ndim: int = 2
) -> Complex[Array, "..."]:
    """Sensitivities from the fully sampled centre of k-space.

    Images of low resolution, one a coil, over their root sum of squares
    (McKenzie et al. 2002, Magn Reson Med 47:529). A raised cosine over the
    centre keeps ringing out of the maps. The phase of the image stays in the
    maps, and where there is no signal they are noise of unit norm.

    Args:
        kspace: complex, ``(*batch, coil, *spatial)``.
        calibration: size of the centre along each spatial axis, or one for all;
            static under jit.
        ndim: number of spatial axes.

    Returns:
        Maps of the shape of ``kspace`` and of unit root sum of squares; zero
        where all images are exactly zero.

    Raises:
        InputError: for real k-space, one without a coil axis, or a centre larger
            than the grid.
    """
    require_complex(kspace, "calibrate")
    if kspace.ndim <= ndim:
        raise InputError("kspace", f"a coil axis and {ndim} spatial ones", kspace.shape)
    spatial = kspace.shape[-ndim:]
    sizes = (calibration,) * ndim if isinstance(calibration, int) else tuple(calibration)
    if len(sizes) != ndim or any(not 1 <= c <= n for c, n in zip(sizes, spatial, strict=True)):
        raise InputError("calibration", f"{ndim} sizes of 1 to those of {spatial}", sizes)
    for axis, (n, c) in enumerate(zip(spatial, sizes, strict=True)):
        taper = jnp.asarray(_taper(n, c).reshape(-1, *(1,) * (ndim - 1 - axis)), kspace.dtype)
        kspace = kspace * with_rank(taper, kspace.ndim)
    images = ifftc(kspace, ndim)
    power = jnp.sum(jnp.real(images) ** 2 + jnp.imag(images) ** 2, axis=-ndim - 1, keepdims=True)
    signal = power > 0
    norm = jnp.sqrt(jnp.where(signal, power, 1))
    return jnp.where(signal, images / norm.astype(images.dtype), 0)


def _taper(size: int, calibration: int) -> np.ndarray:
    """A raised cosine over the ``calibration`` central lines, zero outside of them."""
    line = np.arange(size) - size // 2
    inside = (line >= -(calibration // 2)) & (line < calibration - calibration // 2)
    return np.where(inside, np.cos(np.pi * line / (calibration + 1)) ** 2, 0)

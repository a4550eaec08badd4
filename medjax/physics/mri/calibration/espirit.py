"""ESPIRiT: sensitivities as eigenvectors of what the centre of k-space obeys."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Complex, Float

from .eigen import largest, principal, turned
from .patches import centre, patches, per_axis

_MATRICES = 2**17  # elements of the matrices of pixels at work; more leaves a CPU's cache


def espirit(
    kspace: Array,
    calibration: int | Sequence[int] = 24,
    *,
    kernel: int | Sequence[int] = 6,
    threshold: float = 1e-3,
    crop: float = 0.8,
    steps: int = 30,
    ndim: int = 2,
) -> Complex[Array, "..."]:
    """Sensitivities from the fully sampled centre, zero where there is no signal.

    `eigenmaps` of one set, with zeros where the eigenvalue is below ``crop``.

    Args:
        kspace: as in `eigenmaps`.
        calibration: as in `eigenmaps`.
        kernel: as in `eigenmaps`.
        threshold: as in `eigenmaps`.
        crop: eigenvalue, from 0 to 1, from which on a pixel counts as inside.
        steps: as in `eigenmaps`.
        ndim: number of spatial axes.

    Returns:
        Maps of the shape of ``kspace``, of unit or zero norm over the coils.

    Raises:
        InputError: as `eigenmaps`.
    """
    maps, values = eigenmaps(
        kspace, calibration, kernel=kernel, threshold=threshold, steps=steps, ndim=ndim
    )
    axis = maps.ndim - ndim - 2
    inside = jnp.squeeze(values, values.ndim - ndim - 1) >= crop
    return jnp.where(jnp.expand_dims(inside, axis), jnp.squeeze(maps, axis), 0)


def eigenmaps(
    kspace: Array,
    calibration: int | Sequence[int] = 24,
    *,
    kernel: int | Sequence[int] = 6,
    threshold: float = 1e-3,
    sets: int = 1,
    steps: int = 30,
    ndim: int = 2,
) -> tuple[Complex[Array, "..."], Float[Array, "..."]]:
    """Eigenvectors and eigenvalues of ESPIRiT at each pixel.

    Uecker et al. 2014, Magn Reson Med 71:990. Neighbourhoods of ``kernel`` points
    of the centre, all coils together, span a subspace of small dimension. To
    project every neighbourhood of k-space onto it and average is a convolution,
    and so at each pixel a matrix of coils; sensitivities are its
    eigenvectors of eigenvalue 1. Where the field of view is smaller than the
    object, or for other reasons one set of maps cannot explain the data, so is
    the second. Differs from the paper in that the matrices at full resolution come
    from the projection's sums over equal distances, without an image for each
    kernel, and in the eigenvectors by orthogonal iteration, as in BART, whose
    defaults these are.

    The phase of a set is such that the first virtual coil, the principal
    component of the centre over coils, is real and positive.

    No gradient passes: those of a projection onto chosen eigenvectors are not
    bounded.

    Args:
        kspace: complex, ``(*batch, coil, *spatial)``, of which only the centre is read.
        calibration: size of the centre along each axis, or one for all.
        kernel: size of the neighbourhoods along each axis, or one for all.
        threshold: eigenvectors of the Gram matrix of the neighbourhoods whose
            eigenvalue is above this fraction of the largest span the subspace; its
            square root is the fraction in singular values.
        sets: how many eigenvectors.
        steps: of the orthogonal iteration.
        ndim: number of spatial axes, 1 to 3.

    Returns:
        maps ``(*batch, set, coil, *spatial)``, of unit norm over the coils, and eigenvalues
        ``(*batch, set, *spatial)``, from 0 to 1.

    Raises:
        InputError: for real k-space or one without a coil axis, a centre larger
            than the grid, a kernel larger than the centre, or more sets than coils.
    """
    sizes = per_axis(calibration, ndim, "calibration")
    kernels = per_axis(kernel, ndim, "kernel")
    block = centre(kspace, sizes, "eigenmaps")
    if any(k > c for k, c in zip(kernels, sizes, strict=True)):
        raise InputError("kernel", f"sizes up to those of the centre {sizes}", kernels)
    batch, coils = block.shape[: -ndim - 1], block.shape[-ndim - 1]
    if not 1 <= sets <= coils:
        raise InputError("sets", f"1 to {coils} for as many coils", sets)
    one = functools.partial(
        _eigenmaps,
        spatial=kspace.shape[-ndim:],
        kernels=kernels,
        threshold=threshold,
        sets=sets,
        steps=steps,
    )
    block = jax.lax.stop_gradient(block).reshape(-1, coils, *sizes)
    maps, values = one(block[0]) if not batch else jax.lax.map(one, block)
    spatial = kspace.shape[-ndim:]
    return maps.reshape(*batch, sets, coils, *spatial), values.reshape(*batch, sets, *spatial)


@functools.partial(jax.jit, static_argnames=("spatial", "kernels", "threshold", "sets", "steps"))
def _eigenmaps(
    block: Array,
    *,
    spatial: tuple[int, ...],
    kernels: tuple[int, ...],
    threshold: float,
    sets: int,
    steps: int,
) -> tuple[Array, Array]:
    lags = _lags(_projection(block, kernels, threshold), kernels)
    waves = [_waves(n, k, lags.dtype) for n, k in zip(spatial, kernels, strict=True)]
    maps, values = _at_pixels(lags, waves, sets, steps)
    return turned(maps, principal(block)), values


def _projection(block: Array, kernels: tuple[int, ...], threshold: float) -> Array:
    """Onto the subspace of neighbourhoods: ``(*kernels, coil, *kernels, coil)``."""
    first = [np.arange(n - k + 1) for n, k in zip(block.shape[1:], kernels, strict=True)]
    rows = patches(block, first, [np.arange(k) for k in kernels])
    rows = rows.reshape(rows.shape[0], -1)
    values, vectors = jnp.linalg.eigh(rows.T @ jnp.conj(rows))
    # A mask and not a slice: the number is known only when the data are.
    vectors = jnp.where((values > threshold * values[-1])[None], vectors, 0)
    shape = (*kernels, block.shape[0])
    return (vectors @ jnp.conj(vectors).T).reshape(*shape, *shape)


def _lags(projection: Array, kernels: tuple[int, ...]) -> Array:
    """Sums over pairs of points of equal distance: ``(coil, coil, *(2 kernels - 1))``."""
    ndim = len(kernels)
    for axis, k in enumerate(kernels):
        # Axes before this one are lags already; the first and the middle one are its pair.
        distance = np.subtract.outer(np.arange(k), np.arange(k)) + k - 1
        same = jnp.asarray(distance[..., None] == np.arange(2 * k - 1), projection.dtype)
        pair = (0, ndim - axis + 1)
        projection = jnp.tensordot(projection, same, axes=(pair, (0, 1)))
    return projection / math.prod(kernels)


def _waves(n: int, kernel: int, dtype: np.dtype) -> Array:
    """What each lag is at each of ``n`` pixels: ``(n, 2 kernel - 1)``."""
    pixel, lag = np.arange(n) - n // 2, np.arange(2 * kernel - 1) - (kernel - 1)
    return jnp.asarray(np.exp(2j * np.pi / n * np.multiply.outer(pixel, lag)), dtype)


def _at_pixels(lags: Array, waves: list[Array], sets: int, steps: int) -> tuple[Array, Array]:
    """Eigenvectors ``(set, coil, *spatial)`` and values, a few rows of pixels at a time."""
    wave, *others = waves
    if not others:
        return largest(jnp.einsum("cdl,xl->cdx", lags, wave), sets, steps)

    def slab(w: Array) -> tuple[Array, Array]:
        return _at_pixels(jnp.einsum("cdl...,l->cd...", lags, w), others, sets, steps)

    together = None
    if len(others) == 1:
        row = lags.shape[0] ** 2 * others[0].shape[0]
        together = min(wave.shape[0], max(1, _MATRICES // row))
    maps, values = jax.lax.map(slab, wave, batch_size=together)
    return jnp.moveaxis(maps, 0, 2), jnp.moveaxis(values, 0, 1)

"""GRAPPA: missing samples of k-space from their neighbours in all coils."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Complex

from .calibration.patches import centre, patches, per_axis, require_coils


def grappa(
    kspace: Array,
    spacing: int | Sequence[int],
    calibration: int | Sequence[int],
    *,
    kernel: int | Sequence[int] | None = None,
    offset: int | Sequence[int] = 0,
    weight: float = 1e-4,
    ndim: int = 2,
) -> Complex[Array, "..."]:
    """Fill a Cartesian lattice of samples by linear prediction.

    Griswold et al. 2002, Magn Reson Med 47:1202, undersampled along any of the
    axes. For each place between the points of the lattice a set of weights
    predicts all coils from ``kernel`` lattice points along each axis; they are
    the ridge-regularised least squares fit over the fully sampled centre. Points
    outside of the grid count as zero. Measured samples, of the lattice and of the
    centre, stay as they are. All sets of weights together are one convolution,
    since each meets the lattice at points of its own.

    Gradients pass through the prediction, its weights held constant. The result is
    k-space of each coil: combine ``ifftc`` of it by ``Coils(maps).H`` or root sum of
    squares.

    Args:
        kspace: complex, ``(*batch, coil, *spatial)``; what was not measured is
            not read.
        spacing: distance of the lattice along each axis, 1 where all is sampled:
            ``(1, 3)`` for every third column, as `equispaced` draws them.
        calibration: size of the fully sampled centre along each axis, or one for
            all, cut to the grid: ``(y, 24)`` where whole columns are sampled.
        kernel: number of lattice points along each axis that predict, or one for
            all; 4 along undersampled axes and 5 along others if left out.
        offset: moves the lattice, as in `equispaced`; with 0 zero frequency is on it.
        weight: of the ridge, as a fraction of the mean eigenvalue of the sources'
            Gram matrix.
        ndim: number of spatial axes.

    Returns:
        k-space of the shape of ``kspace``, without gaps.

    Raises:
        InputError: for real k-space or one without a coil axis, sizes that are not
            positive, or a centre too small for the kernel.
    """
    require_coils(kspace, ndim, "grappa")
    spacings = per_axis(spacing, ndim, "spacing")
    if kernel is None:
        kernel = [4 if r > 1 else 5 for r in spacings]
    kernels = per_axis(kernel, ndim, "kernel")
    sizes = per_axis(calibration, ndim, "calibration")
    sizes = tuple(map(min, sizes, kspace.shape[-ndim:]))
    block = centre(kspace, sizes, "grappa")
    extents = _extents(spacings, kernels)
    if any(c < e for c, e in zip(sizes, extents, strict=True)):
        raise InputError("calibration", f"sizes of at least {extents} for this kernel", sizes)
    offsets = (offset,) * ndim if isinstance(offset, int) else tuple(offset)
    if len(offsets) != ndim:
        raise InputError("offset", f"one number, or {ndim}", offset)
    spatial = kspace.shape[-ndim:]
    lattice = _outer(
        (np.arange(n) - n // 2 - o) % r == 0
        for n, o, r in zip(spatial, offsets, spacings, strict=True)
    )
    middle = _outer(
        (np.arange(n) >= n // 2 - c // 2) & (np.arange(n) < n // 2 - c // 2 + c)
        for n, c in zip(spatial, sizes, strict=True)
    )
    if max(spacings) == 1:
        return kspace
    flat = (-1, kspace.shape[-ndim - 1])
    one = functools.partial(_grappa, spacings=spacings, kernels=kernels, weight=weight)
    filled = jax.lax.map(
        lambda pair: one(pair[0], pair[1], jnp.asarray(lattice)),
        (kspace.reshape(*flat, *spatial), block.reshape(*flat, *sizes)),
    ).reshape(kspace.shape)
    measured = jnp.asarray(lattice | middle).reshape((1,) * (kspace.ndim - ndim) + spatial)
    return jnp.where(measured, kspace, filled)


def _outer(axes: Iterable[np.ndarray]) -> np.ndarray:
    return functools.reduce(np.logical_and.outer, axes)


@functools.partial(jax.jit, static_argnames=("spacings", "kernels", "weight"))
def _grappa(
    kspace: Array,
    block: Array,
    lattice: Array,
    *,
    spacings: tuple[int, ...],
    kernels: tuple[int, ...],
    weight: float,
) -> Array:
    ndim, coils = len(spacings), kspace.shape[0]
    # A place between lattice points is told by its distance to the one before it.
    places = list(itertools.product(*map(range, spacings)))[1:]
    before = [r * ((k - 1) // 2) for r, k in zip(spacings, kernels, strict=True)]
    extents = _extents(spacings, kernels)
    # The lattice points around it start at `first`, the place is at `first + before + t`.
    first = [np.arange(n - e + 1) for n, e in zip(block.shape[1:], extents, strict=True)]
    points = [r * np.arange(k) for r, k in zip(spacings, kernels, strict=True)]
    sources = patches(block, first, points)
    sources = sources.reshape(sources.shape[0], -1)
    wanted = [[np.array([b + t]) for b, t in zip(before, place, strict=True)] for place in places]
    targets = jnp.concatenate([patches(block, first, w)[:, 0] for w in wanted], axis=1)
    gram = jnp.conj(sources).T @ sources
    # Smooth objects predict themselves: where rounding ends definiteness Cholesky's
    # factors fail, eigenvalues do not.
    values, vectors = jnp.linalg.eigh(gram)
    limits = jnp.finfo(values.dtype)
    smallest = jnp.maximum(limits.eps * values[-1], limits.tiny)
    ridge = jnp.maximum(weight * jnp.mean(values), smallest)
    damped = (jnp.maximum(values, 0) + ridge).astype(gram.dtype)[:, None]
    weights = vectors @ ((jnp.conj(vectors).T @ (jnp.conj(sources).T @ targets)) / damped)
    weights = jax.lax.stop_gradient(weights).reshape(*kernels, coils, len(places), coils)

    # Seen from the place lattice points are at `points - before - t`; the first tap
    # of the convolution at `1 - before - spacing`, so that each set finds its taps free.
    taps = [r * k for r, k in zip(spacings, kernels, strict=True)]
    whole = jnp.zeros((*taps, coils, coils), kspace.dtype)
    for i, place in enumerate(places):
        own = tuple(slice(r - 1 - t, None, r) for r, t in zip(spacings, place, strict=True))
        whole = whole.at[own].set(weights[..., i, :])
    low = [b + r - 1 for b, r in zip(before, spacings, strict=True)]
    letters = "xyz"[:ndim]
    return jax.lax.conv_general_dilated(
        jnp.where(lattice[None], kspace, 0)[None],
        whole,
        window_strides=(1,) * ndim,
        padding=[(b, n - 1 - b) for b, n in zip(low, taps, strict=True)],
        dimension_numbers=(f"NC{letters}", f"{letters}IO", f"NC{letters}"),
        precision=jax.lax.Precision.HIGHEST,
    )[0]


def _extents(spacings: tuple[int, ...], kernels: tuple[int, ...]) -> tuple[int, ...]:
    """How far a neighbourhood reaches: all its lattice points and all places to predict."""
    return tuple(
        max(r * (k - 1) + 1, r * ((k - 1) // 2) + r) for r, k in zip(spacings, kernels, strict=True)
    )

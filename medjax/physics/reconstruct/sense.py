"""SENSE: parallel imaging by unfolding, and by conjugate gradients."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import meets_last, with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array
from medjax.physics.fft import ifftc
from medjax.physics.operator import Identity, LinearOperator, require_complex
from medjax.physics.solve.cg import conjugate_gradient


def sense(
    y: Array,
    maps: Array,
    spacing: int,
    *,
    axis: int = -1,
    offset: int = 0,
    weight: float = 1e-6,
    ndim: int = 2,
) -> Array:
    """Unfold an equispaced Cartesian scan, pixel group by pixel group.

    Pruessmann et al. (1999), Magn Reson Med 42:952, equations 1 and 2, without a
    calibration centre: with every ``R``-th line, ``R`` pixels a fraction of the field
    of view apart lie on one another, and what the coils see of them is a small
    system of least squares. Prewhiten ``y`` and ``maps`` for the noise's covariance.
    Differs in a slight regularisation, because maps are zero outside of the body.

    Args:
        y: zero-filled k-space, complex, ``(*batch, coil, *spatial)``, of the lines
            ``spacing`` apart alone.
        maps: sensitivities that broadcast with ``y``, ``(*batch, coil, *spatial)``.
        spacing: ``R``, which divides the size of ``axis``.
        axis: spatial axis of the lines' order, negative.
        offset: of the lines from zero frequency, as in `equispaced`.
        weight: of Tikhonov, relative to the squared sensitivity of a pixel group.
        ndim: number of spatial axes.

    Returns:
        Images ``(*batch, *spatial)``.

    Raises:
        InputError: for real arrays, ones without a coil axis, maps that do not fit, an
            axis that is not spatial, or a spacing that does not divide its size.
    """
    require_complex(y, "y")
    require_complex(maps, "maps")
    if y.ndim <= ndim:
        raise InputError("y", f"a coil axis and {ndim} spatial ones", y.shape)
    own = maps.shape[: maps.ndim - ndim - 1]
    coil = y.ndim - ndim - 1
    if maps.shape[len(own) :] != y.shape[coil:] or not meets_last(own, y.shape[:coil]):
        raise InputError("maps", f"sensitivities that fit data of shape {y.shape}", maps.shape)
    if not -ndim <= axis < 0:
        raise InputError("axis", f"{-ndim} to -1", axis)
    size = y.shape[axis]
    if not 1 <= spacing <= size or size % spacing:
        raise InputError("spacing", f"a divisor of {size}", spacing)
    folded = jnp.moveaxis(ifftc(y, ndim), (-ndim - 1, axis), (-1, -2))[..., : size // spacing, :]
    maps = jnp.moveaxis(with_rank(maps, y.ndim), (-ndim - 1, axis), (-1, -2))
    # Pixel n + r size / R becomes (r, n): its coils in one column of the group's system.
    replicas = maps.reshape(*maps.shape[:-2], spacing, size // spacing, maps.shape[-1])
    phase = np.exp(-2j * np.pi * offset * np.arange(spacing) / spacing) / spacing
    phase = with_rank(jnp.asarray(phase[:, None, None], y.dtype), replicas.ndim)
    system = jnp.moveaxis(replicas.astype(y.dtype) * phase, -3, -1)
    transposed = jnp.conj(jnp.swapaxes(system, -1, -2))
    gram = jnp.matmul(transposed, system, precision="highest")
    trace = jnp.trace(jnp.real(gram), axis1=-2, axis2=-1)
    ridge = jnp.where(trace > 0, weight * trace, 1).astype(y.dtype)[..., None, None]
    identity = with_rank(jnp.eye(spacing, dtype=y.dtype), gram.ndim)
    right = jnp.matmul(transposed, folded[..., None], precision="highest")
    unfolded = jnp.linalg.solve(gram + ridge * identity, right)[..., 0]
    image = jnp.swapaxes(unfolded, -1, -2).reshape(*folded.shape[:-2], size)
    return jnp.moveaxis(image, -1, axis)


@functools.partial(jax.jit, static_argnames=("max_steps", "tolerance", "ndim"))
def cg_sense(
    a: LinearOperator,
    y: Array,
    weight: float | Array = 0.0,
    *,
    max_steps: int = 30,
    tolerance: float = 1e-5,
    ndim: int = 2,
) -> Array:
    """Minimise ``|A x - y|^2 + weight |x|^2`` by conjugate gradients on the normal equations.

    Pruessmann et al. (2001), Magn Reson Med 46:638, for any trajectory, and any other
    operator. Differs from the paper in Tikhonov's term and in having no corrections
    of density and intensity, which are a preconditioner there. Gradients are those of
    the solution, as of `conjugate_gradient`.

    Args:
        a: the scan; leading axes of its images are a batch.
        y: its samples.
        weight: not negative, on the scale of ``A^H A``, which is at most 1 for
            Cartesian MRI with maps of unit norm; the scale of ``y`` does not matter.
        max_steps: an upper bound on the number of steps.
        tolerance: of the residual relative to ``A^H y``.
        ndim: number of spatial axes.

    Returns:
        Images, of the shape and dtype of ``A^H y``.
    """
    back = a.H(y)
    normal = a.gram + jnp.asarray(weight).astype(back.dtype) * Identity()
    return conjugate_gradient(normal, back, max_steps=max_steps, tolerance=tolerance, ndim=ndim)

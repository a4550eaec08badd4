"""What an image should be like whatever its target: of low rank, with few edges.

Losses of the form of the others, ``(prediction, target) -> (batch,)``, for sums by
`medjax.losses.weighted`; the target takes no part. They are not zero where both agree.
"""

from __future__ import annotations

import math

import jax.numpy as jnp

from medjax.core.arrays import at_least_single
from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.similarity import mean_per_sample


def low_rank(prediction: Array, target: Array | None = None) -> Float[Array, " batch"]:
    """Nuclear norm of the image, the sum of its singular values.

    For the low-rank regularisation of StruNet (Ma et al. 2023, doi:10.1002/mp.16550): noise has
    many small singular values and anatomy few large ones. The authors' code takes the share of
    singular values above a threshold, which has no slope; the norm in its place is this
    implementation's choice. Each channel of an image is a matrix; of a volume the norms of the
    unfoldings along each axis are averaged (Liu et al. 2013, IEEE Trans Pattern Anal Mach Intell
    35:208), likewise a choice. Divided by the root of the number of voxels, by which a constant
    image has its modulus.

    Args:
        prediction: real, ``(batch, *spatial, channel)`` with 2 or 3 spatial axes.
        target: for the form's sake.

    Raises:
        InputError: for another rank or dtype.
    """
    del target
    x = _image(prediction, "low_rank")
    batch, *sizes, channels = x.shape
    x = jnp.moveaxis(x, -1, 1)
    # Both unfoldings of a matrix have its singular values.
    axes = range(2, x.ndim) if len(sizes) > 2 else (2,)
    unfolded = (jnp.moveaxis(x, a, 2).reshape(batch, channels, x.shape[a], -1) for a in axes)
    norms = [jnp.linalg.svd(matrix, compute_uv=False).sum(-1) for matrix in unfolded]
    return mean_per_sample(sum(norms) / (len(norms) * math.sqrt(math.prod(sizes))))


def vectorial_total_variation(
    prediction: Array, target: Array | None = None
) -> Float[Array, " batch"]:
    """Mean length of the gradient of all channels together.

    Bresson and Chan 2008 (Inverse Probl Imaging 2:455): the root of the squared
    differences of all channels along all axes, so that an edge costs less where channels share
    it. Of one channel it is the isotropic total variation. The last difference along an axis is
    zero, and so is the slope at a flat place.

    Args:
        prediction: real, ``(batch, *spatial, channel)`` with 2 or 3 spatial axes.
        target: for the form's sake.

    Raises:
        InputError: for another rank or dtype.
    """
    del target
    x = _image(prediction, "vectorial_total_variation")
    squares = jnp.zeros(x.shape[:-1], x.dtype)
    for axis in range(1, x.ndim - 1):
        edges = [(0, int(i == axis)) for i in range(x.ndim)]
        squares = squares + jnp.sum(jnp.pad(jnp.diff(x, axis=axis), edges) ** 2, axis=-1)
    safe = jnp.where(squares > 0, squares, 1)
    return mean_per_sample(jnp.where(squares > 0, jnp.sqrt(safe), 0))


def _image(x: Array, what: str) -> Array:
    if x.ndim not in (4, 5) or not jnp.issubdtype(x.dtype, jnp.floating):
        expected = "a real image (batch, *spatial, channel) with 2 or 3 spatial axes"
        raise InputError(what, expected, f"{x.dtype} {x.shape}")
    return at_least_single(x)

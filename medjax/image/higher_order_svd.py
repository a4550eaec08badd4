"""Groups of similar patches, denoised by the higher-order singular value decomposition."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .rician import restored, stabilised


@functools.partial(
    jax.jit, static_argnames=("rician", "patch", "group", "search", "stride", "chunk", "ndim")
)
def hosvd(
    x: Float[Array, "..."],
    sigma: float | Array,
    *,
    rician: bool = False,
    patch: int = 4,
    group: int = 32,
    search: int = 5,
    stride: int = 2,
    chunk: int = 64,
    ndim: int = 2,
) -> Float[Array, "..."]:
    """Denoise by hard thresholds on the coefficients of grouped patches.

    Rajwade, Rangarajan and Banerjee (2013), IEEE Trans Pattern Anal Mach Intell 35:849, and for
    MRI Zhang et al. (2015), Med Image Anal 19:75, first stage: each reference patch and those
    most alike are stacked, the stack is decomposed along each patch axis and along the stack
    (HOSVD), coefficients below ``sigma sqrt(2 log n)`` of its ``n`` values go, and the estimates
    of a voxel are averaged. What differs: an estimate weighs one over the number of
    coefficients that were kept; the stack's size is fixed, not the distance; Rician noise is
    stabilised first as in `medjax.image.rician`. Zhang's second, recursive stage is not built.
    Each reference costs a few small eigendecompositions, of which a GPU does many at once.

    Args:
        x: real, ``(..., *spatial)``; magnitudes where ``rician``.
        sigma: standard deviation of the noise (of its real part, where Rician); one number.
        rician: whether the noise is Rician.
        patch: edge of a patch.
        group: patches a stack, the reference among them; all that there are where fewer.
        search: how far from the reference they may begin along each axis.
        stride: step between references.
        chunk: references that are worked on at once, which memory grows with.
        ndim: number of trailing spatial axes.

    Returns:
        An image of the shape and dtype of ``x``.

    Raises:
        InputError: for sizes below 1, or an image smaller than a patch.
    """
    if min(patch, group, stride, chunk) < 1 or search < 0:
        raise InputError("hosvd", "positive sizes", (patch, group, search, stride, chunk))
    spatial = x.shape[x.ndim - ndim :]
    if min(spatial) < patch:
        raise InputError("x", f"an image of {patch} voxels an axis at least", x.shape)
    sigma = jnp.asarray(sigma, x.dtype)
    noise = jnp.ones_like(sigma) if rician else sigma
    y = stabilised(x, sigma) if rician else x
    options = (patch, group, search, stride, chunk)
    images = y.reshape(-1, *spatial)
    images = jax.lax.map(lambda image: _denoised(image, noise, *options), images)
    y = images.reshape(x.shape)
    return restored(y, sigma) if rician else y


def _denoised(
    x: Array, noise: Array, patch: int, group: int, search: int, stride: int, chunk: int
) -> Array:
    ndim = x.ndim
    axes = [_starts(n - patch, stride) for n in x.shape]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, ndim)
    count = len(places)
    # The last chunk is filled by repetition, which weighs nothing.
    places = np.concatenate([places, np.repeat(places[:1], -count % chunk, axis=0)])
    known = np.arange(len(places)) < count
    region = [min(n, 2 * search + patch) for n in x.shape]
    inner = _grid((patch,) * ndim)  # voxels of a patch
    candidates = _grid([n - patch + 1 for n in region])  # where in the region patches begin
    group = min(group, len(candidates))
    size = group * patch**ndim
    threshold = noise * math.sqrt(2 * math.log(max(size, 2)))
    strides = np.cumprod([1, *x.shape[:0:-1]])[::-1].astype(np.int32)
    limits = jnp.asarray([n - r for n, r in zip(x.shape, region, strict=True)], jnp.int32)

    def estimate(place: Array, known: Array) -> tuple[Array, Array, Array]:
        """Indices of a stack's voxels, their estimates and weights."""
        start = jnp.clip(place - search, 0, limits)
        begins = start[None] + jnp.asarray(candidates)
        near = begins @ jnp.asarray(strides)
        within = jnp.asarray(inner @ strides)
        patches = x.ravel()[near[:, None] + within[None]]
        reference = x.ravel()[place @ jnp.asarray(strides) + within]
        apart = jnp.sum((patches - reference[None]) ** 2, -1)
        alike = jax.lax.top_k(-apart, group)[1]
        stack = patches[alike].reshape(group, *(patch,) * ndim)
        stack, kept = truncated(stack, threshold)
        weight = jnp.where(known, 1 / (1 + kept.astype(x.dtype)), 0)
        return near[alike][:, None] + within[None], weight * stack.reshape(group, -1), weight

    def add(total: tuple[Array, Array], part: tuple[Array, Array]):
        at, values, weight = jax.vmap(estimate)(*part)
        weights = jnp.broadcast_to(weight[:, None, None], values.shape)
        return (total[0].at[at].add(values), total[1].at[at].add(weights)), None

    parts = (
        jnp.asarray(places, jnp.int32).reshape(-1, chunk, ndim),
        jnp.asarray(known).reshape(-1, chunk),
    )
    zero = jnp.zeros(x.size, x.dtype)
    total, weights = jax.lax.scan(add, (zero, zero), parts)[0]
    return (total / weights).reshape(x.shape)


def truncated(
    stack: Float[Array, "*axes"], threshold: float | Array
) -> tuple[Float[Array, "*axes"], Array]:
    """A tensor without its small coefficients in the HOSVD, and how many were kept.

    De Lathauwer, De Moor and Vandewalle (2000), SIAM J Matrix Anal Appl 21:1253: the basis of
    each axis is the left singular vectors of its unfolding, here eigenvectors of Gram matrices.

    Args:
        stack: of any rank.
        threshold: moduli of coefficients below it become zero.
    """
    bases = []
    for axis in range(stack.ndim):
        unfolded = jnp.moveaxis(stack, axis, 0).reshape(stack.shape[axis], -1)
        gram = jnp.matmul(unfolded, unfolded.T, precision="highest")
        bases.append(jnp.linalg.eigh(gram)[1])
    core = stack
    for axis, basis in enumerate(bases):
        core = _along(basis.T, core, axis)
    large = jnp.abs(core) >= threshold
    core = jnp.where(large, core, 0)
    for axis, basis in enumerate(bases):
        core = _along(basis, core, axis)
    return core, jnp.sum(large)


def _along(matrix: Array, x: Array, axis: int) -> Array:
    product = jnp.tensordot(matrix, x, axes=(1, axis), precision="highest")
    return jnp.moveaxis(product, 0, axis)


def _starts(last: int, stride: int) -> np.ndarray:
    """From 0 to ``last``, which is among them, so that every voxel is in a patch."""
    return np.unique([*range(0, last + 1, stride), last])


def _grid(sizes: list[int] | tuple[int, ...]) -> np.ndarray:
    return (
        np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1)
        .reshape(-1, len(sizes))
        .astype(np.int32)
    )

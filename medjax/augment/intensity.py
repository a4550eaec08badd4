"""Intensity augmentation: of the images among the entries, and of nothing else.

Parameters are drawn once a sample, or once a channel for images with
``independent=True``. Statistics (range, mean) are those of the same voxels.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Inexact, Key
from medjax.image.filters import along, gaussian, thick_slices

from .compose import Transform
from .entries import IMAGE, Entries, on_images


def gamma(spread: float, *, inverted: bool = False, entries: Entries = IMAGE) -> Transform:
    """Raise intensities to a random power: another contrast of the same anatomy.

    Within each image's own range, which stays: ``((x - min) / range)^power * range + min``.
    A complex image keeps its phase, and its range begins at 0.

    Args:
        spread: largest logarithm of the power: 0.4 draws powers from 0.67 to 1.5.
        inverted: apply it to the negative image, which stretches the bright end instead
            of the dark one (Isensee et al. 2021, nnU-Net, Nature Methods 18, who do so
            with a probability of its own: `sometimes`).
        entries: of which the images change.
    """

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        size = jnp.abs(x) if jnp.iscomplexobj(x) else x
        low = jnp.zeros((), size.dtype) if jnp.iscomplexobj(x) else jnp.min(size)
        extent = jnp.max(size) - low
        share = (size - low) / jnp.where(extent > 0, extent, 1)
        if inverted:
            share = 1 - share
        power = jnp.exp(_even(key, spread)).astype(size.dtype)
        # A power as XLA has it is a call for each voxel; this is vector code.
        above = share > 0
        share = jnp.where(above, jnp.exp(power * jnp.log(jnp.where(above, share, 1))), 0)
        if inverted:
            share = 1 - share
        out = share * extent + low
        if not jnp.iscomplexobj(x):
            return out
        return x * (out / jnp.where(size > 0, size, 1)).astype(x.dtype)

    return on_images(rule, entries)


def brightness(shift: float = 0.0, *, spread: float = 0.0, entries: Entries = IMAGE) -> Transform:
    """Add a number to all intensities and multiply them by one.

    Args:
        shift: largest number added, either way; of real images only.
        spread: largest logarithm of the factor.
        entries: of which the images change.

    Raises:
        InputError: when called, for a shift of a complex image.
    """

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        _real_if(shift, x)
        add, multiply = jax.random.split(key)
        factor = jnp.exp(_even(multiply, spread)).astype(x.dtype)
        return x * factor + _even(add, shift).astype(x.dtype)

    return on_images(rule, entries)


def contrast(spread: float, *, entries: Entries = IMAGE) -> Transform:
    """Stretch intensities about their mean, and cut what leaves their range (as nnU-Net).

    Args:
        spread: largest logarithm of the factor.
        entries: of which the images, real ones, change.

    Raises:
        InputError: when called, for a complex image.
    """

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        _real_if(True, x)
        mean = jnp.mean(x)
        factor = jnp.exp(_even(key, spread)).astype(x.dtype)
        return jnp.clip((x - mean) * factor + mean, jnp.min(x), jnp.max(x))

    return on_images(rule, entries)


def noise(deviation: float, *, entries: Entries = IMAGE) -> Transform:
    """Add Gaussian noise; to both parts of a complex image.

    Args:
        deviation: largest standard deviation (of each part); each image's is drawn
            evenly from 0 to it.
        entries: of which the images change. Noise of magnitudes is that of Rice:
            `medjax.physics.artefacts.low_snr`.
    """

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        size_key, noise_key = jax.random.split(key)
        # jax draws complex normals of unit variance: half of it in each part.
        unit = deviation * (math.sqrt(2) if jnp.iscomplexobj(x) else 1)
        size = (jax.random.uniform(size_key) * unit).astype(x.dtype)
        return x + size * jax.random.normal(noise_key, x.shape, x.dtype)

    return on_images(rule, entries)


def blur(sigma: tuple[float, float], *, entries: Entries = IMAGE) -> Transform:
    """Blur with a Gaussian of random width.

    Args:
        sigma: least and largest standard deviation in voxels.
        entries: of which the images change.

    Raises:
        InputError: for widths that are not positive and in order.
    """
    radius = _radius(sigma)

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        return gaussian(x, _between(key, sigma), axes, radius=radius)

    return on_images(rule, entries)


def sharpen(
    amount: float, *, sigma: tuple[float, float] = (0.5, 1.5), entries: Entries = IMAGE
) -> Transform:
    """Unsharp masking: add to the image what a blur takes from it.

    Args:
        amount: largest share of that; each image's is drawn evenly from 0 to it.
        sigma: least and largest standard deviation of the blur in voxels.
        entries: of which the images change.

    Raises:
        InputError: for widths that are not positive and in order.
    """
    radius = _radius(sigma)

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        share_key, width_key = jax.random.split(key)
        share = (jax.random.uniform(share_key) * amount).astype(x.dtype)
        blurred = gaussian(x, _between(width_key, sigma), axes, radius=radius)
        return x + share * (x - blurred)

    return on_images(rule, entries)


def bias_field(spread: float, *, order: int = 3, entries: Entries = IMAGE) -> Transform:
    """Multiply by a smooth field, such as receive coils leave.

    The exponential of a polynomial of the positions, which run from -1 to 1 along each
    axis (Van Leemput et al. 1999, Automated model-based bias field correction of MR
    images of the brain, IEEE TMI 18), with random coefficients of all terms up to the order.

    Args:
        spread: largest coefficient, either way.
        order: of the polynomial, at least 1.
        entries: of which the images change.

    Raises:
        InputError: for an order below 1.
    """
    if order < 1:
        raise InputError("order", "at least 1", order)

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        n = len(axes)
        degree = sum(jax.lax.broadcasted_iota(jnp.int32, (order + 1,) * n, a) for a in range(n))
        field = jnp.where(degree <= order, _even(key, spread, degree.shape), 0)
        for place, axis in enumerate(axes, start=-n):
            position = jnp.linspace(-1.0, 1.0, x.shape[axis])
            field = along(jnp.vander(position, order + 1, increasing=True), field, place)
        sizes = [x.shape[a] if a - x.ndim in axes else 1 for a in range(x.ndim)]
        return x * jnp.exp(field).reshape(sizes).astype(x.dtype)

    return on_images(rule, entries)


def low_resolution(
    factor: float, *, coarse: tuple[int, ...] | None = None, entries: Entries = IMAGE
) -> Transform:
    """Simulate a scan with larger voxels, shown on the grid of this one.

    Blocks of voxels are averaged, as a thick slice averages, and interpolated linearly.
    nnU-Net takes the nearest voxel instead of the average, and interpolates with cubic
    splines; TorchIO's RandomAnisotropy coarsens one axis, as ``coarse`` can.

    Args:
        factor: largest size of the blocks in voxels, at least 1; drawn evenly from 1,
            fractions included, one for all axes.
        coarse: spatial axes, counted from their end, that are coarsened; None is all.
        entries: of which the images change.

    Raises:
        InputError: for a factor below 1.
    """
    if factor < 1:
        raise InputError("factor", "at least 1", factor)

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        size = _between(key, (1.0, factor))
        for axis in axes if coarse is None else (axes[a] for a in coarse):
            x = along(thick_slices(x.shape[axis], size), x, axis)
        return x

    return on_images(rule, entries)


def _even(key: Key[Array, ""], most: float, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0) * most


def _between(key: Key[Array, ""], ends: tuple[float, float]) -> Float[Array, ""]:
    return jax.random.uniform(key, minval=ends[0], maxval=ends[1])


def _radius(sigma: tuple[float, float]) -> int:
    if not 0 < sigma[0] <= sigma[1]:
        raise InputError("sigma", "least and largest, above 0", sigma)
    return math.ceil(4 * sigma[1])


def _real_if(needed: object, x: Inexact[Array, "..."]) -> None:
    if needed and jnp.iscomplexobj(x):
        raise InputError("image", "a real one, where something is added", x.dtype)

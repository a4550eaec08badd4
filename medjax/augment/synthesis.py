"""Images of any contrast from label maps: training data without a scanner.

A network that has seen every contrast and resolution segments scans of those that it has
not (Billot et al. 2023, "SynthSeg: segmentation of brain MRI scans of any contrast and
resolution without retraining", Med Image Anal 86:102789). Defaults are the numbers of the
authors' public code, whose intensities run from 0 to about 250.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Int, Key
from medjax.image.filters import along

from .compose import Transform, chain, keyed
from .entries import Labels
from .spatial import deform


def synthesise(
    labels: Sequence[int],
    *,
    groups: Sequence[int] | None = None,
    targets: Mapping[int, int] | None = None,
    means: tuple[float, float] = (0.0, 250.0),
    deviations: tuple[float, float] = (0.0, 30.0),
    bias: float = 0.7,
    gamma: float = 0.5,
    coarsest: float = 8.0,
    coarsest_isotropic: float = 4.0,
    spacing: float = 1.0,
    name: str = "label",
    image: str = "image",
) -> Transform:
    """Draw an image from each label map: a new contrast, field, and resolution each time.

    In this order, and each drawn for each sample: a mean and a standard deviation for each
    group of labels, both even, and independent normal voxels; the background's, in 5 % of
    samples, is black and, in 25 %, dark (mean below 15, deviation below 5). In 95 % a bias
    field, the exponential of a linearly interpolated grid of normal numbers, one knot to
    40 voxels. Cut to 0 to 300, minimum and maximum to 0 and 1, and raised to the power
    ``exp(normal)``. Then the scan's resolution: in 5 % of samples that of the labels, in
    9.5 % larger voxels, and otherwise thicker slices along one random axis; slices are as
    thick as they are apart or thinner. The blurred image is taken at the scan's voxels and
    interpolated linearly on the grid of the labels.

    Unlike the authors' code: the isotropic resolution is one number for all axes, as their
    documentation has it; voxels of the scan are taken where they are and not at the
    nearest voxel; blurs see no zeros beyond the border; one contrast, not several channels.

    Args:
        labels: values in the maps, background first. Others come out as 0, unlike any
            tissue, and as 0 in the targets.
        groups: one number a label, from 0; labels of one group, such as left and right,
            share a distribution. None gives each label its own.
        targets: from labels in the maps to those to be learnt; what it lacks becomes 0.
            None leaves the maps as they are.
        means: least and largest of the groups' means.
        deviations: least and largest of the groups' standard deviations.
        bias: largest standard deviation of the bias field's logarithm, drawn evenly.
        gamma: standard deviation of the logarithm of the power.
        coarsest: largest distance of slices in mm.
        coarsest_isotropic: largest size of voxels in mm that are cubes.
        spacing: of the maps in mm, the same along all axes.
        name: the batch's entry of labels, integer ``(batch, *spatial)``, 2D or 3D.
        image: the entry that is written: float32, of the same shape, 0 to 1.

    Returns:
        A transform that writes ``image`` and, with targets, ``name``. It moves nothing:
        `synthseg` deforms before. To mirror a map swaps left and right: `flip` before
        only where the groups and targets of both sides are the same.

    Raises:
        InputError: for labels that repeat or are negative, groups of another number,
            ranges out of order or resolutions below the maps'; when called, for labels
            that are not integers.
    """
    group = list(range(len(labels))) if groups is None else list(groups)
    values = np.asarray(labels)
    if len(values) < 2 or len(set(labels)) < len(values) or values.min() < 0:
        raise InputError("labels", "at least two different ones, not negative", list(labels))
    if len(group) != len(values) or sorted(set(group)) != list(range(max(group) + 1)):
        raise InputError("groups", f"{len(values)} numbers, with none left out from 0", group)
    for what, (low, high) in (("means", means), ("deviations", deviations)):
        if not 0 <= low <= high:
            raise InputError(what, "least and largest, not negative", (low, high))
    if not 0 < spacing <= min(coarsest, coarsest_isotropic):
        expected = f"at least the spacing, {spacing}"
        raise InputError("coarsest", expected, (coarsest, coarsest_isotropic))
    count = max(group) + 1
    # From values to groups; one more group, of zeros, for what was not listed.
    group_of = np.full(values.max() + 2, count, np.int32)
    group_of[values] = group
    target_of = None
    if targets is not None:
        target_of = np.zeros_like(group_of)
        listed = [value for value in targets if value in set(labels)]
        target_of[listed] = [targets[value] for value in listed]

    def one(key: Key[Array, ""], index: Int[Array, "*spatial"]) -> Float[Array, "*spatial"]:
        mean_key, dark_key, noise_key, bias_key, gamma_key, scan_key = jax.random.split(key, 6)
        mean, deviation = _contrast(mean_key, dark_key, count, group[0], means, deviations)
        which = jnp.asarray(group_of)[index]
        x = mean[which] + deviation[which] * jax.random.normal(noise_key, index.shape)
        x = jnp.clip(x * _field(bias_key, index.shape, bias), 0, 300)
        low, high = jnp.min(x), jnp.max(x)
        x = (x - low) / jnp.where(high > low, high - low, 1)
        x = x ** jnp.exp(gamma * jax.random.normal(gamma_key))
        return _scanned(scan_key, x, spacing, coarsest, coarsest_isotropic)

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        maps = batch[name]
        if not jnp.issubdtype(maps.dtype, jnp.integer) or maps.ndim not in (3, 4):
            expected = "integers (batch, *spatial), 2D or 3D"
            raise InputError(name, expected, f"{maps.dtype} {maps.shape}")
        index = maps.astype(jnp.int32)
        beyond = len(group_of) - 1
        index = jnp.where((index < 0) | (index > beyond), beyond, index)
        out = {**batch, image: jax.vmap(one)(keyed(key, batch), index)}
        if target_of is not None:
            out[name] = jnp.asarray(target_of)[index].astype(maps.dtype)
        return out

    return transform


def synthseg(labels: Sequence[int], *, name: str = "label", **options: object) -> Transform:
    """`synthesise` after the authors' deformation of the label map.

    Turns of up to 15 degrees about each axis, factors of 0.82 to 1.22 for each, shears of up
    to 0.012, and a smooth deformation on a grid of ten intervals: here cubic B-splines
    that cannot fold, of about the displacements (root mean square) of the authors'
    integrated velocities, which are up to 4 voxels at 256.

    Args:
        labels: as for `synthesise`.
        name: the batch's entry of labels.
        **options: of `synthesise`.
    """
    moved = deform(
        rotation=15.0,
        scale=0.2,
        shear=0.012,
        elastic=0.25,
        intervals=10,
        entries={name: Labels(outside=labels[0])},
    )
    return chain(moved, synthesise(labels, name=name, **options))


def _contrast(
    key: Key[Array, ""],
    dark_key: Key[Array, ""],
    count: int,
    background: int,
    means: tuple[float, float],
    deviations: tuple[float, float],
) -> tuple[Array, Array]:
    """Means and deviations of the groups, and of one more of zeros."""
    drawn = jax.random.uniform(key, (2, count))
    ends = jnp.asarray([means, deviations], jnp.float32)
    drawn = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * drawn
    how, mean, deviation = jax.random.uniform(dark_key, (3,))
    dark = jnp.where(how > 0.95, 0, jnp.stack([15 * mean, 5 * deviation]))
    drawn = drawn.at[:, background].set(jnp.where(how > 0.7, dark, drawn[:, background]))
    mean, deviation = jnp.pad(drawn, ((0, 0), (0, 1)))
    return mean, deviation


def _field(key: Key[Array, ""], shape: tuple[int, ...], bias: float) -> Float[Array, "*spatial"]:
    size_key, knots = jax.random.split(key)
    chance, size = jax.random.uniform(size_key, (2,))
    deviation = jnp.where(chance < 0.95, bias * size, 0)
    coarse = jax.random.normal(knots, tuple(-(-n // 40) for n in shape))
    return jnp.exp(deviation * jax.image.resize(coarse, shape, "linear"))


def _scanned(
    key: Key[Array, ""], x: Array, spacing: float, coarsest: float, isotropic: float
) -> Float[Array, "*spatial"]:
    """The image as a scan of random resolution shows it, on the same grid."""
    n = x.ndim
    kind, which, cube, slices, *thinner = jax.random.uniform(key, (4 + n,))
    along_one = jnp.arange(n, dtype=which.dtype) == jnp.floor(n * which)
    apart = jnp.where(along_one, spacing + (coarsest - spacing) * slices, spacing)
    apart = jnp.where(kind < 0.145, spacing + (isotropic - spacing) * cube, apart)
    apart = jnp.where(kind < 0.05, spacing, apart) / spacing
    thick = 1 + (apart - 1) * jnp.stack(thinner)
    for axis in range(n):
        # Three quarters of a slice's thickness, and half a voxel at the maps' resolution.
        sigma = jnp.where(thick[axis] > 1, 0.75 * thick[axis], 0.5)
        x = along(_acquisition(x.shape[axis], apart[axis], sigma), x, axis - n)
    return x


def _acquisition(
    size: int, apart: Float[Array, ""], sigma: Float[Array, ""]
) -> Float[Array, "size size"]:
    """Blur, take a voxel every ``apart`` ones, interpolate: all of it as one matrix."""
    place = jnp.arange(size, dtype=jnp.float32)
    last = jnp.floor((size - 1) / apart)
    where = jnp.clip(place / apart, 0, last)
    below = jnp.floor(where)

    def taken(number: Array) -> Array:
        distance = (place[None] - (jnp.minimum(number, last) * apart)[:, None]) / sigma
        weight = jnp.exp(-0.5 * distance**2)
        return weight / jnp.sum(weight, 1, keepdims=True)

    part = (where - below)[:, None]
    return (1 - part) * taken(below) + part * taken(below + 1)

"""Stain normalisation: slides of one laboratory in the colours of another's.

``fit(image)`` takes the image to look like, ``(y, x, 3)``; ``transform(state, images)``
takes ``(*batch, y, x, 3)`` and estimates each image's own colours. Images are floating,
0 to 1, where 1 is the light without a slide. An image whose stains cannot be found, as one
without tissue, is left as it is. Everything can be jitted and works on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.colour import lab_to_rgb, rgb_to_lab
from medjax.physics.stain_factors import factorise_stains, sparse_concentrations
from medjax.physics.stains import Stains, deconvolve, estimate_stains, optical_density, transmitted

from .method import Harmoniser

STRONGEST = 99.0
"""Percentile of concentrations that is taken for a stain's strength (Macenko et al.)."""
BLANK = 1.0
"""Standard deviation of lightness (0 to 100) below which an image holds no tissue."""


class ColourStatistics(NamedTuple):
    """Mean and standard deviation of an image in CIELAB, each ``(3,)``."""

    mean: Array
    deviation: Array


class StainAppearance(NamedTuple):
    """How a laboratory's slides look.

    Attributes:
        colours: ``(*batch, 2, 3)``, haematoxylin and eosin, rows of unit length.
        strength: ``(*batch, 2)``, a high percentile of their concentrations.
    """

    colours: Array
    strength: Array


def reinhard() -> Harmoniser:
    """Mean and standard deviation of each axis of a colour space (Reinhard et al. 2001).

    In CIELAB, as the implementations for histology have it; the paper's space is
    Ruderman's l-alpha-beta, whose logarithms black pixels do not have. All pixels count,
    so images should hold about as much background as the target.

    Reinhard, Ashikhmin, Gooch & Shirley, "Color transfer between images", IEEE Comput
    Graph Appl 21 (2001) 34-41.
    """

    def transform(state: ColourStatistics, image: Array) -> Float[Array, "*batch y x 3"]:
        _require(image, 3)
        lab = rgb_to_lab(image)
        mean = jnp.mean(lab, axis=(-3, -2), keepdims=True)
        deviation = jnp.std(lab, axis=(-3, -2), keepdims=True)
        # Without tissue all pixels are much alike, and their noise would be blown up.
        blank = deviation[..., :1] < BLANK
        ratio = with_rank(state.deviation, lab.ndim) / jnp.where(blank, 1, deviation)
        moved = (lab - mean) * ratio + with_rank(state.mean, lab.ndim)
        return jnp.where(blank, image, jnp.clip(lab_to_rgb(moved), 0, 1))

    def fit(image: Array) -> ColourStatistics:
        _require(image, 3, exactly=True)
        pixels = rgb_to_lab(image).reshape(-1, 3)
        return ColourStatistics(jnp.mean(pixels, axis=0), jnp.std(pixels, axis=0))

    return Harmoniser(fit, transform)


def macenko(*, threshold: float = 0.15, percentile: float = 1.0) -> Harmoniser:
    """Extreme directions of the plane of densities as stains (Macenko et al. 2009).

    Each image's concentrations, scaled to the target's strength, in the target's colours.

    Args:
        threshold: as `medjax.physics.stains.estimate_stains`.
        percentile: as there.
    """

    def estimate(image: Array) -> Array:
        return estimate_stains(image, threshold=threshold, percentile=percentile)

    return _by_stains(estimate, deconvolve)


def vahadane(*, sparsity: float = 0.1 / 2.302585, steps: int = 50) -> Harmoniser:
    """Stains by sparse non-negative matrix factorisation (Vahadane et al. 2016).

    Each image's concentrations, scaled to the target's strength, in the target's colours.
    Unlike the paper's, the concentrations that make the new image are not shrunk by the
    sparsity that finds the colours: it would make every image paler.

    Args:
        sparsity: as `medjax.physics.stain_factors.factorise_stains`.
        steps: as there.
    """

    def estimate(image: Array) -> Array:
        return factorise_stains(image, sparsity=sparsity, steps=steps)

    def concentrations(image: Array, colours: Array) -> Array:
        return sparse_concentrations(optical_density(image), colours)

    return _by_stains(estimate, concentrations)


def _by_stains(
    estimate: Callable[[Array], Array], concentrations: Callable[[Array, Array], Array]
) -> Harmoniser:
    def appearance(image: Array) -> tuple[StainAppearance, Array]:
        colours = estimate(image)
        amounts = concentrations(image, colours)
        pixels = amounts.reshape(-1, amounts.shape[-1])
        strength = jnp.percentile(pixels, STRONGEST, axis=0)
        return StainAppearance(colours, strength.astype(image.dtype)), amounts

    def fit(image: Array) -> StainAppearance:
        _require(image, 3, exactly=True)
        return appearance(image)[0]

    def transform(state: StainAppearance, image: Array) -> Float[Array, "*batch y x 3"]:
        _require(image, 3)

        def one(image: Array) -> Array:
            own, amounts = appearance(image)
            amounts = amounts * with_rank(state.strength / own.strength, amounts.ndim)
            new = jnp.clip(transmitted(Stains(state.colours)(amounts)), 0, 1)
            found = jnp.all(jnp.isfinite(own.colours)) & jnp.all(own.strength > 0)
            return jnp.where(found, new, image)

        flat = image.reshape(-1, *image.shape[-3:])
        return jax.vmap(one)(flat).reshape(image.shape)

    return Harmoniser(fit, transform)


def _require(image: Array, ndim: int, *, exactly: bool = False) -> None:
    fits = image.ndim == ndim if exactly else image.ndim >= ndim
    if not fits or image.shape[-1] != 3 or not jnp.issubdtype(image.dtype, jnp.floating):
        expected = f"floating {'(y, x, 3)' if exactly else '(*batch, y, x, 3)'}, 0 to 1"
        raise InputError("image", expected, f"{image.dtype} {image.shape}")

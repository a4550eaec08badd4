"""Stains by sparse non-negative factors: densities as few stains as possible at each pixel."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.colour import rgb_to_lab

from .stains import EOSIN, HEMATOXYLIN, optical_density, stain_matrix


def sparse_concentrations(
    density: Array, colours: Array, *, sparsity: float = 0.0
) -> Float[Array, "... 2"]:
    """Non-negative concentrations of two stains, by least squares with an l1 penalty.

    The minimum over ``c >= 0`` of ``|density - c @ colours|^2 / 2 + sparsity * sum(c)``:
    exact, since with two stains there are but four choices of which are present.

    Args:
        density: floating, ``(..., 3)``.
        colours: ``(2, 3)``, rows of unit length that are not parallel.
        sparsity: not negative, in units of density; 0 is non-negative least squares.

    Returns:
        ``(..., 2)``.
    """
    colours = colours.astype(density.dtype)
    meet = jnp.sum(colours[0] * colours[1])
    first, second = (
        jnp.sum(density * c.reshape((1,) * (density.ndim - 1) + (3,)), axis=-1) - sparsity
        for c in colours
    )
    # With both: the normal equations of two unit vectors.
    both = (first - meet * second, second - meet * first)
    scale = 1 / (1 - meet**2)
    # A convex problem: where the free minimum is inside it is the answer, and otherwise
    # the better one of the two edges, whose gain is half the square of what is present.
    first, second = jnp.maximum(first, 0), jnp.maximum(second, 0)
    inside = (both[0] >= 0) & (both[1] >= 0)
    on_first = first >= second
    return jnp.stack(
        [
            jnp.where(inside, both[0] * scale, jnp.where(on_first, first, 0)),
            jnp.where(inside, both[1] * scale, jnp.where(on_first, 0, second)),
        ],
        axis=-1,
    )


def factorise_stains(
    image: Array, *, sparsity: float = 0.1 / 2.302585, brightest: float = 80.0, steps: int = 50
) -> Float[Array, "*batch 2 3"]:
    """The colours of haematoxylin and eosin by sparse non-negative matrix factorisation.

    Colours and concentrations in turn, from Ruifrok and Johnston's colours: exact
    concentrations for all stained pixels, then one exact step on each colour, which stays
    non-negative and of at most unit length (block coordinates, as Mairal et al. 2010
    update a dictionary). Nothing is random.

    Args:
        image: ``(*batch, y, x, 3)``, floating, 0 to 1. Of one image or one a sample.
        sparsity: weight of concentrations against squared residuals, in decimal density:
            the paper's 0.1 in natural density.
        brightest: lightness (CIELAB, 0 to 100) from which a pixel is background.
        steps: how often both are updated.

    Returns:
        ``(*batch, 2, 3)``, rows of unit length, haematoxylin (more red density) first.
        NaN where fewer than three pixels are stained or a stain is found nowhere.

    Raises:
        InputError: for another shape or dtype.

    References:
        Vahadane et al., "Structure-preserving color normalization and sparse stain
        separation for histological images", IEEE TMI 35 (2016) 1962-1971.
        Mairal, Bach, Ponce & Sapiro, J Mach Learn Res 11 (2010) 19-60.
    """
    if image.ndim < 3 or image.shape[-1] != 3:
        raise InputError("image", "(*batch, y, x, 3)", image.shape)
    density = optical_density(image)
    stained = rgb_to_lab(image)[..., 0] < brightest

    def one(density: Array, stained: Array) -> Array:
        weight = stained.astype(density.dtype)[:, None]
        density = density * weight

        def step(_: Array, colours: Array) -> Array:
            amounts = sparse_concentrations(density, colours, sparsity=sparsity) * weight
            gram = jnp.einsum("pi,pj->ij", amounts, amounts, precision="highest")
            cross = jnp.einsum("pi,pc->ic", amounts, density, precision="highest")
            for i in range(2):
                pull = cross[i] - jnp.einsum("j,jc->c", gram[i], colours, precision="highest")
                new = jnp.maximum(colours[i] + pull / gram[i, i], 0)
                colours = colours.at[i].set(new / jnp.maximum(jnp.linalg.norm(new), 1))
            return colours

        start = stain_matrix(HEMATOXYLIN, EOSIN).astype(density.dtype)
        colours = jax.lax.fori_loop(0, steps, step, start)
        colours = colours / jnp.linalg.norm(colours, axis=1, keepdims=True)
        colours = jnp.where(colours[0, 0] > colours[1, 0], colours, colours[::-1])
        return jnp.where(jnp.sum(weight) >= 3, colours, jnp.nan)

    pixels = image.shape[-3] * image.shape[-2]
    colours = jax.vmap(one)(density.reshape(-1, pixels, 3), stained.reshape(-1, pixels))
    return colours.reshape(*image.shape[:-3], 2, 3)

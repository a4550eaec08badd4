"""Motion by leaving out: which phase-encode lines a filter confirms, and an image of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Bool
from medjax.physics.mri.cartesian import Cartesian

from .compressed_sensing import wavelet_l1


def still_lines(
    kspace: Array,
    filtered: Array,
    *,
    threshold: float | Array = 0.5,
    least: float = 0.35,
    coils: bool = False,
    ndim: int = 2,
) -> Bool[Array, "..."]:
    """The lines of k-space that agree with those of an image whose artefacts were filtered out.

    Cui et al. (2023), PLoS ONE 18:e0278668: a network takes motion's artefacts out of the image,
    roughly; lines of its k-space that are far from the measured ones were measured in another
    position. The measure of a line, ``|a - b|^2 / (|a|^2 + |b|^2)`` over readout and coils, 0
    for equal and 2 for opposite ones, is this implementation's choice.

    Args:
        kspace: as measured, complex, ``(*batch, [coil,] *spatial)``; lines lie across the last
            axis.
        filtered: k-space of the filtered image, of the same shape.
        threshold: lines up to this measure are kept.
        least: share of the lines that are kept in any case, the most alike.
        coils: whether there is an axis of coils, which share their lines.
        ndim: number of spatial axes.

    Returns:
        A mask ``(*batch, [1,] 1, ..., lines)``, as `Cartesian` takes it.

    Raises:
        InputError: for unequal shapes, or ``least`` outside (0, 1].
    """
    if kspace.shape != filtered.shape:
        raise InputError("filtered", f"k-space of shape {kspace.shape}", filtered.shape)
    if not 0 < least <= 1:
        raise InputError("least", "a number above 0, up to 1", least)
    axes = tuple(range(kspace.ndim - ndim - coils, kspace.ndim - 1))

    def power(x: Array) -> Array:
        return jnp.sum(jnp.real(x) ** 2 + jnp.imag(x) ** 2, axis=axes, keepdims=True)

    both = power(kspace) + power(filtered)
    apart = power(kspace - filtered) / jnp.where(both > 0, both, 1)
    kept = max(1, round(least * kspace.shape[-1]))
    limit = jnp.sort(apart, axis=-1)[..., kept - 1 : kept]
    return apart <= jnp.maximum(limit, jnp.asarray(threshold, apart.dtype))


def line_filter(
    y: Array,
    denoiser: Callable[[Array], Array],
    weight: float | Array,
    maps: Array | None = None,
    *,
    threshold: float | Array = 0.5,
    least: float = 0.35,
    ndim: int = 2,
    **options: Any,
) -> tuple[Array, Array]:
    """Compressed sensing from the phase-encode lines that motion left alone.

    Cui et al. (2023), PLoS ONE 18:e0278668: filter the image, find the lines that agree
    (`still_lines`), reconstruct from these (`wavelet_l1`; the paper's has total variation too).
    The network's image is not the result: it only says which measurements to trust.

    Args:
        y: fully sampled k-space of an object that moved between lines, complex,
            ``(*batch, [coil,] *spatial)``; lines lie across the last axis.
        denoiser: ``(*batch, *spatial) -> (*batch, *spatial)``, complex, such as a network that
            learned on simulated motion; the paper's is a U-shaped one.
        weight: as of `wavelet_l1`.
        maps: coil sensitivities of unit norm, as of `Cartesian`; without them there is no axis
            of coils.
        threshold: as of `still_lines`.
        least: as there.
        ndim: number of spatial axes.
        **options: of `wavelet_l1`.

    Returns:
        Images ``(*batch, *spatial)``, and the mask of the lines that were used.

    Raises:
        InputError: as `still_lines` and `wavelet_l1`.
    """
    every = Cartesian(jnp.ones(y.shape[-1:], bool), maps, ndim)
    expected = every(denoiser(every.H(y)))
    choice = {"threshold": threshold, "least": least, "coils": maps is not None, "ndim": ndim}
    mask = jax.lax.stop_gradient(still_lines(y, expected, **choice))
    a = Cartesian(mask, maps, ndim)
    image = wavelet_l1(a, jnp.where(mask, y, 0), weight, ndim=ndim, largest=1.0, **options)
    return image, mask

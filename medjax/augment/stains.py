"""Augmentation of histology in the space of its stains."""

from __future__ import annotations

from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Array, Key
from medjax.physics.stains import DAB, EOSIN, HEMATOXYLIN, optical_density, transmitted

from .compose import Transform
from .entries import Entries, Image, on_images

SLIDE: Entries = MappingProxyType({"image": Image(channels="last", outside=1.0)})
"""Red, green and blue; beyond the image there is the light without a slide."""


def stain_jitter(
    spread: float = 0.05, shift: float | None = None, *, entries: Entries = SLIDE
) -> Transform:
    """Vary the amounts of haematoxylin, eosin and diaminobenzidine, as laboratories do.

    Each stain's concentration ``c``, by colour deconvolution, becomes ``a c + b``, with
    ``a`` and ``b`` drawn for each sample and stain (Tellez et al. 2018, IEEE TMI 37:2126;
    2019, Med Image Anal 58:101544, whose light and strong versions have a spread of 0.05
    and of 0.2). Shifts are in decimal optical density, unlike those of the paper, whose
    unit was an older scikit-image's. All of it is one 3 x 3 matrix for each sample.

    Args:
        spread: ``a`` is drawn evenly from ``1 - spread`` to ``1 + spread``.
        shift: ``b`` is drawn evenly from ``-shift`` to ``shift``; None is the spread.
        entries: of which the images change: red, green and blue of 0 to 1, where 1 is
            the light without a slide. Background changes too, by the shift.

    Returns:
        A transform; its images are cut to 0 and 1.

    Raises:
        InputError: for negative sizes; when called, for other than three channels.
    """
    shift = spread if shift is None else shift
    if min(spread, shift) < 0:
        raise InputError("spread, shift", "numbers that are not negative", (spread, shift))
    colours = np.array([HEMATOXYLIN, EOSIN, DAB])
    colours = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    unmix = np.linalg.inv(colours)

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        channel = 0 if axes[-1] == -1 else -1
        if x.ndim == len(axes) or x.shape[channel] != 3 or jnp.iscomplexobj(x):
            raise InputError("image", "three real channels", f"{x.dtype} {x.shape} a sample")
        drawn = jax.random.uniform(key, (2, 3), x.dtype, -1.0, 1.0)
        factor, offset = 1 + spread * drawn[0], shift * drawn[1]
        rows = jnp.asarray(colours, x.dtype)
        # Sums of three terms: a matrix unit would round them to bfloat16 or idle.
        matrix = jnp.sum((jnp.asarray(unmix, x.dtype) * factor[None])[:, :, None] * rows[None], 1)
        ground = jnp.sum(offset[:, None] * rows, 0)
        density = optical_density(jnp.moveaxis(x, channel, 0))
        mixed = [sum(matrix[i, j] * density[i] for i in range(3)) + ground[j] for j in range(3)]
        return jnp.clip(transmitted(jnp.stack(mixed, channel)), 0, 1)

    return on_images(rule, entries)

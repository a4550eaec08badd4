"""Colourisation: a colour, or an intensity, is guessed from what it looks like without."""

from __future__ import annotations

import functools
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax.augment.corrupt import nonlinear_intensity
from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.colour import rgb_to_lab
from medjax.layers.pool import adaptive_average_pool
from medjax.learners.learner import Learner
from medjax.models.backbone import Backbone
from medjax.models.pretraining import ColourModel

from .pretext import pretext

Kind = Literal["colour", "intensity"]
"""colour: of RGB images from 0 to 1, from their lightness; intensity: of grey images, from
the same image after a random map of intensities."""

_STEP = 10.0  # edge of a bin of colours
_NEIGHBOURS, _SIGMA = 5, 5.0  # bins that share a colour, and the Gaussian by which they do
_LEVELS = 32  # bins of intensities


def colourisation(
    backbone: Backbone,
    optimizer: optax.GradientTransformation,
    *,
    kind: str = "colour",
    width: int = 256,
    image: str = "image",
) -> Learner:
    """Colourisation of Zhang et al. 2016 (arXiv:1603.08511), and its like for grey images.

    As in the paper: from the lightness of an image its colour is classified, at a reduced
    size, into bins of CIELAB's a and b of edge 10, of which those on a screen are kept;
    five bins around a colour share it by a Gaussian of width 5. What differs: the lightness is
    repeated three times, so that the backbone can see colours later; all its maps are read
    (`Hypercolumn`), not one of a dilated network; rare colours are not weighted up, which
    needs the statistics of a set of images.

    Grey images, 2D or 3D, have no colour. In their place `nonlinear_intensity` takes the
    meaning of intensities away, half of the time even their order, and the network says what
    they were within the image's own range: 32 bins, of which the two nearest share a value.
    That map of intensities is from Models Genesis; each channel is classified by itself.

    Args:
        backbone: any, without head.
        optimizer: any Optax transformation.
        kind: see `Kind`.
        width: see `medjax.models.pretraining.Hypercolumn`.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``. Its
        `predict` sees lightness, too, where ``kind`` is "colour".

    Raises:
        InputError: for another kind; when called, for colours of other than three channels.
    """
    if kind not in get_args(Kind):
        raise InputError("kind", f"one of {', '.join(get_args(Kind))}", repr(kind))

    def coloured(keys, x, batch):
        bins = len(colour_bins())
        return (lightness(x), bins), rgb_to_lab(x.astype(jnp.float32))[..., 1:]

    def remapped(keys, x, batch):
        axes = tuple(range(1, x.ndim))
        low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
        share = (x - low) / jnp.where(high > low, high - low, 1)
        bins = _LEVELS * x.shape[-1]
        return (jax.vmap(nonlinear_intensity)(keys, x), bins), share.astype(jnp.float32)

    def loss(logits, values):
        values = adaptive_average_pool(values, logits.shape[1:-1])
        soft = share_colour(values) if kind == "colour" else share_level(values)
        logits = logits.reshape(soft.shape)
        entropy = optax.losses.softmax_cross_entropy(logits, soft)
        return entropy.mean(axis=tuple(range(1, entropy.ndim)))

    task, view = (coloured, lightness) if kind == "colour" else (remapped, lambda x: x)
    return pretext(ColourModel(backbone, width), task, loss, optimizer, image=image, view=view)


def lightness(image: Array) -> Float[Array, "batch *spatial 3"]:
    """CIELAB's lightness of RGB images from 0 to 1, from -1 to 1, three times.

    Raises:
        InputError: for other than three channels.
    """
    light = rgb_to_lab(image)[..., :1] / 50 - 1
    return jnp.broadcast_to(light, image.shape)


@functools.cache
def colour_bins() -> np.ndarray:
    """Centres ``(bin, 2)`` in a and b, float32, of the bins that sRGB reaches."""
    levels = np.linspace(0, 1, 52)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1)
    cells = np.round(rgb_to_lab(cube)[..., 1:].reshape(-1, 2) / _STEP)
    return (np.unique(cells, axis=0) * _STEP).astype(np.float32)


def share_colour(values: Float[Array, "*batch 2"]) -> Float[Array, "*batch bin"]:
    """Colours as weights of their five nearest bins, which add up to one."""
    centres = jnp.asarray(colour_bins())
    centres = centres.reshape((1,) * (values.ndim - 1) + centres.shape)
    distance = jnp.sum((values[..., None, :] - centres) ** 2, axis=-1)
    nearest, which = jax.lax.top_k(-distance, _NEIGHBOURS)
    weights = jax.nn.softmax(nearest / (2 * _SIGMA**2), axis=-1)
    one_hot = jax.nn.one_hot(which, centres.shape[-2], dtype=weights.dtype)
    return jnp.sum(weights[..., None] * one_hot, axis=-2)


def share_level(values: Float[Array, "*batch"]) -> Float[Array, "*batch bin"]:
    """Numbers from 0 to 1 as weights of their two nearest levels, which add up to one."""
    levels = jnp.arange(_LEVELS, dtype=values.dtype).reshape((1,) * values.ndim + (-1,))
    return jnp.maximum(1 - jnp.abs(values[..., None] * (_LEVELS - 1) - levels), 0)

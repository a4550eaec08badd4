"""From one library's layout of a parameter to another's, and from one shape to another.

Each is ``(array, shape) -> array``, where ``shape`` is what is wanted. A layout that cannot
become it is returned as it is, so that the importer reports both shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from medjax.layers.position import resize_positions

Transform = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]


def keep(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array as it is."""
    return array


def vector(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A bias or scale of any rank, its axes of one and its division into heads set aside."""
    return array.reshape(shape) if array.size == math.prod(shape) else array


def linear(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``(out, in)`` to ``(in, out)``, each of which may be split, as into heads."""
    if array.ndim != 2:
        return array
    kernel = array.T
    splits = [math.prod(shape[:i]) for i in range(1, len(shape))]
    fits = kernel.size == math.prod(shape) and kernel.shape[0] in splits
    return kernel.reshape(shape) if fits else kernel


def conv(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``(out, in, *window)`` to ``(*window, in, out)``."""
    return np.moveaxis(array, (1, 0), (-2, -1)) if array.ndim > 2 else array


def linear_as_conv(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``(out, in)`` to a convolution of window 1, ``(1, ..., in, out)``."""
    if array.ndim != 2:
        return array
    return array.T.reshape((1,) * (len(shape) - 2) + array.T.shape)


def conv_as_linear(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A convolution of window 1, ``(out, in, 1, ...)``, to a dense layer's ``(in, out)``."""
    return (
        linear(array.reshape(array.shape[:2]), shape) if array.size == math.prod(shape) else array
    )


def inflate(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A 2D kernel ``(h, w, in, out)`` repeated along depth and divided by it: ``(d, h, w, ...)``.

    Carreira & Zisserman 2017 (arXiv:1705.07750, section 2.4): on a volume that does not
    change along depth the 3D network answers as the 2D one did.
    """
    if kernel.ndim != 4 or len(shape) != 5:
        return kernel
    return np.repeat(kernel[None], shape[0], axis=0) / kernel.dtype.type(shape[0])


def adapt_channels(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A kernel ``(*window, in, out)`` for another number of input channels.

    The sum over channels stays, so that the answer does where all channels are alike, as
    when a grey image was copied to three. To more channels they are repeated in turn, each
    divided by the number of its copies; to fewer, each is the sum over the old ones
    divided by the number of new ones.
    """
    old, new = kernel.shape[-2], shape[-2]
    if new < old:
        mean = kernel.sum(axis=-2, keepdims=True) / kernel.dtype.type(new)
        return np.repeat(mean, new, axis=-2)
    copies = np.bincount(np.arange(new) % old).astype(kernel.dtype)
    return (kernel / copies[:, None])[..., np.arange(new) % old, :]


def adapt_kernel(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`inflate`, then `adapt_channels`, as far as the shape asks for them."""
    kernel = inflate(kernel, shape)
    if kernel.ndim == len(shape) >= 3 and kernel.shape[-2] != shape[-2]:
        kernel = adapt_channels(kernel, shape)
    return kernel


def grid(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Positions ``(1, token, channel)`` on their grid, ``(*grid, channel)``.

    The grid is the wanted one, or where another number of tokens came, one with equal sides.
    """
    tokens, channels = array.shape[-2:]
    axes = len(shape) - 1
    if tokens == math.prod(shape[:-1]):
        return array.reshape(*shape[:-1], channels)
    side = round(tokens ** (1 / axes))
    return array.reshape((side,) * axes + (channels,)) if side**axes == tokens else array


def adapt_positions(table: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Positions ``(*grid, channel)`` interpolated to another grid; to a volume's, repeated.

    All slices of a volume then begin with an image's positions, as its kernels do.
    """
    if table.ndim == len(shape) - 1 == 3:
        table = np.repeat(table[None], shape[0], axis=0)
    if table.ndim != len(shape) or table.shape[-1] != shape[-1]:
        return table
    return np.asarray(resize_positions(jnp.asarray(table, jnp.float32), shape[:-1]))

"""Arithmetic on the host: what turns a stored volume into slices of one shape.

NumPy only. Whatever is heavy runs on the device; this is what must be done before
samples can form a batch.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from medjax.core.errors import InputError

CALIBRATION = 24  # samples along each axis at the centre of k-space, as in fastMRI's 4x masks


def fit(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Crop or pad with zeros the last ``len(shape)`` axes; the centre ``n // 2`` stays the centre.

    Args:
        array: with at least ``len(shape)`` axes.
        shape: sizes of its last axes in the result.
    """
    lead = array.ndim - len(shape)
    taken, given = [slice(None)] * lead, [slice(None)] * lead
    for old, new in zip(array.shape[lead:], shape, strict=True):
        start = old // 2 - new // 2
        low, high = max(start, 0), min(start + new, old)
        taken.append(slice(low, high))
        given.append(slice(low - start, high - start))
    if all(s == slice(0, n) for s, n in zip(given[lead:], shape, strict=True)):
        return array[tuple(taken)]
    out = np.zeros(array.shape[:lead] + tuple(shape), array.dtype)
    out[tuple(given)] = array[tuple(taken)]
    return out


def box_average(array: np.ndarray, factor: int, axes: tuple[int, ...]) -> np.ndarray:
    """Mean over blocks of ``factor`` along ``axes``; samples over at the end are left out."""
    for axis in axes:
        count = array.shape[axis] // factor
        blocks = np.moveaxis(array, axis, 0)[: count * factor]
        blocks = blocks.reshape(count, factor, *blocks.shape[1:])
        array = np.moveaxis(blocks.mean(axis=1, dtype=np.float32), 0, axis)
    return array


def percentile_scale(what: object, array: np.ndarray) -> np.float32:
    """The 99.9th percentile of the magnitudes that are not zero.

    Raises:
        InputError: naming ``what``, where all are zero.
    """
    magnitudes = np.abs(array)
    magnitudes = magnitudes[magnitudes > 0]
    if magnitudes.size == 0:
        raise InputError(what, "an image", "zero everywhere")
    return np.float32(np.percentile(magnitudes, 99.9))


def require_finite(what: object, array: np.ndarray) -> None:
    """Raise `InputError`, naming ``what``, for NaN or infinite values, with their number."""
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise InputError(what, "finite values", f"{bad} that are NaN or infinite")


def ifft2c(kspace: np.ndarray) -> np.ndarray:
    """Centred orthonormal inverse Fourier transform of the last two axes.

    The NumPy twin of `medjax.physics.ifftc`: index ``n // 2`` is zero in both spaces.
    """
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace, axes=axes)
    return np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=axes)


def combine_coils(kspace: np.ndarray, calibration: int = CALIBRATION) -> np.ndarray:
    """One complex image from fully sampled coils.

    Sensitivities are the coils' images at low resolution, from the centre of
    k-space, over their root sum of squares (self-calibration: McKenzie et al.
    2002, Magn Reson Med 47:529-538); the image is ``sum_c conj(S_c) I_c``, the least
    squares one as ``sum_c |S_c|^2 = 1``. A Hann window against ringing is ours.
    Phase that varies slowly goes into the sensitivities and leaves the image.

    Args:
        kspace: complex64 ``(coil, y, x)``, centred.
        calibration: samples along y and x that the sensitivities are made of.

    Returns:
        complex64 ``(y, x)``.
    """
    sizes = [min(calibration, n) for n in kspace.shape[-2:]]
    # Without the zeros at its ends, and symmetric about n // 2 for even and odd sizes.
    windows = [0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(n) - n // 2) / (n + 1)) for n in sizes]
    window = np.multiply.outer(*windows).astype(np.float32)
    centre = fit(kspace, tuple(sizes)) * window
    low = ifft2c(fit(centre, kspace.shape[-2:]))
    norm = np.sqrt(np.sum(np.abs(low) ** 2, axis=0))
    image = np.sum(np.conj(low) * ifft2c(kspace), axis=0)
    return (image / np.maximum(norm, np.finfo(np.float32).tiny)).astype(np.complex64)


class Recent:
    """``read(key)``, with the last few results kept; empty again in another process."""

    def __init__(self, read: Callable[[Hashable], Any], size: int):
        self.read, self.size = read, size
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, key: Hashable) -> Any:
        with self._lock:  # also while reading: two threads often want the same volume
            if key not in self._kept:
                value = self.read(key)
                while len(self._kept) >= max(self.size, 1):
                    self._kept.popitem(last=False)
                self._kept[key] = value
            self._kept.move_to_end(key)
            return self._kept[key]

    def __reduce__(self):
        return type(self), (self.read, self.size)

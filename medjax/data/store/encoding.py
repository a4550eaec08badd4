"""From an image's values to what is stored of it, and what is known of it afterwards."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np

from medjax.core.errors import InputError
from medjax.core.random import generator

VALUES = ("int16", "float32")
PERCENTILES = (0.5, 1.0, 50.0, 99.0, 99.5)

_LARGEST = 32767  # of the codes, on both sides of 0


def encode(
    what: object, array: np.ndarray, channels: int, values: str
) -> tuple[np.ndarray, tuple[float, ...], tuple[float, ...]]:
    """Intensities as they are stored.

    Integers of up to 24 bits, in whatever dtype they come, are kept in the first of uint8,
    int16, uint16 and int32 that holds them all. Others become float32 or, for "int16",
    codes of 65535 levels from the channel's least to its greatest value, wrong by at most
    the range / 65535; where 0 lies between them it is kept exactly, so that a masked
    background stays one.

    Args:
        what: names the array in errors.
        array: real numbers, ``(x, y[, z])`` and ``channels`` where not 0.
        channels: size of the last axis, or 0 for none.
        values: one of `VALUES`.

    Returns:
        What is stored, and slope and intercept of each channel: a value is
        ``slope * stored + intercept`` in float32.

    Raises:
        InputError: for another dtype, an empty array, or values that are not finite.
    """
    if array.dtype.kind not in "biuf" or 0 in array.shape:
        raise InputError(what, "real numbers", f"{array.dtype} of shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = array.size - int(np.isfinite(array).sum())
        raise InputError(what, "finite values", f"{count} that are not")
    whole = _as_integers(array)
    if whole is not None:
        ones = (1.0,) * max(channels, 1)
        return whole, ones, (0.0,) * len(ones)
    columns = array.reshape(-1, max(channels, 1))
    low, high = columns.min(axis=0).astype(np.float64), columns.max(axis=0).astype(np.float64)
    if max(abs(low).max(), abs(high).max()) > np.finfo(np.float32).max:
        raise InputError(what, "values that float32 holds", "greater ones")
    if values == "float32":
        ones = (1.0,) * len(low)
        return array.astype(np.float32), ones, (0.0,) * len(ones)
    slope = np.maximum((high - low) / (2 * _LARGEST), np.finfo(np.float32).tiny)
    slope = slope.astype(np.float32)
    zero = np.clip(np.round(-(high + low) / 2 / slope), -(2**31), 2**31).astype(np.int64)
    inside = (low <= 0) & (high >= 0)
    middle = ((high + low) / 2).astype(np.float32)
    # Where 0 is inside, its code times the slope in float32 is what the intercept undoes.
    intercept = np.where(inside, -(zero.astype(np.float32) * slope), middle)
    codes = np.empty(columns.shape, np.int16)
    for part in _parts(len(columns)):
        exact = (columns[part] - intercept.astype(np.float64)) / slope.astype(np.float64)
        codes[part] = np.clip(np.round(exact), -_LARGEST - 1, _LARGEST)
    return codes.reshape(array.shape), tuple(slope.tolist()), tuple(intercept.tolist())


def encode_label(what: object, array: np.ndarray) -> np.ndarray:
    """Labels in the smallest unsigned integers.

    Raises:
        InputError: for values that are no integers of at least 0.
    """
    if array.dtype.kind not in "biuf" or 0 in array.shape:
        raise InputError(what, "labels", f"{array.dtype} of shape {array.shape}")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.round(array))).all():
        raise InputError(what, "labels that are integers", "fractions")
    low, high = array.min(), array.max()
    if low < 0 or high >= 2**32:
        raise InputError(what, "labels in 0 to 2**32 - 1", f"{low:g} to {high:g}")
    smallest = next(t for t in (np.uint8, np.uint16, np.uint32) if high <= np.iinfo(t).max)
    return array.astype(smallest)


def checksum(array: np.ndarray) -> str:
    """BLAKE2b of dtype, shape and values (little-endian, last axis fastest), 128 bits."""
    digest = hashlib.blake2b(f"{array.dtype.name} {array.shape}".encode(), digest_size=16)
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest.update(little.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def statistics(stored: np.ndarray, slope: float, intercept: float) -> dict[str, float]:
    """Mean, standard deviation, extremes and percentiles of one channel's values.

    Args:
        stored: some of the channel's voxels as they are stored; at least one.
        slope: of the channel.
        intercept: of the channel.
    """
    flat = stored.ravel()
    if flat.dtype.kind in "iu" and flat.dtype.itemsize <= 2:
        # A histogram tells all, and is quicker than sorting.
        least = int(np.iinfo(flat.dtype).min)
        counts = np.zeros(2 ** (8 * flat.dtype.itemsize), np.int64)
        for part in _parts(flat.size):
            counts += np.bincount(flat[part].astype(np.int64) - least, minlength=counts.size)
        levels = np.flatnonzero(counts)
        counts, levels = counts[levels], (levels + least).astype(np.float64)
    else:
        levels, counts = np.sort(flat).astype(np.float64), np.ones(flat.size, np.int64)
    mean = np.average(levels, weights=counts)
    sd = np.sqrt(np.average((levels - mean) ** 2, weights=counts))
    ends = np.cumsum(counts)
    found = {"mean": mean, "min": levels[0], "max": levels[-1]}
    for percentile in PERCENTILES:
        below, part = divmod(percentile / 100 * (flat.size - 1), 1)
        pair = levels[np.searchsorted(ends, (below, min(below + 1, flat.size - 1)), "right")]
        found[f"p{percentile:g}"] = pair[0] + part * (pair[1] - pair[0])
    found = {name: float(slope * value + intercept) for name, value in found.items()}
    return {**found, "sd": float(slope * sd)}


def label_counts(label: np.ndarray) -> dict[int, int]:
    """Voxels of each label above 0, by label."""
    if label.dtype.itemsize <= 2:
        counts = np.bincount(label.ravel())
        present = np.flatnonzero(counts)
        found = zip(present.tolist(), counts[present].tolist(), strict=True)
    else:
        found = zip(*(a.tolist() for a in np.unique(label, return_counts=True)), strict=True)
    return {number: count for number, count in found if number}


def label_samples(id: str, label: np.ndarray, counts: dict[int, int], most: int) -> np.ndarray:
    """Coordinates of voxels of each label, at random without repetition.

    Args:
        id: of the case, which is the seed.
        label: as stored.
        counts: of `label_counts`.
        most: coordinates of one label; those of a smaller one are all there.

    Returns:
        int32 ``(n, axes)``, label after label, each in the order of the voxels.
    """
    rng = generator(zlib.crc32(id.encode()))
    places = np.flatnonzero(label)
    places = places[np.argsort(label.ravel()[places], kind="stable")]
    drawn, start = [np.empty(0, np.int64)], 0
    for count in counts.values():
        chosen = rng.choice(count, min(count, most), replace=False, shuffle=False)
        drawn.append(places[start + np.sort(chosen)])
        start += count
    return np.stack(np.unravel_index(np.concatenate(drawn), label.shape), -1).astype(np.int32)


def foreground_runs(label: np.ndarray) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each axis the runs ``(first, last + 1)`` of planes that have foreground."""
    found, mask = [], label > 0
    for axis in range(label.ndim):
        has = mask.any(axis=tuple(a for a in range(label.ndim) if a != axis))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], has.astype(np.int8), [0]])))
        found.append(tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2)))
    return tuple(found)


def _parts(size: int) -> list[slice]:
    """Slices of a few million elements, so that temporaries stay small."""
    return [slice(start, start + 2**22) for start in range(0, size, 2**22)]


def _as_integers(array: np.ndarray) -> np.ndarray | None:
    """The array in the smallest dtype for integers, or None where it is not one of them."""
    low, high = array.min(), array.max()
    if low < -(2**31) or high >= 2**31:
        return None
    if array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        return None
    kinds = (np.uint8, np.int16, np.uint16, np.int32)
    dtype = next(t for t in kinds if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    # Float32 holds no integers beyond this, and nothing is read as more.
    return None if max(-int(low), int(high)) > 2**24 else array.astype(dtype)

"""Raw MRI acquisitions in ISMRMRD (Inati et al. 2017, doi:10.1002/mrm.26089), by h5py alone.

A file holds ``dataset/xml``, how the scan was encoded, and ``dataset/data``, a table of
readouts: a header with counters (line, partition, slice, echo, ...), samples of all coils,
and a trajectory for scans off the grid. Here they become arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from medjax.core.errors import InputError

from .files import existing
from .hdf5 import held, intact, opened, require_sound_heaps
from .mrd_header import Encoding, read_header

COUNTERS = ("repetition", "set", "phase", "contrast", "slice")
"""The leading axes of what is read, by the names of their counters."""

_REVERSED = 22
# By ISMRMRD's number of the flag: what is no part of the image. A line that is both
# calibration and image has flag 21 and not 20.
_NOT_IMAGE = (19, 20, 23, 24, 26, 27, 28, 29, 30, 31)
_FIELDS = (
    "flags",
    "number_of_samples",
    "active_channels",
    "discard_pre",
    "discard_post",
    "center_sample",
    "encoding_space_ref",
    "trajectory_dimensions",
    "idx",
)
_STEPS = ("kspace_encode_step_1", "kspace_encode_step_2")
_CHUNK = 256  # readouts at a time
_EMPTY = 256  # the most grid positions a sample: beyond it counters or sizes are wrong


class CartesianScan(NamedTuple):
    """Readouts sorted into a grid.

    Attributes:
        kspace: complex64 ``(*COUNTERS, coil, z, y, x)``; x is the readout, zero where not
            acquired, zero frequency at ``n // 2``. Averages are averaged.
        mask: bool ``(*COUNTERS, z, y, x)``, what was acquired.
        spacing: millimetres between voxels along z, y and x.
    """

    kspace: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]


class TrajectoryScan(NamedTuple):
    """Readouts off the grid.

    Attributes:
        kspace: complex64 ``(*COUNTERS, coil, shot, sample)``, shots as acquired.
        trajectory: float32 ``(*COUNTERS, shot, sample, axis)`` in the file's order of
            axes, x first, and the file's unit, which ISMRMRD leaves to the writer.
        spacing: millimetres between voxels along z, y and x.
    """

    kspace: np.ndarray
    trajectory: np.ndarray
    spacing: tuple[float, float, float]


class _Readout(NamedTuple):
    head: np.void
    samples: np.ndarray  # complex64 (coil, sample)
    trajectory: np.ndarray  # float32 (sample, axis)

    @property
    def place(self) -> tuple[int, ...]:
        return tuple(int(self.head["idx"][name]) for name in COUNTERS)


def read_cartesian(path: str | Path, *, oversampling: bool = False) -> CartesianScan:
    """Read the imaging readouts of the first encoding space into a grid.

    Noise, navigator, phase-correction, dummy, feedback and separate calibration readouts
    are left out. A readout lies where its centre sample meets zero frequency, so partial
    echoes find their place; those of the other direction are turned.

    Args:
        path: of the file.
        oversampling: keep the readout's. Otherwise its image is cropped to the field
            of view of the reconstruction, and a line counts as acquired where any of
            its samples was.

    Raises:
        InputError: naming the path, for a file that is not ISMRMRD, is damaged or holds
            no imaging readout, for a trajectory other than Cartesian, counters outside
            the encoded matrix, or readouts that differ in coils.
    """
    path = existing(path)
    with opened(path) as file, intact(path):
        encoding = _encoding(path, file)
        if encoding.trajectory != "cartesian":
            raise InputError(path, "a Cartesian trajectory", repr(encoding.trajectory)[:40])
        table = _table(path, file)
        heads, coils = _heads(path, table)
        sizes = _sizes(heads)
        nx, ny, nz = encoding.encoded
        _require_filled(path, math.prod(sizes) * nx * ny * nz, heads)
        kspace = np.zeros((*sizes, coils, nz, ny, nx), np.complex64)
        counts = np.zeros((*sizes, nz, ny, nx), np.uint16)
        for readout in _readouts(path, table):
            y, z = _line(path, readout.head, encoding)
            where, taken = _span(readout, nx)
            kspace[(*readout.place, slice(None), z, y, where)] += readout.samples[:, taken]
            counts[(*readout.place, z, y, where)] += 1
    kspace /= np.maximum(counts, 1)[..., None, :, :, :].astype(np.float32)
    mask = counts > 0
    x, y, z = encoding.spacing
    if not oversampling:
        keep = round(nx * encoding.recon_mm[0] / encoding.encoded_mm[0])
        if 1 <= keep < nx:
            with np.errstate(over="ignore", invalid="ignore"):
                kspace = _cropped(kspace, keep)
            if not np.isfinite(kspace).all():
                raise InputError(path, "samples whose image is finite", "larger ones")
            mask = np.repeat(mask.any(-1, keepdims=True), keep, -1)
            x = encoding.recon_mm[0] / keep
    return CartesianScan(kspace, mask, (z, y, x))


def read_trajectory(path: str | Path) -> TrajectoryScan:
    """Read the imaging readouts of the first encoding space with their trajectory.

    Raises:
        InputError: naming the path, as `read_cartesian`; and for readouts without a
            trajectory, of different lengths, or unequal numbers of them for the
            places of the counters.
    """
    path = existing(path)
    with opened(path) as file, intact(path):
        encoding = _encoding(path, file)
        table = _table(path, file)
        heads, _ = _heads(path, table)
        sizes = _sizes(heads)
        shots: dict[tuple[int, ...], list[_Readout]] = {}
        for readout in _readouts(path, table):
            if not readout.trajectory.size:
                raise InputError(path, "readouts with a trajectory", "one without")
            shots.setdefault(readout.place, []).append(readout)
    numbers = {len(found) for found in shots.values()}
    lengths = {r.trajectory.shape for found in shots.values() for r in found}
    if len(shots) != math.prod(sizes) or len(numbers) > 1:
        raise InputError(path, f"as many readouts for each of {COUNTERS}", "different numbers")
    if len(lengths) > 1:
        raise InputError(path, "readouts of one length", sorted(lengths))
    ordered = [shots[place] for place in np.ndindex(*sizes)]
    kspace = np.stack([np.stack([r.samples for r in found], 1) for found in ordered])
    trajectory = np.stack([np.stack([r.trajectory for r in found]) for found in ordered])
    x, y, z = encoding.spacing
    return TrajectoryScan(
        kspace.reshape(*sizes, *kspace.shape[1:]),
        trajectory.reshape(*sizes, *trajectory.shape[1:]),
        (z, y, x),
    )


def _encoding(path: Path, file: h5py.File) -> Encoding:
    group = held(file, "dataset")
    xml = held(group, "xml") if isinstance(group, h5py.Group) else None
    if not isinstance(xml, h5py.Dataset):
        raise InputError(path, "an ISMRMRD file with dataset/xml", "one without")
    encodings = read_header(path, xml)
    if not encodings:
        raise InputError(path, "an encoding in its ISMRMRD header", "none")
    return encodings[0]


def _table(path: Path, file: h5py.File) -> h5py.Dataset:
    table = held(file["dataset"], "data")
    if isinstance(table, h5py.Dataset):
        require_sound_heaps(path, table)
    names = table.dtype.names if isinstance(table, h5py.Dataset) else None
    if names is None or not {"head", "traj", "data"} <= set(names) or table.ndim != 1:
        raise InputError(path, "a table of acquisitions dataset/data", "another or none")
    head = table.dtype["head"]
    if not set(_FIELDS) <= set(head.names or ()) or not {*COUNTERS, *_STEPS} <= set(
        head["idx"].names or ()
    ):
        raise InputError(path, "acquisition headers of ISMRMRD 1", "other fields")
    return table


def _imaging(heads: np.ndarray) -> np.ndarray:
    other = sum(1 << (flag - 1) for flag in _NOT_IMAGE)
    return (heads["flags"] & np.uint64(other) == 0) & (heads["encoding_space_ref"] == 0)


def _heads(path: Path, table: h5py.Dataset) -> tuple[np.ndarray, int]:
    """The headers of the imaging readouts, and the number of coils."""
    heads = table.fields("head")[()]
    heads = heads[_imaging(heads)]
    if not len(heads):
        raise InputError(path, "imaging readouts", "none")
    coils = np.unique(heads["active_channels"])
    if len(coils) > 1 or coils[0] < 1:
        raise InputError(path, "readouts of the same coils", f"{coils.tolist()[:5]} of them")
    return heads, int(coils[0])


def _sizes(heads: np.ndarray) -> tuple[int, ...]:
    return tuple(int(heads["idx"][name].max()) + 1 for name in COUNTERS)


def _readouts(path: Path, table: h5py.Dataset) -> Iterator[_Readout]:
    for start in range(0, len(table), _CHUNK):
        rows = table[start : start + _CHUNK]
        for row in rows[_imaging(rows["head"])]:
            yield _readout(path, row)


def _readout(path: Path, row: Any) -> _Readout:
    head = row["head"]
    count, coils = int(head["number_of_samples"]), int(head["active_channels"])
    axes = int(head["trajectory_dimensions"])
    if row["data"].size != 2 * count * coils or row["traj"].size != count * axes:
        raise InputError(path, "as many samples as a readout's header says", "another number")
    samples = np.asarray(row["data"], np.float32).view(np.complex64).reshape(coils, count)
    trajectory = np.asarray(row["traj"], np.float32).reshape(count, axes)
    if not (np.isfinite(samples).all() and np.isfinite(trajectory).all()):
        raise InputError(path, "finite k-space", "NaN or infinity")
    # What the scanner marks as transient at either end.
    first, last = int(head["discard_pre"]), count - int(head["discard_post"])
    if first >= last:
        raise InputError(path, "readouts with samples that are kept", "one without")
    head = head.copy()
    head["center_sample"] = max(int(head["center_sample"]) - first, 0)
    return _Readout(head, samples[:, first:last], trajectory[first:last])


def _require_filled(path: Path, grid: int, heads: np.ndarray) -> None:
    """A few wrong counters or sizes may promise more memory than there is."""
    samples = int(heads["number_of_samples"].sum(dtype=np.int64))
    if grid > _EMPTY * samples:
        expected = f"a grid of at most {_EMPTY} times its {samples} samples"
        raise InputError(path, expected, f"one of {grid}")


def _line(path: Path, head: np.void, encoding: Encoding) -> tuple[int, int]:
    """The place of a readout along y and z."""
    places = []
    for step, n, center in zip(_STEPS, encoding.encoded[1:], encoding.centers, strict=True):
        counter = int(head["idx"][step])
        place = counter + n // 2 - (n // 2 if center is None else center)
        if not 0 <= place < n:
            raise InputError(path, f"lines within the encoded {n}", f"one at {place}")
        places.append(place)
    return places[0], places[1]


def _span(readout: _Readout, nx: int) -> tuple[slice, slice]:
    """Where a readout's samples go along x, and which of them (backwards where it was)."""
    count, center = readout.samples.shape[1], int(readout.head["center_sample"])
    backwards = bool(readout.head["flags"] & np.uint64(1 << (_REVERSED - 1)))
    before = count - 1 - center if backwards else center
    start = nx // 2 - before
    low, high = max(start, 0), min(start + count, nx)
    first, last = low - start, max(high, low) - start
    if not backwards:
        return slice(low, max(high, low)), slice(first, last)
    end = count - 1 - last
    return slice(low, max(high, low)), slice(count - 1 - first, None if end < 0 else end, -1)


def _cropped(kspace: np.ndarray, keep: int) -> np.ndarray:
    """The k-space of the middle ``keep`` voxels along x, of the same noise in each sample."""
    nx = kspace.shape[-1]
    start = nx // 2 - keep // 2
    image = np.fft.ifft(np.fft.ifftshift(kspace, -1), norm="ortho")
    image = np.fft.fftshift(image, -1)[..., start : start + keep]
    cropped = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, -1), norm="ortho"), -1)
    return cropped.astype(np.complex64)

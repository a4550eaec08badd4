"""Sources: samples by index, on the host.

A sample is a dict of NumPy arrays, ``{"image": (y, x), "index": int32}``: a slice
and its place in the source that it came from, which a `Subset` keeps. Slices are
oriented by one rule, whatever the file: for the two axes a < b of the RAS volume
that a slice keeps, ``image[i, j] = volume[j along a, i along b]``. So in an axial
slice x grows to the patient's right and y to the front; drawn with the origin
below, the front is up and right is right.

A source can be pickled and read in any process; none imports JAX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from medjax.core.errors import InputError

from .host import Recent, combine_coils, fit, ifft2c, percentile_scale, require_finite

Sample = dict[str, np.ndarray]

AXES = ("sagittal", "coronal", "axial")
"""The planes by the RAS axis that they leave out: x, y, z."""


@runtime_checkable
class Source(Protocol):
    """Random access to samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    @property
    def groups(self) -> tuple[str, ...]:
        """The subject of each sample: what a split must not cut through."""


@runtime_checkable
class RandomSource(Source, Protocol):
    """A source whose samples have chance in them, such as random patches of a volume."""

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """A sample that depends on the index and the generator alone."""
        ...


def drawn(source: Source, index: int, rng: np.random.Generator) -> Sample:
    """A sample of a source, by chance where the source has any."""
    # Not isinstance: that would ask a protocol for `groups`, which may be long, every time.
    return source.draw(index, rng) if hasattr(source, "draw") else source[index]


class Subset:
    """Some samples of a source, in the order given.

    Args:
        source: any source.
        indices: places in it.

    Raises:
        InputError: for a place outside the source.
    """

    def __init__(self, source: Source, indices: Sequence[int] | np.ndarray):
        self.source = source
        self.indices = tuple(int(i) for i in indices)
        if self.indices and not 0 <= min(self.indices) <= max(self.indices) < len(source):
            got = f"{min(self.indices)} to {max(self.indices)}"
            raise InputError("indices", f"places in 0 to {len(source) - 1}", got)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.source[self.indices[index]]

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """As the source does, or the sample where it draws none."""
        return drawn(self.source, self.indices[index], rng)

    @property
    def groups(self) -> tuple[str, ...]:
        groups = self.source.groups
        return tuple(groups[i] for i in self.indices)


class VolumeSlices:
    """Slices of a volume in memory.

    Args:
        volume: ``(x, y, z)`` on RAS axes, float32 or complex64.
        axis: the plane, one of `AXES`.
        shape: ``(y, x)`` of the slices; larger ones are cropped about the centre,
            smaller ones padded with zeros.
        group: the subject.

    Raises:
        InputError: for another rank, dtype or plane, or an empty volume.
    """

    def __init__(
        self, volume: np.ndarray, *, axis: str, shape: tuple[int, int], group: str = "volume"
    ):
        if volume.ndim != 3 or 0 in volume.shape:
            raise InputError("volume", "shape (x, y, z) without empty axes", volume.shape)
        if volume.dtype not in (np.float32, np.complex64):
            raise InputError("volume", "float32 or complex64", volume.dtype)
        self.axis, self.shape, self.group = _axis(axis), _shape(shape), group
        self.volume = volume

    def __len__(self) -> int:
        return self.volume.shape[self.axis]

    def __getitem__(self, index: int) -> Sample:
        _require_place(self, index)
        return _sample(self.volume.take(index, self.axis).T, self.shape, index)

    @property
    def groups(self) -> tuple[str, ...]:
        return (self.group,) * len(self)


class _FileSlices:
    """What sources of several volumes share: which file and slice a place means."""

    def __init__(self, paths: Sequence[str | Path], shape: tuple[int, int]):
        if not paths:
            raise InputError("paths", "at least one file", "none")
        self.paths = tuple(Path(p) for p in paths)
        self.shape = _shape(shape)
        self.counts = tuple(self._count(p) for p in self.paths)
        self._ends = np.cumsum(self.counts)

    def _count(self, path: Path) -> int:
        """Slices in one file, without reading its samples."""
        raise NotImplementedError

    def _read(self, path: Path, index: int) -> np.ndarray:
        """One slice of one file, ``(y, x)`` of its own size."""
        raise NotImplementedError

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Sample:
        _require_place(self, index)
        file = int(np.searchsorted(self._ends, index, side="right"))
        within = index - int(self._ends[file]) + self.counts[file]
        return _sample(self._read(self.paths[file], within), self.shape, index)

    @property
    def groups(self) -> tuple[str, ...]:
        pairs = zip(self.paths, self.counts, strict=True)
        return tuple(s for path, count in pairs for s in (subject(path),) * count)


class ImageSlices(_FileSlices):
    """Slices of volumes in any format, each volume scaled by its 99.9th percentile.

    Reading one slice reads its volume, and the ``recent`` last volumes are kept in
    each process. Shuffled reading of many volumes is for a prepared store.

    Args:
        paths: files, or folders with a DICOM series, as `medjax.data.read_image` takes
            them; the subject is what `subject` says.
        axis: the plane, one of `AXES`, after the axes have been put in RAS order.
        shape: ``(y, x)`` of the slices, cropped or padded about the centre.
        recent: volumes to keep.

    Raises:
        InputError: naming the file, for whatever its header shows to be wrong.
            Reading a sample raises one for what only the voxels show.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        axis: str = "axial",
        shape: tuple[int, int],
        recent: int = 4,
    ):
        self.axis = _axis(axis)
        self._volumes = Recent(self._volume, recent)
        super().__init__(paths, shape)

    def _count(self, path: Path) -> int:
        from .formats import read_header
        from .geometry import oriented_shape

        header = read_header(path)
        if header.channels:
            raise InputError(path, "an image without channels or times", f"shape {header.shape}")
        return oriented_shape(header.shape, header.affine)[self.axis]

    @staticmethod
    def _volume(path: Path) -> np.ndarray:
        return _ras_volume(path)

    def _read(self, path: Path, index: int) -> np.ndarray:
        return self._volumes(path).take(index, self.axis).T


class FastMRISlices(_FileSlices):
    """Images of fully sampled fastMRI slices, complex64.

    An image is the inverse Fourier transform of its slice, coils combined by
    `medjax.data.host.combine_coils`, over one scale a volume: the 99.9th percentile
    of the magnitude of its middle slice. A slice costs a slice.

    Args:
        paths: HDF5 files; the subject is what `subject` says.
        shape: ``(y, x)`` of the images, cropped or padded about the centre.

    Raises:
        InputError: naming the file, for whatever can be told without its samples,
            and for a mask that leaves columns out. Reading a sample raises one for
            what only the samples show.
    """

    def __init__(self, paths: Sequence[str | Path], *, shape: tuple[int, int]):
        self._scales = Recent(_middle_scale, len(paths))
        super().__init__(paths, shape)

    def _count(self, path: Path) -> int:
        from .formats.fastmri import open_kspace

        with open_kspace(path) as file:
            if file.mask is not None and not file.mask.all():
                got = f"{int(file.mask.sum())} of {file.mask.size} columns"
                raise InputError(path, "fully sampled k-space", got)
            return len(file)

    def _read(self, path: Path, index: int) -> np.ndarray:
        return _reconstructed(path, index) / self._scales(path)


class ScanSlices(_FileSlices):
    """Images of fully sampled slices in BART's or ISMRMRD's files, complex64.

    As `FastMRISlices`, for whatever `medjax.data.read_scan` reads. An ISMRMRD file is
    read whole to be sorted, and the ``recent`` last scans are kept in each process.

    Args:
        paths: files; the subject is what `subject` says.
        shape: ``(y, x)`` of the images, cropped or padded about the centre.
        recent: scans to keep.

    Raises:
        InputError: naming the file, for one that cannot be read, and for columns
            without a sample.
    """

    def __init__(self, paths: Sequence[str | Path], *, shape: tuple[int, int], recent: int = 2):
        self._scans = Recent(_full_scan, recent)
        super().__init__(paths, shape)

    def _count(self, path: Path) -> int:
        return len(self._scans(path)[0])

    def _read(self, path: Path, index: int) -> np.ndarray:
        kspace, scale = self._scans(path)
        require_finite(path, kspace[index])  # BART's are mapped, and seen here first
        return _combined(kspace[index]) / scale


def subject(path: str | Path) -> str:
    """Whose file it is: the ``sub-XXX`` of a BIDS path, else the name without its endings."""
    path = Path(path)
    for part in reversed(path.parts):
        if found := re.match(r"sub-[A-Za-z0-9]+", part):
            return found.group()
    return path.name.split(".")[0]


def discover(folder: str | Path, suffixes: Sequence[str]) -> list[Path]:
    """All files below a folder whose names end so, sorted by path.

    Raises:
        InputError: for a folder that is missing or holds none.
    """
    folder, endings = Path(folder), tuple(suffixes)
    if not folder.is_dir():
        raise InputError(folder, "a folder", "a file" if folder.exists() else "nothing there")
    found = sorted(p for p in folder.rglob("*") if p.name.endswith(endings) and p.is_file())
    if not found:
        raise InputError(folder, f"files ending in {' or '.join(endings)}", "none")
    return found


def _ras_volume(path: Path) -> np.ndarray:
    from .formats import read_image
    from .geometry import to_ras

    volume = to_ras(read_image(path))[0].array.astype(np.float32, copy=False)
    return volume / percentile_scale(path, volume)


def _reconstructed(path: Path, index: int) -> np.ndarray:
    from .formats.fastmri import open_kspace

    with open_kspace(path) as file:
        return _combined(file[index])


def _combined(kspace: np.ndarray) -> np.ndarray:
    return combine_coils(kspace) if kspace.ndim == 3 else ifft2c(kspace)


def _full_scan(path: Path) -> tuple[np.ndarray, np.float32]:
    """Fully sampled k-space and the scale of its images."""
    from .formats.scan import read_scan

    kspace, columns, _ = read_scan(path)
    middle = kspace[len(kspace) // 2]
    if columns is None:  # BART keeps no mask, and to read all of a map for it would be dear
        columns = (middle != 0).any(tuple(range(middle.ndim - 1)))
    if not columns.all():
        got = f"{int(columns.sum())} of {columns.size} columns"
        raise InputError(path, "fully sampled k-space", got)
    return kspace, percentile_scale(path, _combined(middle))


def _middle_scale(path: Path) -> np.float32:
    from .formats.fastmri import open_kspace

    with open_kspace(path) as file:
        middle = len(file) // 2
    return percentile_scale(path, _reconstructed(path, middle))


def _require_place(source: Source, index: int) -> None:
    if not 0 <= index < len(source):
        raise IndexError(f"sample {index} of {len(source)}")


def _sample(plane: np.ndarray, shape: tuple[int, int], index: int) -> Sample:
    image = np.ascontiguousarray(fit(plane, shape))
    return {"image": image, "index": np.asarray(index, np.int32)}


def _axis(axis: str) -> int:
    if axis not in AXES:
        raise InputError("axis", f"one of {', '.join(AXES)}", repr(axis))
    return AXES.index(axis)


def _shape(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise InputError("shape", "two positive sizes (y, x)", shape)
    return int(shape[0]), int(shape[1])

"""Which library reads a slide, and its errors as those of the house."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from medjax.core.errors import InputError, MedjaxError, MissingExtraError

from ..files import existing

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@runtime_checkable
class Reader(Protocol):
    """What a library does for `Slide`.

    Attributes:
        sizes: width and height of each level, the finest first.
        spacing: micrometres per pixel of level 0 along x and y, where the file says.
    """

    sizes: Sequence[tuple[int, int]]
    spacing: tuple[float, float] | None

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """uint8 ``(y, x, 3)`` of a region within the level; may raise anything."""

    def tissue(self) -> tuple[np.ndarray, tuple[float, float]] | None:
        """A mask stored with the slide, and its downsample."""

    def close(self) -> None: ...


def open_reader(path: str | Path) -> Reader:
    """The library for a path, by what the file holds rather than by its name.

    Raises:
        InputError: naming the path, for what is no slide or a damaged one.
        MissingExtraError: where no library for it is installed.
    """
    if "://" in str(path):
        return _zarr(path)
    path = Path(path)
    if path.is_dir():
        if any((path / name).exists() for name in ("zarr.json", ".zattrs", ".zgroup")):
            return _zarr(path)
        if (path / "prepare.json").exists():
            raise InputError(path, "a finished store", "an unfinished one: prepare it again")
        path = _first_dicom(path)
    existing(path)
    from . import scanner, tiled

    with path.open("rb") as stream:
        start = stream.read(132)
    tiff = start[:4] in _TIFF
    with whole(path), contextlib.ExitStack() as stack:
        file = None
        if tiff and tiled.installed():
            file = stack.enter_context(tiled.checked(path))
        vendor = scanner.vendor(path) if scanner.installed() else None
        # Of plain files it knows no more than tifffile, and it sees no levels of OME-TIFF.
        if vendor is not None and (vendor != "generic-tiff" or file is None):
            try:
                return scanner.Scanned(path)
            except Exception:
                if file is None:
                    raise
        if file is not None:
            reader = tiled.Tiled(file)
            stack.pop_all()
            return reader
    if not scanner.installed() or (tiff and not tiled.installed()):
        library = "tifffile" if scanner.installed() else "openslide"
        raise MissingExtraError(library, "slide", "this slide")
    raise InputError(path, "a slide", "a file of another format, or a damaged one")


def _zarr(path: str | Path) -> Reader:
    from .omezarr import Zarr

    with whole(path):
        return Zarr(path)


def _first_dicom(folder: Path) -> Path:
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        with path.open("rb") as stream:
            if stream.read(132)[128:] == b"DICM":
                return path
    raise InputError(folder, "a slide in OME-Zarr or DICOM", "a folder without one")


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[None]:
    """Libraries tell of damage by errors of many kinds: make it one that names the file."""
    try:
        yield
    except (MedjaxError, MemoryError):
        raise
    except Exception as error:
        raise InputError(path, "a whole slide", "a damaged one") from error

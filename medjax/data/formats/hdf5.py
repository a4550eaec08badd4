"""What formats in HDF5 share: a file that is whole, and datasets that it holds itself."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

import h5py

from medjax.core.errors import InputError

_HEAP = b"GCOL"
DEFLATE = 1032
"""The most bytes that one byte of a deflate stream can become."""


def opened(path: Path) -> h5py.File:
    """The file, open to be read.

    Raises:
        InputError: for another format, or a truncated or damaged file.
    """
    if not h5py.is_hdf5(path):
        raise InputError(path, "an HDF5 file", "a file of another format")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        got = "a truncated one" if "truncated" in str(error) else "a damaged one"
        raise InputError(path, "a whole HDF5 file", got) from None


@contextlib.contextmanager
def intact(path: Path) -> Iterator[None]:
    """h5py tells of damage by errors of many kinds: make it one that names the file."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InputError(path, "a whole HDF5 file", "a damaged one") from error


def held(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """A group or dataset of this very file; links may lead to any other on the disk."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None  # soft ones too: they may pass through an external one
    found = group.get(name)
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        return None
    return found


def require_sound_heaps(path: Path, dataset: h5py.Dataset) -> None:
    """Refuse a file whose values of variable length HDF5 would look for without end.

    They lie in heaps, lists of objects that each say how far the next one is; at one
    that says 0, the library (2.0 and before) stays for ever.

    Args:
        path: of the file.
        dataset: that is about to be read. One value in one place costs a look at its
            heap; for others the whole file is looked through.

    Raises:
        InputError: for a heap that does not come to an end.
    """
    place = dataset.id.get_offset() if dataset.size == 1 else None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        if place is not None and place + 16 <= len(held) and held[:4] == b"\x89HDF":
            start = int.from_bytes(held[place + 4 : place + 12], "little")  # after the length
            starts = [start] if held[start : start + 4] == _HEAP else []
        else:
            starts, start = [], held.find(_HEAP)
            while start >= 0:
                starts.append(start)
                start = held.find(_HEAP, start + 4)
        for start in starts:
            if not _ends(held, start):
                raise InputError(path, "a whole HDF5 file", "a damaged one")


def _ends(held: mmap.mmap, start: int) -> bool:
    """Whether the objects of a heap lead to its end (HDF5 file format, III.E)."""
    end = min(start + int.from_bytes(held[start + 8 : start + 16], "little"), len(held))
    place = start + 16
    while place + 16 <= end:
        index = int.from_bytes(held[place : place + 2], "little")
        size = int.from_bytes(held[place + 8 : place + 16], "little")
        if index == 0:  # what is free, up to the end
            return size > 0
        place += 16 + -(-size // 8) * 8
    return True

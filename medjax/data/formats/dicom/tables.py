"""Look-up tables: the modality's, and palettes of colours.

References:
    DICOM PS3.3, C.11.1 (modality), C.7.6.3.1.5 and C.7.6.3.1.6 (palettes), C.7.9.2
    (segmented palettes).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

_LARGEST = 1 << 16
_DISCRETE, _LINEAR, _INDIRECT = range(3)


class Table(NamedTuple):
    """What stored values become.

    Attributes:
        first: stored value of the first entry; those below become the first entry, those
            above the last become the last.
        entries: ``(n,)``, or ``(n, 3)`` red, green and blue; uint8 or uint16.
    """

    first: int
    entries: np.ndarray

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        last = len(self.entries) - 1
        return self.entries[np.clip(stored.astype(np.int64) - self.first, 0, last)]


def modality_table(sequence: Any, big_endian: bool) -> Table | None:
    """The modality's table, if there is one.

    Raises:
        ValueError: for one of another size than it says.
    """
    if not sequence:
        return None
    count, first, bits = _descriptor(sequence[0].LUTDescriptor)
    if not 8 <= bits <= 16:
        raise ValueError("bits of an entry")
    data = sequence[0].LUTData
    if not isinstance(data, bytes):
        data = np.atleast_1d(np.asarray(data, np.int64) & 0xFFFF)
        entries = data.astype(np.uint16)
    else:
        entries = _words(data, count, bits, big_endian)
    if len(entries) != count:
        raise ValueError("entries of a table")
    return Table(first, entries)


def palette(dataset: Any, big_endian: bool) -> Table:
    """The palette of an image of "PALETTE COLOR".

    Raises:
        ValueError, AttributeError: for one that is missing or of another size than it says.
    """
    columns = []
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTable"
        count, first, bits = _descriptor(dataset[f"{name}Descriptor"].value)
        if bits not in (8, 16):
            raise ValueError("bits of an entry")
        if f"Segmented{name}Data" in dataset:
            kind = np.dtype(np.uint8 if bits == 8 else ">u2" if big_endian else "<u2")
            data = dataset[f"Segmented{name}Data"].value
            entries = _expanded(np.frombuffer(data, kind, len(data) // kind.itemsize))
            entries = entries.astype(np.uint8 if bits == 8 else np.uint16)
        else:
            entries = _words(dataset[f"{name}Data"].value, count, bits, big_endian)
        if len(entries) < count:
            raise ValueError("entries of a palette")
        columns.append(entries[:count])
    return Table(first, np.stack(columns, -1))


def _descriptor(value: Any) -> tuple[int, int, int]:
    count, first, bits = (int(n) for n in value)
    return count & 0xFFFF or _LARGEST, first, bits


def _words(data: bytes, count: int, bits: int, big_endian: bool) -> np.ndarray:
    """Entries of 8 bits may be packed in bytes, or alone in words."""
    if len(data) >= 2 * count:
        words = np.frombuffer(data, ">u2" if big_endian else "<u2", count)
        return words.astype(np.uint8 if bits == 8 else np.uint16)
    if bits > 8:
        raise ValueError("entries of a table")
    order = np.frombuffer(data, np.uint8, len(data) // 2 * 2).reshape(-1, 2)
    return (order[:, ::-1] if big_endian else order).reshape(-1)[:count]


def _expanded(data: np.ndarray) -> np.ndarray:
    """A segmented palette's entries, by PS3.3 C.7.9.2."""
    numbers, out = data.astype(np.int64), []
    size = 0
    place = 0
    while place + 1 < len(numbers):
        kind = int(numbers[place])
        if kind == _INDIRECT:
            step = 6 if data.itemsize == 1 else 4
            offset = _offset(numbers[place + 2 : place + step], data.itemsize)
            many, place = int(numbers[place + 1]), place + step
        else:
            step, offset, many = 0, place, 1
        for _ in range(many):
            last = int(out[-1][-1]) if out else None
            part, offset = _segment(numbers, offset, last)
            out.append(part)
            size += len(part)
            if size > _LARGEST:
                raise ValueError("entries of a palette")
        place = place if step else offset
    return np.concatenate(out)


def _segment(numbers: np.ndarray, place: int, last: int | None) -> tuple[np.ndarray, int]:
    """Entries of a discrete or linear segment, and where the next one starts."""
    kind, count = int(numbers[place]), int(numbers[place + 1])
    if kind == _DISCRETE and 0 < count <= len(numbers) - place - 2:
        return numbers[place + 2 : place + 2 + count], place + 2 + count
    if kind == _LINEAR and count > 0 and last is not None:
        ramp = np.linspace(last, int(numbers[place + 2]), count + 1)[1:]
        return np.rint(ramp).astype(np.int64), place + 3
    raise ValueError("segment of a palette")


def _offset(parts: np.ndarray, size: int) -> int:
    """In entries, from bytes that are split over two words or four bytes, low part first."""
    bits = 8 * size
    value = sum(int(part) << bits * index for index, part in enumerate(parts))
    return value // size

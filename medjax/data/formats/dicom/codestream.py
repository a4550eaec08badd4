"""Compressed pixels before a decoder sees them: whole, and of the size that was promised."""

from __future__ import annotations

import struct

_JPEG = {
    "1.2.840.10008.1.2.4.50": "libjpeg",  # baseline
    "1.2.840.10008.1.2.4.51": "libjpeg",  # extended, 12 bits
    "1.2.840.10008.1.2.4.57": "libjpeg",  # lossless
    "1.2.840.10008.1.2.4.70": "libjpeg",  # lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "libjpeg",  # JPEG-LS
    "1.2.840.10008.1.2.4.81": "libjpeg",  # JPEG-LS, near-lossless
}
_JPEG2000 = {f"1.2.840.10008.1.2.4.{n}": "openjpeg" for n in (90, 91, 201, 202, 203)}
RLE = "1.2.840.10008.1.2.5"
DECODERS = {**_JPEG, **_JPEG2000, RLE: "pydicom"}
"""What decodes a compressed transfer syntax."""

_NO_FRAME = (0xC4, 0xC8, 0xCC)  # tables and extensions among the numbers of frame headers
_ALONE = (0x01, 0xD8, *range(0xD0, 0xD8))  # markers without a segment


def fragments(value: bytes) -> bytes:
    """A compressed value as far as the delimiter that ends it, by PS3.5, A.4.

    Raises:
        ValueError: for one without that delimiter: a part of its fragments is missing.
    """
    place = 0
    while value[place : place + 4] == b"\xfe\xff\x00\xe0" and place + 8 <= len(value):
        place += 8 + int.from_bytes(value[place + 4 : place + 8], "little")
    if value[place : place + 8] != b"\xfe\xff\xdd\xe0\0\0\0\0":
        raise ValueError("fragments without an end")
    return value[: place + 8]


def promised(frame: bytes, syntax: str) -> tuple[int, int, int] | None:
    """Rows, columns and samples of a compressed frame.

    Returns:
        What its header says; None for run-length encoding, whose decoder is told.

    Raises:
        ValueError: for a frame without such a header.
    """
    if syntax == RLE:
        return None
    try:
        return _jpeg2000(frame) if syntax in _JPEG2000 else _jpeg(frame)
    except (IndexError, struct.error):
        raise ValueError("a frame that ends in its header") from None


def _jpeg(frame: bytes) -> tuple[int, int, int]:
    """From the frame header, by ISO/IEC 10918-1, B.2.2 and 14495-1, C.2.2."""
    place = 0
    while True:
        if frame[place] != 0xFF:
            raise ValueError("a marker is missing")
        marker = frame[place + 1]
        if marker == 0xFF:  # fill
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME):
            return struct.unpack_from(">HHB", frame, place + 5)
        else:
            place += 2 + struct.unpack_from(">H", frame, place + 2)[0]


def _jpeg2000(frame: bytes) -> tuple[int, int, int]:
    """From the image and tile size, by ISO/IEC 15444-1, A.5.1, in a JP2 file's boxes or bare."""
    place = 0
    while frame[place : place + 4] != b"\xff\x4f\xff\x51":
        size, kind = struct.unpack_from(">I4s", frame, place)
        if kind != b"jp2c" and size < 8:
            raise ValueError("a box without an end")
        place += 8 if kind == b"jp2c" else size
    right, bottom, left, top = struct.unpack_from(">4I", frame, place + 8)
    (samples,) = struct.unpack_from(">H", frame, place + 40)
    return bottom - top, right - left, samples

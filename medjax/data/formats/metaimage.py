"""MetaImage (``.mha``, and ``.mhd`` with its ``.raw`` or ``.zraw``), as ITK has it.

https://itk.org/Wiki/ITK/MetaIO/Documentation. The header is a few lines of text, read and
written here and not by SimpleITK, which follows ``ElementDataFile`` to any file on the
disk and takes the memory that ``DimSize`` asks for before it looks at the file.
"""

from __future__ import annotations

import math
import re
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from nibabel import orientations

from medjax.core.errors import InputError
from medjax.core.files import replacing
from medjax.data.geometry import invertible
from medjax.data.image import Header, Image

from .block import (
    NOTES,
    Block,
    beside,
    channel_names,
    interval,
    lines,
    load,
    note,
    noted,
    placed,
    require_held,
    storable,
)
from .files import existing

_TYPES = {
    np.dtype(np.int8): "MET_CHAR",
    np.dtype(np.uint8): "MET_UCHAR",
    np.dtype(np.int16): "MET_SHORT",
    np.dtype(np.uint16): "MET_USHORT",
    np.dtype(np.int32): "MET_INT",
    np.dtype(np.uint32): "MET_UINT",
    np.dtype(np.int64): "MET_LONG_LONG",
    np.dtype(np.uint64): "MET_ULONG_LONG",
    np.dtype(np.float32): "MET_FLOAT",
    np.dtype(np.float64): "MET_DOUBLE",
}
_DTYPES = {name: dtype for dtype, name in _TYPES.items()} | {
    "MET_LONG": np.dtype(np.int32),  # four bytes on disk, whatever the machine
    "MET_ULONG": np.dtype(np.uint32),
}
_ALIASES = {
    "Orientation": "TransformMatrix",
    "Rotation": "TransformMatrix",
    "Origin": "Offset",
    "Position": "Offset",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
_MODALITIES = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR", "MET_MOD_NM": "NM", "MET_MOD_US": "US"}
_LPS = np.array([-1.0, -1.0, 1.0])
# MetaImage names where an axis comes from, not where it goes.
_FROM = dict(zip("RLAPSI", "LRPAIS", strict=True))


class _Parsed(NamedTuple):
    known: Header
    interval: float | None
    block: Block
    first: bool  # the channels vary fastest


def read(path: str | Path) -> Image:
    """Read an image, its voxels of the file's type.

    ``TransformMatrix``, ``Offset`` and ``ElementSpacing`` say where voxels are, in LPS;
    ``AnatomicalOrientation`` is not looked at where there is a matrix, as in ITK, and
    one that is not ITK's without a matrix ("RAI") is refused. The channels of an element
    or a fourth axis become channels.

    Raises:
        InputError: naming the path, for a file that is missing, empty, truncated,
            damaged, longer than its header says, or of another format; for a data file
            outside the header's folder, or several; NaN or infinite voxels; directions
            without an inverse; a scaling of intensities; other numbers of axes.
    """
    path = existing(path)
    parsed = _parsed(path)
    array = load(path, parsed.block)
    if parsed.first:
        array = np.moveaxis(array, 0, -1)
    known = parsed.known
    return Image(
        array.reshape(known.shape),
        known.affine,
        known.channels,
        known.modality,
        parsed.interval,
        {"format": "metaimage"},
    )


def header(path: str | Path) -> Header:
    """What `read` would give, from the header alone.

    Raises:
        InputError: as `read`, for whatever a header shows.
    """
    return _parsed(existing(path)).known


def write(path: str | Path, image: Image) -> None:
    """Write an image whole or not at all; the same input gives the same bytes.

    Args:
        path: ends in ``.mha``; an existing file is replaced.
        image: of integers, float32, float64 or bool (as uint8). A 2D one is stored as a
            volume of one slice. That it is one, names of channels, the interval between
            times, and modalities that MetaImage has no word for go into a field that
            other programs pass over.

    Raises:
        InputError: for another name, dtype or shape, an affine without an inverse,
            or a folder that is missing or cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(".mha"):
        raise InputError(path, "a name ending in .mha, as one file", f"'{path.suffix}'")
    array = storable(image)
    affine = invertible("affine", image.affine)
    extent = (*array.shape[: image.ndim], 1)[:3]
    array = array.reshape(*extent, *array.shape[image.ndim :])
    if image.channels:
        array = np.moveaxis(array, -1, 0)
    little = array.dtype.newbyteorder("<")
    voxels = zlib.compress(array.astype(little, copy=False).tobytes(order="F"))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    lps = _LPS[:, None] * affine[:3] + 0.0
    words = {word: name for name, word in _MODALITIES.items()}
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": str(len(voxels)),
        "TransformMatrix": _text((lps[:, :3] / spacing).T),
        "Offset": _text(lps[:, 3]),
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": _orientation(affine),
        "ElementSpacing": _text(spacing),
        "DimSize": " ".join(str(n) for n in extent),
        "ElementNumberOfChannels": str(len(image.channels)) if image.channels else "",
        "Modality": words.get(image.modality, ""),
        NOTES: note(image, "" if image.modality in words else image.modality),
        "ElementType": _TYPES[array.dtype.newbyteorder("=")],
        "ElementDataFile": "LOCAL",
    }
    text = "".join(f"{name} = {value}\n" for name, value in fields.items() if value)
    with replacing(path) as part:
        part.write_bytes(text.encode() + voxels)


def _text(numbers: np.ndarray) -> str:
    return " ".join(repr(float(n)) for n in numbers.ravel())


def _orientation(affine: np.ndarray) -> str:
    codes = orientations.aff2axcodes(affine)
    return "???" if None in codes else "".join(_FROM[code] for code in codes)


def _parsed(path: Path) -> _Parsed:
    with path.open("rb") as stream:
        fields = _fields(path, stream)
        end = stream.tell()
    try:
        return _understood(path, fields, end)
    except InputError:
        raise
    except (KeyError, ValueError, IndexError, OverflowError):
        raise InputError(path, "a MetaImage header", "one that cannot be understood") from None


def _fields(path: Path, stream: BufferedIOBase) -> dict[str, str]:
    """The fields by their first names, to the one that ends a header."""
    fields: dict[str, str] = {}
    for line in lines(path, stream):
        name, found, value = line.partition("=")
        name = _ALIASES.get(name.strip(), name.strip())
        if not found or not re.fullmatch(r"[A-Za-z_][\w .-]*", name):
            if line.strip() or not fields:
                raise InputError(path, "a MetaImage header of fields", "another line")
            continue
        if name in fields:
            raise InputError(path, "each field of its header once", "one that is repeated")
        fields[name] = value.strip()
        if name == "ElementDataFile":
            break
    missing = {"NDims", "DimSize", "ElementType", "ElementDataFile"} - set(fields)
    if missing:
        got = f"one without {', '.join(sorted(missing))}"
        raise InputError(path, "a MetaImage header", got)
    return fields


def _understood(path: Path, fields: dict[str, str], end: int) -> _Parsed:
    if fields.get("ObjectType", "Image") != "Image":
        raise InputError(path, "a MetaImage of type Image", "another object")
    sizes = tuple(int(n) for n in fields["DimSize"].split())
    if len(sizes) != int(fields["NDims"]):
        raise InputError(path, f"{fields['NDims'][:9]} numbers in DimSize", len(sizes))
    inner = int(fields.get("ElementNumberOfChannels", 1))
    outer = math.prod(sizes[3:])
    if not 2 <= len(sizes) <= 4 or (inner > 1 and outer > 1):
        raise InputError(path, "two or three axes in space and one more", f"DimSize {sizes}")
    slope = float(fields.get("ElementToIntensityFunctionSlope", 1))
    if slope != 1 or float(fields.get("ElementToIntensityFunctionOffset", 0)) != 0:
        raise InputError(path, "intensities without a scaling", "one")
    block = _block(path, fields, sizes if inner == 1 else (inner, *sizes), end)
    require_held(path, block)
    notes = noted(fields.get(NOTES, ""))
    names = channel_names(notes, inner * outer)
    shape = sizes[:3]
    if notes.get("ndim") == 2 and shape[2:] == (1,):
        shape = shape[:2]
    word = fields.get("Modality", "")
    known = Header(
        (*shape, len(names)) if names else shape,
        block.dtype.newbyteorder("="),
        _affine(path, fields, len(sizes)),
        names,
        _MODALITIES.get(word, str(notes.get("modality", ""))),
    )
    return _Parsed(known, interval(notes), block, inner > 1)


def _block(path: Path, fields: dict[str, str], shape: tuple[int, ...], end: int) -> Block:
    dtype = _DTYPES.get(fields["ElementType"])
    if dtype is None:
        raise InputError(path, "integer or float voxels", "an unknown ElementType")
    dtype = dtype.newbyteorder(">" if _true(fields.get("BinaryDataByteOrderMSB")) else "<")
    encoding = "zlib" if _true(fields.get("CompressedData")) else "raw"
    if not _true(fields.get("BinaryData", "True")):
        encoding = "ascii"
    name, start, source = fields["ElementDataFile"], end, path
    if name.upper() != "LOCAL":
        if name.split()[0].upper() == "LIST" or "%" in name:
            raise InputError(path, "one data file", "a list of them")
        source, start = beside(path, name), 0
    skip = int(fields.get("HeaderSize", 0))
    if skip and encoding != "raw":
        raise InputError(path, "a HeaderSize for raw voxels only", "one for others")
    if skip == -1:
        needed = math.prod(shape) * dtype.itemsize
        start, skip = max(source.stat().st_size - needed, start), 0
    if skip < 0:
        raise InputError(path, "voxels after the header", "a place before it")
    return Block(source, start + skip, 0, encoding, dtype, shape)


def _true(text: str | None) -> bool:
    if text is None or text.lower() in ("false", "f", "0", "no"):
        return False
    if text.lower() in ("true", "t", "1", "yes"):
        return True
    raise ValueError("neither true nor false")


def _affine(path: Path, fields: dict[str, str], axes: int) -> np.ndarray:
    def numbers(name: str, count: int, default: np.ndarray) -> np.ndarray:
        found = [float(n) for n in fields[name].split()] if name in fields else default
        if len(found) != count:
            raise InputError(path, f"{count} numbers in {name}", len(found))
        return np.array(found)

    if "TransformMatrix" not in fields:
        orientation = fields.get("AnatomicalOrientation", "RAI")
        if orientation.upper() != "RAI" and set(orientation) != {"?"}:
            expected = "a TransformMatrix, or AnatomicalOrientation RAI"
            raise InputError(path, expected, "another without a matrix")
    ones = numbers("ElementSize", axes, np.ones(axes))
    spacing = numbers("ElementSpacing", axes, ones)
    if not (spacing > 0).all():
        raise InputError(path, "positive numbers in ElementSpacing", "others")
    side = min(axes, 3)
    # A row of the file is an axis of the image, so a column here.
    rows = numbers("TransformMatrix", axes**2, np.eye(axes).ravel()).reshape(axes, axes)
    if axes == 4 and (rows[3, :3].any() or rows[:3, 3].any()):
        raise InputError(path, "a fourth axis apart from space", "one that moves in it")
    matrix, origin = np.eye(3), np.zeros(3)
    with np.errstate(all="ignore"):
        matrix[:side, :side] = rows[:side, :side].T * spacing[:side]
    origin[:side] = numbers("Offset", axes, np.zeros(axes))[:side]
    return placed(path, matrix, origin, _LPS)

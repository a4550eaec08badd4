"""NRRD images (``.nrrd``, and ``.nhdr`` with its data file), as teem's specification has it.

https://teem.sourceforge.net/nrrd/format.html. The header is a few lines of text, read and
written here: see `block` for why not by a library.
"""

from __future__ import annotations

import gzip
import math
import re
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medjax.core.errors import InputError
from medjax.core.files import replacing
from medjax.data.geometry import invertible
from medjax.data.image import Header, Image

from .block import (
    COLOURS,
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
    np.dtype(code): names
    for code, names in {
        "int8": "signed char|int8|int8_t",
        "uint8": "uchar|unsigned char|uint8|uint8_t",
        "int16": "short|short int|signed short|signed short int|int16|int16_t",
        "uint16": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
        "int32": "int|signed int|int32|int32_t",
        "uint32": "uint|unsigned int|uint32|uint32_t",
        "int64": "longlong|long long|long long int|signed long long|signed long long int"
        "|int64|int64_t",
        "uint64": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
        "float32": "float",
        "float64": "double",
    }.items()
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names.split("|")}
_ENCODINGS = {
    **dict.fromkeys(("raw",), "raw"),
    **dict.fromkeys(("gz", "gzip"), "gzip"),
    **dict.fromkeys(("bz2", "bzip2"), "bzip2"),
    **dict.fromkeys(("txt", "text", "ascii"), "ascii"),
}
_SPACES = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
    # A file that names no space is taken as ITK and Slicer take it.
    **dict.fromkeys(("left-posterior-superior", "lps", ""), (-1.0, -1.0, 1.0)),
}
_MILLIMETRES = {
    **dict.fromkeys(("", "mm", "millimeter", "millimeters"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer"), 1e-3),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 10.0),
    **dict.fromkeys(("m", "meter", "meters"), 1e3),
}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
}


class _Parsed(NamedTuple):
    known: Header
    interval: float | None
    block: Block
    moved: int | None  # the axis of the block that is not in space


def read(path: str | Path) -> Image:
    """Read an image, its voxels of the file's type.

    Axes keep their order; one that is not in space (of kind "list", "time", "vector",
    "RGB-color", ...) becomes channels. A 2D image without a third direction gets the unit
    normal of its plane.

    Raises:
        InputError: naming the path, for a file that is missing, empty, truncated,
            damaged, longer than its header says, or of another format; for a data file
            outside the header's folder, or several; NaN or infinite voxels; directions
            without an inverse; a space or unit that is not known; other numbers of axes.
    """
    path = existing(path)
    parsed = _parsed(path)
    array = load(path, parsed.block)
    if parsed.moved is not None:
        array = np.moveaxis(array, parsed.moved, -1)
    known = parsed.known
    return Image(
        array.reshape(known.shape),
        known.affine,
        known.channels,
        known.modality,
        parsed.interval,
        {"format": "nrrd"},
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
        path: ends in ``.nrrd``; an existing file is replaced.
        image: of integers, float32, float64 or bool (as uint8). A 2D one becomes a
    XX

    Raises:
        InputError: for another name, dtype or shape, an affine without an inverse,
            or a folder that is missing or cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(".nrrd"):
        raise InputError(path, "a name ending in .nrrd, as one file", f"'{path.suffix}'")
    array = storable(image)
    affine = invertible("affine", image.affine)
    extent = (*array.shape[: image.ndim], 1)[:3]
    array = array.reshape(*extent, *array.shape[image.ndim :])
    lps = np.array([-1.0, -1.0, 1.0])[:, None] * affine[:3] + 0.0
    vectors = [f"({','.join(repr(float(v)) for v in column)})" for column in lps.T]
    kinds, directions = ["domain"] * 3, vectors[:3]
    fields = {"type": _TYPES[array.dtype.newbyteorder("=")].split("|")[0]}
    if image.channels:
        array = np.moveaxis(array, -1, 0)
        kind = {COLOURS[:3]: "RGB-color", COLOURS: "RGBA-color"}.get(image.channels, "list")
        kinds, directions = [kind, *kinds], ["none", *directions]
    fields["dimension"] = str(array.ndim)
    fields["space"] = "left-posterior-superior"
    fields["sizes"] = " ".join(str(n) for n in array.shape)
    fields["space directions"] = " ".join(directions)
    fields["kinds"] = " ".join(kinds)
    fields |= {"endian": "little", "encoding": "gzip", "space origin": vectors[3]}
    keys = {"modality": image.modality, NOTES: note(image)}
    text = ["NRRD0005", *(f"{name}: {value}" for name, value in fields.items())]
    text += [f"{key}:={_escaped(value)}" for key, value in keys.items() if value]
    voxels = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    with replacing(path) as part:
        part.write_bytes(
            "\n".join([*text, "", ""]).encode() + gzip.compress(voxels, mtime=0, compresslevel=6)
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)


def _parsed(path: Path) -> _Parsed:
    with path.open("rb") as stream:
        if not re.match(rb"NRRD000[1-5]\r?\n", stream.read(10)):
            raise InputError(path, "an NRRD file", "a file of another format")
        stream.seek(0)
        fields, keys = _fields(path, stream)
        end = stream.tell()
    try:
        return _understood(path, fields, keys, end)
    except InputError:
        raise
    except (KeyError, ValueError, IndexError, OverflowError):
        raise InputError(path, "an NRRD header", "one that cannot be understood") from None


def _fields(path: Path, stream: BufferedIOBase) -> tuple[dict[str, str], dict[str, str]]:
    """Fields of the specification, by names without spaces, and others' keys."""
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in lines(path, stream):
        line = line.rstrip()
        if not line:
            break
        if line.startswith(("#", "NRRD000")):
            continue
        name, found, value = line.partition(":")
        if not found:
            raise InputError(path, "an NRRD header of fields", "a line without a colon")
        into, name, value = (
            (keys, name, _unescaped(value[1:]))
            if value.startswith("=")
            else (fields, name.lower().replace(" ", ""), value.strip())
        )
        if name in into:
            raise InputError(path, "each field of its header once", "one that is repeated")
        into[name] = value
    return fields, keys


def _understood(path: Path, fields: dict[str, str], keys: dict[str, str], end: int) -> _Parsed:
    for name in ("type", "dimension", "sizes", "encoding"):
        if name not in fields:
            raise InputError(path, f"the field '{name}' in its header", "none")
    sizes = tuple(int(n) for n in fields["sizes"].split())
    if len(sizes) != int(fields["dimension"]):
        raise InputError(path, f"{fields['dimension'][:9]} sizes", len(sizes))
    block = _block(path, fields, sizes, end)
    outside = _outside(path, fields, sizes)
    inside = [i for i in range(len(sizes)) if i not in outside]
    long = [i for i in outside if sizes[i] > 1]
    if len(inside) not in (2, 3) or len(long) > 1:
        raise InputError(path, "two or three axes in space and one more", f"sizes {sizes}")
    require_held(path, block)
    notes = noted(keys.get(NOTES, ""))
    axis = long[0] if long else next(iter(outside), None)
    names = _names(fields, notes, axis, sizes) if axis is not None else ()
    shape = tuple(sizes[i] for i in inside)
    if notes.get("ndim") == 2 and shape[2:] == (1,):
        shape = shape[:2]
    known = Header(
        (*shape, len(names)) if names else shape,
        block.dtype.newbyteorder("="),
        _affine(path, fields, inside),
        names,
        keys.get("modality", ""),
    )
    return _Parsed(known, interval(notes) or _interval(fields, axis), block, axis)


def _block(path: Path, fields: dict[str, str], sizes: tuple[int, ...], end: int) -> Block:
    dtype = _DTYPES.get(fields["type"].lower())
    if dtype is None:
        raise InputError(path, "integer or float voxels", "an unknown type of voxel")
    encoding = _ENCODINGS.get(fields["encoding"].lower())
    if encoding is None:
        raise InputError(path, "encoding raw, gzip, bzip2 or ascii", "another")
    if dtype.itemsize > 1 and encoding != "ascii":
        orders = {"little": "<", "big": ">"}
        if fields.get("endian", "").lower() not in orders:
            raise InputError(path, "endian little or big in its header", "another or none")
        dtype = dtype.newbyteorder(orders[fields["endian"].lower()])
    name, start, source = fields.get("datafile"), end, path
    if name is not None:
        if name.startswith("LIST") or "%" in name:
            raise InputError(path, "one data file", "a list of them")
        source, start = beside(path, name), 0
    if skipped := int(fields.get("lineskip", 0)):
        start = _after(path, source, start, skipped)
    skip = int(fields.get("byteskip", 0))
    if skip == -1 and encoding == "raw":
        needed = math.prod(sizes) * dtype.itemsize
        start, skip = max(source.stat().st_size - needed, start), 0
    if skip < 0:
        raise InputError(path, "voxels after the header", "a place before it")
    if encoding == "raw":
        start, skip = start + skip, 0
    return Block(source, start, skip, encoding, dtype, sizes)


def _after(path: Path, source: Path, start: int, count: int) -> int:
    """The place after a number of lines."""
    with source.open("rb") as stream:
        stream.seek(start)
        for _ in range(count):
            if not stream.readline(1 << 20):
                raise InputError(path, f"{count} lines before the voxels", "fewer")
        return stream.tell()


def _outside(path: Path, fields: dict[str, str], sizes: tuple[int, ...]) -> list[int]:
    """Which axes are not in space."""
    kinds = fields.get("kinds", "").split()
    if kinds and len(kinds) != len(sizes):
        raise InputError(path, f"{len(sizes)} kinds", len(kinds))
    if "spacedirections" in fields:
        vectors = _vectors(fields["spacedirections"])
        if len(vectors) != len(sizes):
            raise InputError(path, f"{len(sizes)} space directions", len(vectors))
        return [i for i, vector in enumerate(vectors) if vector is None]
    return [i for i, k in enumerate(kinds) if k.lower() not in ("domain", "space", "???", "none")]


def _vectors(text: str) -> list[np.ndarray | None]:
    found = re.findall(r"none|\([^()]*\)", text)
    if re.sub(r"none|\([^()]*\)|\s", "", text):
        raise ValueError("not vectors")
    return [
        None if v == "none" else np.array([float(n) for n in v[1:-1].split(",")]) for v in found
    ]


def _affine(path: Path, fields: dict[str, str], inside: list[int]) -> np.ndarray:
    signs = _SPACES.get(fields.get("space", "").lower())
    if signs is None:
        got = "a space of scanners, of time or without patient"
        raise InputError(path, "a space: RAS, LAS or LPS", got)
    matrix, origin = np.eye(3), np.zeros(3)
    if "spacedirections" in fields:
        vectors = [v for v in _vectors(fields["spacedirections"]) if v is not None]
        sides = {len(v) for v in vectors}
        if sides not in ({2}, {3}):
            raise InputError(path, "directions in two or three dimensions", sorted(sides))
        side = sides.pop()
        for i, vector in enumerate(vectors):
            matrix[:side, i] = vector
        if (side, len(vectors)) == (3, 2):
            with np.errstate(all="ignore"):
                normal = np.cross(vectors[0], vectors[1])
                matrix[:, 2] = normal / np.linalg.norm(normal)
        if "spaceorigin" in fields:
            origin[:side] = _vectors(fields["spaceorigin"])[0]
    elif "spacings" in fields:
        steps = [float(n) for n in fields["spacings"].split()]
        for i, axis in enumerate(inside):
            matrix[i, i] = steps[axis] if math.isfinite(steps[axis]) else 1.0
    units = {unit.lower() for unit in re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))}
    factors = {_MILLIMETRES.get(unit) for unit in units} or {1.0}
    if len(factors) != 1 or None in factors:
        raise InputError(path, "space units mm, cm, m or um", "another or several")
    scale = factors.pop() or 1.0
    with np.errstate(all="ignore"):
        return placed(path, matrix * scale, origin * scale, np.array(signs))


def _names(fields: dict, notes: dict, axis: int, sizes: tuple[int, ...]) -> tuple[str, ...]:
    kinds = fields.get("kinds", "").split()
    kind, n = kinds[axis].lower() if kinds else "", sizes[axis]
    if "channels" not in notes and kind in ("rgb-color", "3-color", "rgba-color", "4-color"):
        return COLOURS[:n]
    return channel_names(notes, n)


def _interval(fields: dict[str, str], axis: int | None) -> float | None:
    """Seconds along an axis of time, where the header says."""
    kinds = fields.get("kinds", "").split()
    units = re.findall(r'"([^"]*)"', fields.get("units", ""))
    steps = fields.get("spacings", "").split()
    if axis is None or not kinds or kinds[axis].lower() != "time":
        return None
    unit = _SECONDS.get(units[axis].lower()) if axis < len(units) else None
    step = float(steps[axis]) if axis < len(steps) else math.nan
    return step * unit if unit and math.isfinite(step) and step > 0 else None

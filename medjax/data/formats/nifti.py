"""NIfTI-1 and NIfTI-2 images in one file (``.nii``, ``.nii.gz``).

nibabel reads and writes headers. The voxels are read here, because a header may
promise any size: what the file really holds is known before memory is taken.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import struct
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from medjax.core.errors import InputError
from medjax.core.files import replacing
from medjax.data.geometry import invertible
from medjax.data.image import Header, Image

from .files import existing

_UNREADABLE = (HeaderDataError, KeyError, ValueError)  # what nibabel raises for wild headers
_CHUNK = 1 << 24
_DEFLATE = 1032  # the most bytes that one byte of a deflate stream can become
_COLOURS = ("red", "green", "blue", "alpha")
_NOTES, _COMMENT, _CODE = "medjax", "comment", 6
_LONGEST = 1 << 20  # bytes of header extensions that are looked at


def read(path: str | Path) -> Image:
    """Read an image with its intensity scaling applied.

    Returns:
        The image on its own grid. What has no scaling keeps its dtype, all else is
        float32. A fourth axis (or a fifth, after a fourth of one) becomes channels:
        times, with their interval where the header has one, colours, or whatever `write`
        has noted. Axes of length one at the end are dropped.

    Raises:
        InputError: naming the path, for a file that is missing, a folder, empty,
            truncated, damaged or of another format; for complex voxels, NaN or infinite
            ones, an affine without an inverse, an axis of length zero, or more axes.
    """
    path = existing(path)
    with _intact(path), _opened(path) as stream:
        head, notes = _head(path, stream)
        raw = _voxels(path, stream, head)
    known = _header(path, head, notes)
    return Image(
        _intensities(path, raw, head, known.dtype).reshape(known.shape),
        known.affine,
        known.channels,
        known.modality,
        _interval(head),
        {"format": "nifti"},
    )


def header(path: str | Path) -> Header:
    """What `read` would give, from the header alone.

    Raises:
        InputError: as `read`, for whatever a header shows.
    """
    path = existing(path)
    with _intact(path), _opened(path) as stream:
        return _header(path, *_head(path, stream))


def write(path: str | Path, image: Image) -> None:
    """Write an image whole or not at all; the same input gives the same bytes.

    Names of channels and the modality, for which NIfTI has no place, go into a header
    extension of the kind "comment", as JSON, which other programs pass over.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``; an existing file is replaced.
        image: of integers, floats or bool (as uint8).

    Raises:
        InputError: for another name, dtype or shape, an affine without an inverse,
            or a folder that is missing or cannot be written.
    """
    path = Path(path)
    compressed = _compressed(path)
    array = image.array.astype(np.uint8) if image.array.dtype == bool else image.array
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.dtype == np.float16:
        raise InputError("array", "integers, float32 or float64", array.dtype)
    if 0 in array.shape:
        raise InputError("array", "a shape without empty axes", array.shape)
    if image.channels:
        array = array.reshape(*(*array.shape[:-1], 1)[:3], array.shape[-1])
    out = nibabel.Nifti1Image(array, invertible("affine", image.affine), dtype=array.dtype)
    out.header.set_xyzt_units("mm")
    if image.interval is not None:
        out.header.set_xyzt_units("mm", "sec")
        out.header["pixdim"][4] = image.interval
    notes = {"ndim": image.ndim, "channels": list(image.channels), "modality": image.modality}
    if image.channels or image.modality:
        text = json.dumps({_NOTES: notes}).encode()
        out.header.extensions.append(nibabel.nifti1.Nifti1Extension(_COMMENT, text))
    content = out.to_bytes()
    if compressed:
        content = gzip.compress(content, mtime=0)
    with replacing(path) as part:
        part.write_bytes(content)


@contextlib.contextmanager
def _intact(path: Path) -> Iterator[None]:
    """What zlib raises for damage, as one error that names the file."""
    try:
        yield
    except (EOFError, zlib.error):
        raise InputError(path, "a whole gzip stream", "a truncated or damaged one") from None
    except gzip.BadGzipFile:
        got = "a file that is not gzip or is damaged"
        raise InputError(path, "a NIfTI file compressed by gzip", got) from None


def _compressed(path: Path) -> bool:
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(path, "a name ending in .nii or .nii.gz", path.suffix or "no ending")
    return path.name.endswith(".gz")


def _opened(path: Path) -> BufferedIOBase:
    return gzip.open(path, "rb") if _compressed(path) else path.open("rb")


def _head(path: Path, stream: BufferedIOBase) -> tuple[nibabel.Nifti1Header, dict[str, Any]]:
    """The header, known to promise no more than the file can hold, and what `write` noted."""
    start = stream.read(4)
    size = next(
        (n for n in (348, 540) for order in "<>" if start == struct.pack(order + "i", n)), 0
    )
    if not size:
        raise InputError(path, "a NIfTI file", "a file of another format")
    block = start + stream.read(size - 4)
    if len(block) < size:
        raise InputError(path, f"a header of {size} bytes", f"a file truncated at {len(block)}")
    magic = block[344:348] if size == 348 else block[4:8]
    if magic not in (b"n+1\0", b"n+2\0"):
        raise InputError(path, "a NIfTI image in one file", "another format or a header alone")
    kind = nibabel.Nifti1Header if size == 348 else nibabel.Nifti2Header
    header = kind(block, check=False)
    needed = _offset(path, header) + math.prod(_shape(path, header)) * _dtype(path, header).itemsize
    held = path.stat().st_size * (_DEFLATE if _compressed(path) else 1)
    if needed > held:
        raise InputError(path, f"{needed} bytes as its header says", f"at most {held}")
    return header, _notes(stream.read(min(_offset(path, header) - size, _LONGEST)))


def _notes(block: bytes) -> dict[str, Any]:
    """What `write` left between header and voxels; others' extensions are passed over."""
    place = 4 if block[:1] not in (b"", b"\0") else len(block)
    while place + 8 <= len(block):
        size, code = struct.unpack_from("<ii", block, place)
        if size < 16 or place + size > len(block):
            break
        if code == _CODE:
            with contextlib.suppress(ValueError, RecursionError):
                found = json.loads(block[place + 8 : place + size].rstrip(b"\0"))
                if isinstance(found, dict) and isinstance(found.get(_NOTES), dict):
                    return found[_NOTES]
        place += size
    return {}


def _header(path: Path, head: nibabel.Nifti1Header, notes: dict[str, Any]) -> Header:
    shape, dtype = _shape(path, head), _dtype(path, head)
    names = [str(i) for i in range(math.prod(shape[3:]) if len(shape) > 3 else 0)]
    if dtype.names:
        names = list(_COLOURS[: len(dtype.names)])
    noted = notes.get("channels")
    if isinstance(noted, list) and len(noted) == math.prod(shape[3:]):
        names = [str(name) for name in noted]
    spatial = shape[:2] if notes.get("ndim") == 2 and shape[2:3] == (1,) else shape[:3]
    modality = notes.get("modality")
    plain = not dtype.names and _scaling(path, head) == (1.0, 0.0)
    kept = dtype if plain and dtype.itemsize <= 8 else np.dtype(np.float32)
    return Header(
        (*spatial, len(names)) if names else spatial,
        np.dtype(np.uint8) if dtype.names else kept.newbyteorder("="),
        _affine(path, head),
        tuple(names),
        modality if isinstance(modality, str) else "",
    )


def _interval(head: nibabel.Nifti1Header) -> float | None:
    """Seconds between volumes, where the header says."""
    unit = {8: 1.0, 16: 1e-3, 24: 1e-6}.get(int(head["xyzt_units"]) & 0x38)
    step = float(head["pixdim"][4])
    times = int(head["dim"][4]) > 1 and unit and math.isfinite(step) and step > 0
    return step * unit if times else None


def _shape(path: Path, head: nibabel.Nifti1Header) -> tuple[int, ...]:
    """Up to three axes in space and at most one more, as the file orders them."""
    try:
        shape = tuple(int(n) for n in head.get_data_shape())
    except _UNREADABLE:
        raise InputError(path, "two or three axes in space", "an unreadable shape") from None
    if len(shape) < 2:
        raise InputError(path, "two or three axes in space", f"shape {shape}")
    if min(shape) < 1:
        raise InputError(path, "axes of at least one voxel", f"shape {shape}")
    # Times are on the fourth axis, vectors on the fifth: either is the one more.
    rest = tuple(n for n in shape[3:] if n > 1)
    if len(rest) > 1 or (rest and _dtype(path, head).names):
        raise InputError(path, "two or three axes in space and one more", f"shape {shape}")
    return shape[:3] + rest


def _dtype(path: Path, head: nibabel.Nifti1Header) -> np.dtype:
    try:
        dtype = head.get_data_dtype()
    except _UNREADABLE:
        raise InputError(path, "integer or float voxels", "an unknown type of voxel") from None
    if dtype.kind not in "iuf" and not dtype.names:
        raise InputError(path, "integer or float voxels", f"{dtype.name} voxels")
    return dtype


def _offset(path: Path, head: nibabel.Nifti1Header) -> int:
    offset = float(head["vox_offset"])
    if not (math.isfinite(offset) and offset >= head.sizeof_hdr):
        raise InputError(path, "voxels after the header", f"an offset of {offset:g} bytes")
    return int(offset)


def _voxels(path: Path, stream: BufferedIOBase, head: nibabel.Nifti1Header) -> np.ndarray:
    shape, dtype = _shape(path, head), _dtype(path, head)
    stream.seek(_offset(path, head))
    needed, held = math.prod(shape) * dtype.itemsize, bytearray()
    while len(held) < needed:
        chunk = stream.read(min(_CHUNK, needed - len(held)))
        if not chunk:
            got = f"a file truncated at {len(held)}"
            raise InputError(path, f"{needed} bytes of voxels", got)
        held += chunk
    if _compressed(path) and len(stream.read(_CHUNK)) == _CHUNK:
        # A gzip stream checks its sum at its end and no sooner: a few bytes more are read
        # for it, while a stream that goes on and on is damaged, or a bomb.
        raise InputError(path, f"{needed} bytes of voxels", f"more than {_CHUNK} further ones")
    array = np.frombuffer(held, dtype).reshape(shape, order="F")
    if dtype.names:
        array = np.stack([array[name] for name in dtype.names], -1)
    return array


def _scaling(path: Path, head: nibabel.Nifti1Header) -> tuple[float, float]:
    """Slope and intercept."""
    try:
        slope, intercept = head.get_slope_inter()
    except _UNREADABLE:
        raise InputError(path, "a finite intensity scaling", "NaN or infinity") from None
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept


def _intensities(
    path: Path, raw: np.ndarray, head: nibabel.Nifti1Header, dtype: np.dtype
) -> np.ndarray:
    slope, intercept = _scaling(path, head)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == np.float32 and (slope, intercept) != (1.0, 0.0):
            raw = raw.astype(np.float64) * slope + intercept
        array = raw.astype(dtype, copy=False)
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise InputError(path, f"finite {dtype} voxels", f"{bad} that are NaN or infinite")
    return array


def _affine(path: Path, head: nibabel.Nifti1Header) -> np.ndarray:
    try:
        affine = head.get_best_affine()
    except _UNREADABLE:
        raise InputError(path, "an affine with an inverse", "an unreadable one") from None
    return invertible(path, affine)

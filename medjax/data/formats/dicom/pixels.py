"""Pixels of a file: known to fit before memory is taken, decoded, and given their meaning.

Values are the modality's: rescaled frame by frame, or looked up in the modality's table.
What is only about display is left alone: windows, overlays, presentation tables, and
"MONOCHROME1", where low values are to be shown bright: they stay low, as a rescaled
value is a measurement whatever its colour on a screen, and an image's provenance names
the photometric interpretation for whoever wants it the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from medjax.core.errors import InputError, MissingExtraError

from .codestream import DECODERS, fragments, promised
from .parsing import DEFLATE, SLACK, File, intact, library, pixel_bytes
from .tables import Table, modality_table, palette

KEYWORDS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ModalityLUTSequence",
    *(
        f"{segmented}{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for segmented, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
    ),
)
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_PALETTE = "PALETTE COLOR"
_GREYS = ("MONOCHROME1", "MONOCHROME2", _PALETTE)
_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


class Format(NamedTuple):
    """How a file stores its pixels.

    Attributes:
        frames: in the file.
        rows: of each.
        columns: of each.
        samples: stored of each pixel, 1 or 3.
        photometric: interpretation, in DICOM's term.
        planar: whether colours lie plane after plane.
        allocated: bits of a sample.
        stored: bits of it that count.
        dtype: of stored samples.
        table: the palette of colours, or the modality's table, if any.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    planar: bool
    allocated: int
    stored: int
    dtype: np.dtype
    table: Table | None

    @property
    def colours(self) -> bool:
        """Whether a pixel becomes red, green and blue."""
        return self.samples == 3 or self.photometric == _PALETTE

    @property
    def bits(self) -> int:
        """Of a frame, as it is stored where nothing compresses it."""
        bits = self.rows * self.columns * self.samples * self.allocated
        return bits // 3 * 2 if self.photometric == "YBR_FULL_422" else bits


def described(file: File) -> Format:
    """How a file stores its pixels, and that it holds as many as its header promises.

    Raises:
        InputError: naming the file, for one without pixels, with values that no image
            has, or that holds fewer.
        MissingExtraError: where what decodes a compressed one is not installed.
    """
    if not file.keyword:
        raise InputError(file.path, "an image", "a DICOM file without pixels")
    with intact(file.path, "a usable description of pixels"):
        found = _format(file)
    problem = _problem(file, found)
    if problem:
        raise InputError(file.path, *problem)
    frame = found.bits / 8
    needed = math.ceil(frame * found.frames)
    if file.native:
        held = min(file.length or 0, max(file.size - file.offset, 0))
    else:
        # Every frame has at least an item's header of eight bytes.
        held = file.size * DEFLATE + SLACK if 8 * found.frames <= file.size else 0
        _require_decoder(file)
    if needed > held:
        raise InputError(file.path, f"{needed} bytes of pixels as its header says", f"{held}")
    if file.native and held - needed > max(frame / found.rows, 1):
        raise InputError(file.path, f"{needed} bytes of pixels", f"{held}")
    return found


def frames(file: File, form: Format) -> Iterator[np.ndarray]:
    """The file's frames as they are stored, ``(rows, columns)`` or ``(rows, columns, 3)`` RGB.

    Raises:
        InputError: naming the file, for pixels that cannot be decoded.
    """
    decoded = _native(file, form) if file.native else _decoded(file, form)
    shape = (form.rows, form.columns, *((3,) if form.samples == 3 else ()))
    count = 0
    with intact(file.path, "pixels that can be decoded"):
        for count, plane in enumerate(decoded, 1):
            if plane.shape != shape or plane.dtype.kind != form.dtype.kind:
                raise InputError(file.path, f"frames of shape {shape}", "another")
            # A decoder chooses the size by what the frame needs, not by what is allocated.
            if plane.dtype.itemsize > form.dtype.itemsize:
                raise InputError(file.path, f"values of {form.dtype}", plane.dtype)
            plane = plane.astype(form.dtype, copy=False)
            yield plane
            if count == form.frames:
                return
        raise InputError(file.path, f"{form.frames} frames", count)


def value_dtype(form: Format, scaled: bool) -> np.dtype:
    """The dtype of what `values` gives, where some frame of the image is rescaled or none."""
    if form.table is not None:
        return form.table.entries.dtype
    return np.dtype(np.float32) if scaled and form.samples == 1 else form.dtype


def values(
    stored: np.ndarray, form: Format, scale: tuple[float, float], dtype: np.dtype
) -> np.ndarray:
    """What a frame's pixels mean: looked up in a table, or rescaled."""
    if form.table is not None:
        return form.table(stored)
    if form.samples == 3 or scale == (1.0, 0.0):
        return stored.astype(dtype, copy=False)
    slope, intercept = scale
    return (stored.astype(np.float64) * slope + intercept).astype(dtype)


def _format(file: File) -> Format:
    get = file.dataset.get
    allocated = _FLOATS.get(file.keyword) or int(file.dataset.BitsAllocated)
    photometric = str(get("PhotometricInterpretation") or "MONOCHROME2").strip()
    signed = int(get("PixelRepresentation") or 0) == 1
    kind = "f" if file.keyword in _FLOATS else "i" if signed else "u"
    stored = allocated if kind == "f" else int(get("BitsStored") or allocated)
    high = get("HighBit")
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= allocated:
        raise ValueError("bits")
    if kind != "f" and high is not None and int(high) != stored - 1:
        raise ValueError("bits")
    samples, table = int(get("SamplesPerPixel") or 1), None
    if photometric == _PALETTE:
        table = palette(file.dataset, file.big_endian)
    elif samples == 1:
        table = modality_table(get("ModalityLUTSequence"), file.big_endian)
    return Format(
        int(get("NumberOfFrames") or 1),
        int(file.dataset.Rows),
        int(file.dataset.Columns),
        samples,
        photometric,
        int(get("PlanarConfiguration") or 0) == 1,
        allocated,
        stored,
        np.dtype(f"{kind}{max(allocated // 8, 1)}"),
        table,
    )


def _problem(file: File, form: Format) -> tuple[str, object] | None:
    """What was expected and what came, where a format cannot be read."""
    if min(form.frames, form.rows, form.columns) < 1:
        return "frames of at least one pixel", f"{form.frames} of {form.rows} x {form.columns}"
    if form.photometric not in {1: _GREYS, 3: _COLOURS}.get(form.samples, ()):
        return f"one of {', '.join(_GREYS + _COLOURS)}", f"others, of {form.samples} samples"
    if form.samples == 3 and form.dtype.kind != "u":
        return "colours of unsigned integers", form.dtype
    if form.photometric.startswith("YBR") and form.allocated != 8:
        return "8 bits of luminance and chrominance", form.allocated
    if form.allocated == 64 and file.keyword not in _FLOATS:
        return "integers of at most 32 bits", form.allocated
    if not file.native and file.syntax not in DECODERS:
        return "a transfer syntax of still images", "one of video, or an unknown one"
    return None


def _require_decoder(file: File) -> None:
    name = DECODERS[file.syntax]
    with intact(file.path):
        decoder = library().pixels.get_decoder(file.syntax)
    plugin = "pydicom" if name == "pydicom" else "pylibjpeg"
    if plugin not in decoder.available_plugins:
        raise MissingExtraError(f"pylibjpeg-{name}", "dicom", "compressed DICOM")


def _native(file: File, form: Format) -> Iterator[np.ndarray]:
    """Frames that nothing compresses, by PS3.5, 8.2."""
    value = pixel_bytes(file)
    with intact(file.path, "pixels that can be decoded"):
        if file.big_endian and form.allocated == 8 and file.representation == "OW":
            value += b"\0" * (len(value) % 2)
            value = np.frombuffer(value, "<u2").byteswap().tobytes()
        for index in range(form.frames):
            yield _plane(value, index, file, form)


def _plane(value: bytes, index: int, file: File, form: Format) -> np.ndarray:
    pixels = form.rows * form.columns
    shape = (form.rows, form.columns)
    if form.allocated == 1:
        start = index * pixels
        held = np.frombuffer(value[start // 8 : (start + pixels + 7) // 8], np.uint8)
        bits = np.unpackbits(held, bitorder="little")
        return bits[start % 8 : start % 8 + pixels].reshape(shape)
    size = form.bits // form.dtype.itemsize // 8
    stored = form.dtype.newbyteorder(">" if file.big_endian else "<")
    flat = np.frombuffer(value, stored, size, index * size * stored.itemsize)
    flat = flat.astype(form.dtype, copy=False)
    if form.samples == 1:
        return _of_stored_bits(flat, form).reshape(shape)
    if form.photometric == "YBR_FULL_422":
        pairs = flat.reshape(-1, 4)  # Y Y Cb Cr, of two pixels
        chroma = np.repeat(pairs[:, None, 2:], 2, axis=1)
        colours = np.concatenate([pairs[:, :2, None], chroma], -1).reshape(*shape, 3)
    elif form.planar:
        colours = np.moveaxis(flat.reshape(3, *shape), 0, -1)
    else:
        colours = flat.reshape(*shape, 3)
    if form.photometric.startswith("YBR"):
        convert = library().pixels.processing.convert_color_space
        colours = convert(colours, "YBR_FULL", "RGB")
    return colours


def _of_stored_bits(flat: np.ndarray, form: Format) -> np.ndarray:
    """Without what old files keep in the bits above; the sign bit is the highest stored."""
    unused = form.allocated - form.stored
    return (flat << unused) >> unused if unused and form.dtype.kind != "f" else flat


def _decoded(file: File, form: Format) -> Iterator[np.ndarray]:
    """Frames of a compressed transfer syntax, each known to promise no more than the header."""
    pydicom = library()
    wanted = (form.rows, form.columns, form.samples)
    with intact(file.path, "pixels that can be decoded"):
        value = fragments(pixel_bytes(file))
        for frame in pydicom.encaps.generate_frames(value, number_of_frames=form.frames):
            if (promised(frame, file.syntax) or wanted) != wanted:
                raise InputError(file.path, f"frames of {wanted}", "others in a compressed frame")
        name = DECODERS[file.syntax]
        options = {
            "rows": form.rows,
            "columns": form.columns,
            "samples_per_pixel": form.samples,
            "number_of_frames": form.frames,
            "photometric_interpretation": form.photometric,
            "planar_configuration": int(form.planar),
            "pixel_representation": int(form.dtype.kind == "i"),
            "bits_allocated": form.allocated,
            "bits_stored": form.stored,
            "pixel_keyword": "PixelData",
            "decoding_plugin": "pydicom" if name == "pydicom" else "pylibjpeg",
        }
        decoder = pydicom.pixels.get_decoder(file.syntax)
        for plane, meaning in decoder.iter_array(value, **options):
            if form.samples == 3 and str(meaning["photometric_interpretation"]) != "RGB":
                raise InputError(file.path, "colours that can be made RGB", "others")
            yield plane

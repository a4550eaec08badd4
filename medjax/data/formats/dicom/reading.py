"""DICOM series as images: from files in any order to an array and its affine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medjax.core.errors import InputError
from medjax.data.geometry import invertible
from medjax.data.image import Header, Image

from .acquisition import acquisition
from .frames import Picture, open_picture
from .parsing import is_dicom
from .pixels import frames, value_dtype, values
from .stack import LPS, Stack, require_same, stacked
from .tilt import upright, upright_grid

_COLOURS = ("red", "green", "blue")
_TILTS = ("refuse", "resample")


class Series(NamedTuple):
    """One series of a folder.

    Attributes:
        key: what `read` takes as ``series``; made of the identifier, which it hides.
        images: slices or frames.
        modality: in DICOM's terms.
        shape: columns, rows of an image; of the first, where they differ.
        localizer: whether all its images are for planning others.
    """

    key: str
    images: int
    modality: str
    shape: tuple[int, int]
    localizer: bool


def read(path: str | Path, *, series: str | None = None, tilt: str = "refuse") -> Image:
    """Read one series with its values rescaled: Hounsfield units for CT.

    Slices are put in the order of their positions, whatever their names. Several images
    at each position (echoes, diffusion weightings, times, segments) become the last
    axis; so do colours, and both together time after time. A picture that does not say
    where it lies (ultrasound, a radiograph) is flat, its frames along the last axis.

    Low values stay low in "MONOCHROME1" (see `medjax.data.formats.dicom.pixels`), which
    the provenance tells. Files that are no images (reports, presentation states), a
    ``DICOMDIR``, hidden files, and localizers beside other images are passed over.

    Args:
        path: a folder that holds one series, or a single file.
        series: a `Series.key` of `series`, where a folder holds several.
        tilt: "resample" to move the slices of a tilted gantry onto an upright grid by
            linear interpolation; "refuse" to raise.

    Returns:
        The image: along a row, along a column, and from slice to slice along the normal
        of the slices; its affine is to RAS+ millimetres. float32 where anything rescales
        the stored values, else as they are stored.

    Raises:
        InputError: naming the folder or file, for what is not DICOM or is damaged,
            several series, slices that differ in size, spacing or orientation, are
            shifted, repeat each other, miss neighbours or do not lie on a line; for
            values that are not finite, and for pixels that cannot be decoded.
        MissingExtraError: where pydicom, or what decodes the pixels, is not installed.
    """
    path = Path(path)
    pictures, stack = _opened(path, series, tilt)
    first = pictures[0].form
    dtype, entries = _dtype(pictures), len(stack.grid[0])
    shape = (len(stack.grid), first.rows, first.columns, entries, 3 if first.colours else 1)
    array = np.empty(shape, dtype)
    places = {
        (frame.file.path, frame.index): (z, entry, frame)
        for z, row in enumerate(stack.grid)
        for entry, frame in enumerate(row)
    }
    for picture in pictures:
        for index, stored in enumerate(frames(picture.file, picture.form)):
            z, entry, frame = places[picture.file.path, index]
            found = values(stored, picture.form, frame.scale, dtype)
            if dtype.kind == "f" and not np.isfinite(found).all():
                raise InputError(picture.file.path, "finite values", "NaN or infinity")
            array[z, :, :, entry] = found.reshape(array[z, :, :, entry].shape)
    known = _known(pictures, stack)
    array = array.reshape(*shape[:3], -1).transpose(2, 1, 0, 3)
    array = array if known.channels else array[..., 0]
    notes = {**acquisition(pictures[0]), "format": "dicom", "photometric": first.photometric}
    notes.pop("modality", None)
    if stack.tilted:
        array = upright(array, stack.affine)
        notes["tilt"] = f"{stack.tilt:.2f} degrees, resampled"
    if stack.affine is None:
        array = array[:, :, 0]
        if pictures[0].frames[0].spacing is None:
            notes["spacing"] = "unknown"
    interval = None if first.colours else stack.interval
    provenance = {name: str(value) for name, value in notes.items()}
    return Image(array, known.affine, known.channels, known.modality, interval, provenance)


def header(path: str | Path, *, series: str | None = None, tilt: str = "refuse") -> Header:
    """What `read` would give, from the headers alone.

    Raises:
        InputError: as `read`, for whatever headers show.
        MissingExtraError: as `read`.
    """
    return _known(*_opened(Path(path), series, tilt))


def series(path: str | Path) -> list[Series]:
    """The series of a folder, largest first, so that one can be chosen.

    Raises:
        InputError: naming the folder or file, for what is not DICOM or is damaged.
        MissingExtraError: where pydicom, or what decodes the pixels, is not installed.
    """
    return _listed(_by_series(_pictures(Path(path))))


def facts(path: str | Path, *, series: str | None = None) -> dict[str, str | float]:
    """What a series' header says of the scanner and how it was set, and nothing of a person.

    Args:
        path: as for `read`.
        series: as for `read`.

    Returns:
        What is there of: modality, manufacturer, model, body_part, kernel (words) and
        field_strength (T), echo_time, repetition_time, inversion_time (ms), flip_angle
        (degrees), kvp (kV), slice_thickness (mm). It can be written as JSON.

    Raises:
        InputError: as `read`, for what cannot be parsed or several series.
        MissingExtraError: as `read`.
    """
    path = Path(path)
    return acquisition(_chosen(path, _by_series(_pictures(path)), series)[0])


def _opened(path: Path, series: str | None, tilt: str) -> tuple[list[Picture], Stack]:
    """The pictures of one series, and their frames in order."""
    if tilt not in _TILTS:
        raise InputError("tilt", " or ".join(_TILTS), repr(tilt))
    pictures = _chosen(path, _by_series(_pictures(path)), series)
    require_same(path, "images of one size", (p.form[1:3] for p in pictures))
    require_same(path, "pixels of one type", (_kind(p) for p in pictures))
    stack = stacked(path, [frame for picture in pictures for frame in picture.frames])
    if stack.tilted and tilt == "refuse":
        got = f"a tilt of {stack.tilt:.1f} degrees: read it with tilt='resample'"
        raise InputError(path, "slices that are not shifted in their plane", got)
    return pictures, stack


def _kind(picture: Picture) -> tuple[object, ...]:
    table = picture.form.table
    dtype = picture.form.dtype if table is None else table.entries.dtype
    return dtype.str, picture.form.colours, picture.form.photometric


def _pictures(path: Path) -> list[Picture]:
    """The images of a folder, or one file."""
    files = [path]
    if path.is_dir():
        names = (p for p in path.iterdir() if not p.name.startswith(".") and p.name != "DICOMDIR")
        files = sorted(p for p in names if p.is_file())
        if not any(is_dicom(file) for file in files):
            raise InputError(path, "DICOM files", "none")
    found = [picture for file in files if (picture := open_picture(file)) is not None]
    if not found:
        raise InputError(path, "an image", "DICOM files without one")
    return found


def _by_series(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    found: dict[str, list[Picture]] = {}
    for picture in pictures:
        found.setdefault(picture.series, []).append(picture)
    return {hashlib.sha256(uid.encode()).hexdigest()[:12]: group for uid, group in found.items()}


def _listed(groups: dict[str, list[Picture]]) -> list[Series]:
    listed = [
        Series(
            key,
            sum(picture.form.frames for picture in group),
            group[0].modality,
            (group[0].form.columns, group[0].form.rows),
            all(picture.localizer for picture in group),
        )
        for key, group in groups.items()
    ]
    return sorted(listed, key=lambda one: (one.localizer, -one.images, one.key))


def _chosen(path: Path, groups: dict[str, list[Picture]], series: str | None) -> list[Picture]:
    listed = _listed(groups)
    if series is None:
        # What a scan was planned on is not meant where there is the scan.
        images = [one for one in listed if not one.localizer] or listed
        if len(images) > 1:
            kinds = ", ".join(f"{s.key} ({s.images} of {s.modality or '?'})" for s in images[:5])
            got = f"{len(images)}, to be chosen by series=: {kinds}"
            raise InputError(path, "one series", got + (", ..." if len(images) > 5 else ""))
        series = images[0].key
    if series not in groups:
        keys = ", ".join(one.key for one in listed[:5])
        raise InputError("series", f"one of {keys}", repr(series))
    chosen = groups[series]
    return [picture for picture in chosen if not picture.localizer] or chosen


def _dtype(pictures: Sequence[Picture]) -> np.dtype:
    scaled = any(frame.scale != (1.0, 0.0) for picture in pictures for frame in picture.frames)
    return value_dtype(pictures[0].form, scaled)


def _known(pictures: Sequence[Picture], stack: Stack) -> Header:
    form, first = pictures[0].form, pictures[0].frames[0]
    names = stack.names
    if form.colours:
        names = tuple(f"{name} {c}".strip() for name in names or ("",) for c in _COLOURS)
    shape, affine = (form.columns, form.rows, len(stack.grid)), stack.affine
    if affine is None:
        # x to the right and y downwards: a picture without a place has no patient's axes.
        rows, columns = first.spacing or (1.0, 1.0)
        known, shape = np.diag([columns, rows, 1.0, 1.0]), shape[:2]
    else:
        if stack.tilted:
            shape, affine = upright_grid(shape, affine)
        known = invertible(pictures[0].file.path, LPS @ affine)
    shape = (*shape, len(names)) if names else shape
    return Header(shape, _dtype(pictures), known, names, pictures[0].modality)

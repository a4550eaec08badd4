"""Frames of a series: where each lies, and what tells apart those that lie at one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medjax.core.errors import InputError

from . import attributes, pixels
from .attributes import Attributes, seconds
from .parsing import File, intact, parse

KEYWORDS = tuple(dict.fromkeys((*pixels.KEYWORDS, *attributes.KEYWORDS)))
# What a series may hold beside its images, by the start of the class: indices, presentation
# states, reports, documents, waveforms, radiotherapy's plans, registrations, measurements.
_NO_IMAGES = (
    "1.2.840.10008.1.3.10",
    *(
        f"1.2.840.10008.5.1.4.1.1.{kind}"
        for kind in ("11.", "88.", "104.", "9.", "481.3", "481.5", "481.8", "66.1", "66.2", "67")
    ),
)
_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_CENTIMETRES = 3  # of an ultrasound region's physical units


class Frame(NamedTuple):
    """What a file says of one of its frames.

    Attributes:
        file: that holds it.
        index: within the file.
        position: of the first pixel, ``(3,)``, in millimetres, LPS+; None for a picture
            that does not say where it lies.
        orientation: ``(2, 3)``: unit vectors along a row and along a column, or None.
        spacing: millimetres between rows, between columns; None where it is not known.
        thickness: millimetres to the next slice, where the file knows.
        scale: slope and intercept of the pixels.
        contrast: what it shows: names to numbers, tuples of numbers or words.
        times: when it was taken: names to numbers, in seconds or counts.
    """

    file: File
    index: int
    position: np.ndarray | None
    orientation: np.ndarray | None
    spacing: tuple[float, float] | None
    thickness: float
    scale: tuple[float, float]
    contrast: dict[str, Any]
    times: dict[str, float]


class Picture(NamedTuple):
    """A file of DICOM with an image.

    Attributes:
        file: its elements.
        form: its pixels' format.
        frames: its frames.
        series: the identifier of its series.
        modality: in DICOM's terms.
        localizer: whether it is for planning others.
    """

    file: File
    form: pixels.Format
    frames: list[Frame]
    series: str
    modality: str
    localizer: bool


def open_picture(path: Path) -> Picture | None:
    """A file's header, read as far as the pixels; None for one of DICOM's without an image.

    Raises:
        InputError: naming the file, for what is not DICOM or is damaged.
        MissingExtraError: where pydicom, or what decodes the pixels, is not installed.
    """
    file = parse(path, KEYWORDS)
    with intact(path):
        words = ("SOPClassUID", "SeriesInstanceUID", "Modality")
        kind, series, modality = (str(file.dataset.get(w) or "").strip() for w in words)
        kinds = file.dataset.get("ImageType") or ()
        kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not file.keyword and kind.startswith(_NO_IMAGES):
        return None
    if kind == _SLIDE:
        raise InputError(path, "images of one size", "a whole slide, which is read by regions")
    if "MOSAIC" in kinds:
        raise InputError(path, "a slice a frame", "a mosaic of many slices")
    form = pixels.described(file)
    with intact(path, "usable positions, orientations and spacings"):
        common: dict[str, Any] = {}
        found = [
            _frame(file, index, Attributes(file.dataset, index, common), form, kinds)
            for index in range(form.frames)
        ]
    for frame in found:
        if not _usable(frame):
            raise InputError(path, "a usable position, orientation and spacing", "another")
    return Picture(file, form, found, series, modality, "LOCALIZER" in kinds)


def _frame(
    file: File, index: int, known: Attributes, form: pixels.Format, kinds: tuple[str, ...]
) -> Frame:
    position, orientation = _place(file, index, known, kinds)
    slope = known.number("DoseGridScaling", "RescaleSlope")
    intercept = known.number("RescaleIntercept")
    thickness = known.number("SpacingBetweenSlices") or known.number("SliceThickness") or 1.0
    return Frame(
        file,
        index,
        position,
        orientation,
        _spacing(known, position is not None),
        abs(thickness),
        (1.0 if slope is None else slope, 0.0 if intercept is None else intercept),
        _contrast(known),
        _times(known, index, form.frames),
    )


def _place(
    file: File, index: int, known: Attributes, kinds: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    detectors = file.dataset.get("DetectorInformationSequence") or ()
    position, orientation = (
        known.numbers(keyword) or (detectors[0].get(keyword) if len(detectors) == 1 else None)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    if position is None or orientation is None:
        return None, None
    position = np.array(position, np.float64).reshape(3)
    orientation = np.array(orientation, np.float64).reshape(2, 3)
    away = _offset(file, index, known, kinds)
    return position + away * np.cross(*orientation), orientation


def _offset(file: File, index: int, known: Attributes, kinds: tuple[str, ...]) -> float:
    """Millimetres from a file's position to a frame along the normal, for those modalities
    whose frames make a volume without functional groups (PS3.3 C.8.8.3.2, C.8.4.15)."""
    offsets = file.dataset.get("GridFrameOffsetVector")
    if offsets:
        return float(offsets[index]) - float(offsets[0])
    if "DetectorInformationSequence" in file.dataset and "RECON TOMO" in kinds:
        return index * (known.number("SpacingBetweenSlices", "SliceThickness") or 0.0)
    return 0.0


def _spacing(known: Attributes, placed: bool) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = known.numbers(keyword)
        if found is not None and len(found) == 2 and (placed or min(found) > 0):
            return found
    regions = known("SequenceOfUltrasoundRegions") or ()
    sizes = {
        (abs(float(r.PhysicalDeltaY)) * 10, abs(float(r.PhysicalDeltaX)) * 10)
        for r in regions
        if r.get("PhysicalUnitsXDirection") == r.get("PhysicalUnitsYDirection") == _CENTIMETRES
    }
    return sizes.pop() if len(sizes) == 1 else None


def _contrast(known: Attributes) -> dict[str, Any]:
    directions = known("DiffusionGradientDirectionSequence")
    direction = known.numbers("DiffusionGradientOrientation")
    if directions:
        found = directions[0].get("DiffusionGradientOrientation")
        direction = None if found is None else tuple(float(n) for n in found)
    kinds = known("FrameType", "ImageType") or ()
    named = {
        "segment": known.number("ReferencedSegmentNumber"),
        "component": known("ComplexImageComponent"),
        "kind": " ".join((kinds,) if isinstance(kinds, str) else kinds[2:]) or None,
        "echo": known.number("EffectiveEchoTime", "EchoTime"),
        "inversion": known.number("InversionTimes", "InversionTime"),
        "flip": known.number("FlipAngle"),
        "b": known.number("DiffusionBValue"),
        "direction": direction,
    }
    return {name: value for name, value in named.items() if value is not None}


def _times(known: Attributes, index: int, frames: int) -> dict[str, float]:
    milliseconds = {
        "reference": known.number("FrameReferenceTime"),
        "trigger": known.number("NominalCardiacTriggerDelayTime", "TriggerTime"),
    }
    frame_time = known.number("FrameTime")
    clock = seconds(None, known("FrameAcquisitionDateTime", "AcquisitionDateTime"))
    if clock is None:
        clock = seconds(known("AcquisitionDate") or "", known("AcquisitionTime"))
    named = {
        "index": known.number("TemporalPositionIndex", "TemporalPositionIdentifier"),
        "offset": known.number("TemporalPositionTimeOffset"),
        **{name: ms if ms is None else ms / 1e3 for name, ms in milliseconds.items()},
        "clock": clock,
        "acquisition": known.number("FrameAcquisitionNumber", "AcquisitionNumber"),
        "frame time": index * frame_time / 1e3 if frame_time and frames > 1 else None,
        "frame": float(index) if frames > 1 else None,
        "resolution": (known.number("TemporalResolution") or 0.0) / 1e3 or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def _usable(frame: Frame) -> bool:
    numbers = [*frame.scale, frame.thickness, *(frame.spacing or ()), *frame.times.values()]
    if frame.position is not None and frame.orientation is not None:
        unit = np.abs(frame.orientation @ frame.orientation.T - np.eye(2)).max()
        numbers += [*frame.position, *frame.orientation.flat]
        if frame.spacing is None or not unit < 1e-2:
            return False
    sizes = (*(frame.spacing or ()), frame.thickness)
    return bool(np.isfinite(numbers).all()) and min(sizes) > 0

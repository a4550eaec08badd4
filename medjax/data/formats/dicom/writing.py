"""Images as derived DICOM series that say nothing of a person."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medjax.core.errors import InputError
from medjax.core.files import replacing
from medjax.data.geometry import invertible
from medjax.data.image import Image

from .folder import new_folder
from .parsing import library
from .stack import LPS

_STORAGE = {"MR": "1.2.840.10008.5.1.4.1.1.4", "CT": "1.2.840.10008.5.1.4.1.1.2"}
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # for whatever else
_COLOURS = ("red", "green", "blue")
# What the standard wants of each, with its values for "of no known sequence".
_OF_MODALITY: dict[str, dict[str, Any]] = {
    "MR": {
        "ImageType": ["DERIVED", "SECONDARY", "OTHER"],
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
    },
    "CT": {
        "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
        "RescaleType": "HU",
        "KVP": None,
        "AcquisitionNumber": None,
    },
}
_OTHER = {"ImageType": ["DERIVED", "SECONDARY"], "ConversionType": "WSD"}
_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientPosition",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Manufacturer",
    "PositionReferenceIndicator",
)


class _Stored(NamedTuple):
    """Voxels as they are written: 16 or 8 bits, and what turns them back."""

    array: np.ndarray
    slope: str
    intercept: str


def write(path: str | Path, image: Image) -> None:
    """Write a derived series, a file a slice, whole or not at all.

    The elements on a patient that DICOM requires are there and empty, and identifiers
    are made from the content, so that the same image gives the same bytes. Integers that
    fit 16 bits are kept, and read back as int16 or uint16; floats are rescaled to 16
    bits over their range. A modality other than MR and CT is written as a secondary
    capture of that modality ("OT" for none) that keeps its place in space.

    Args:
        path: of a folder to be made, or an empty one; or a name ending in ``.dcm`` for
            an image of one slice without times.
        image: ``(x, y, z)``, which is what is read back of ``(x, y)`` too, with axes at
            right angles; with a last axis of times at even steps (``interval``), or of
            the colours red, green and blue in uint8.

    Raises:
        InputError: for another shape, dtype, affine, modality or channels, values that
            are not finite, or a path that is taken or cannot be written.
        MissingExtraError: where pydicom is not installed.
    """
    path = Path(path)
    files = _files(image)
    if path.suffix.lower() == ".dcm":
        if len(files) > 1:
            raise InputError(path, "a folder's name for several files", "a file's")
        with replacing(path) as part:
            _save(part, *files[0])
        return
    with new_folder(path) as part:
        for index, (elements, pixels) in enumerate(files):
            _save(part / f"{index + 1:05d}.dcm", elements, pixels)


def _files(image: Image) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Elements and pixels ``(row, column)`` or ``(row, column, 3)`` of each file."""
    modality = image.modality or "OT"
    if not re.fullmatch("[A-Z]{2,16}", modality):
        raise InputError("modality", "one of DICOM's terms, or none", repr(modality))
    colours = image.channels == _COLOURS and image.array.dtype == np.uint8
    if image.channels and not colours and image.interval is None:
        got = f"{len(image.channels)} others"
        raise InputError("channels", "times at even steps, or red, green and blue of uint8", got)
    array = image.array[:, :, None] if image.ndim == 2 else image.array
    array = array if image.channels else array[..., None]
    if 0 in array.shape:
        raise InputError("array", "a shape without empty axes", image.array.shape)
    affine = invertible("affine", image.affine)
    stored = _Stored(array, "1", "0") if colours else _stored(array)
    common = _common(stored, affine, modality)
    found = []
    times = 1 if colours else array.shape[-1]
    for z in range(array.shape[2]):
        position = _decimal((LPS @ affine @ [0, 0, z, 1])[:3])
        for time in range(times):
            number = len(found) + 1
            elements = {
                **common,
                "SOPInstanceUID": _identifier(f"{common['SeriesInstanceUID']} {number}"),
                "InstanceNumber": number,
                "ImagePositionPatient": position,
            }
            if times > 1:
                elements["TemporalPositionIdentifier"] = time + 1
                elements["NumberOfTemporalPositions"] = times
                elements["TemporalResolution"] = _decimal([image.interval * 1e3])[0]
            plane = stored.array[:, :, z] if colours else stored.array[:, :, z, time]
            found.append((elements, np.swapaxes(plane, 0, 1)))
    return found


def _common(stored: _Stored, affine: np.ndarray, modality: str) -> dict[str, Any]:
    """What all files of a series say."""
    directions, sizes = _axes(affine)
    digest = hashlib.sha256(np.ascontiguousarray(stored.array).tobytes() + affine.tobytes())
    scaling = (stored.slope, stored.intercept)
    seed = f"{digest.hexdigest()} {stored.array.shape} {stored.array.dtype} {scaling} {modality}"
    rescale = {"RescaleSlope": stored.slope, "RescaleIntercept": stored.intercept}
    return {
        **dict.fromkeys(_EMPTY, ""),
        **_OF_MODALITY.get(modality, _OTHER),
        **({} if stored.array.dtype == np.uint8 else rescale),
        "SOPClassUID": _STORAGE.get(modality, _CAPTURE),
        "StudyInstanceUID": _identifier(f"{seed} study"),
        "SeriesInstanceUID": _identifier(f"{seed} series"),
        "FrameOfReferenceUID": _identifier(f"{seed} frame"),
        "Modality": modality,
        "SeriesNumber": 1,
        "ImageOrientationPatient": _decimal(directions[:2].flat),
        "PixelSpacing": _decimal(sizes[1::-1]),
        "SliceThickness": _decimal(sizes[2:])[0],
    }


def _save(path: Path, elements: Mapping[str, Any], pixels: np.ndarray) -> None:
    """One file of colours, or of grey values in 16 bits."""
    pydicom = library()
    dataset = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    content = pixels.astype(pixels.dtype.newbyteorder("<"), order="C").tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    dataset.save_as(path, enforce_file_format=True)


def _stored(array: np.ndarray) -> _Stored:
    """16-bit integers, and the slope and intercept as DICOM's decimal strings."""
    if array.dtype.kind not in "iufb":
        raise InputError("array", "integers or floats", array.dtype)
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("array", "finite values", "NaN or infinity")
    if array.dtype.kind != "f":
        kind = np.int16 if high < 2**15 else np.uint16
        if not (np.iinfo(kind).min <= low and high <= np.iinfo(kind).max):
            raise InputError("array", "integers that fit 16 bits", f"{low:g} to {high:g}")
        kind = np.uint16 if array.dtype == np.uint16 else kind
        return _Stored(array.astype(kind), "1", "0")
    middle = _decimal([low / 2 + high / 2])[0]
    # A little more than the range, as the slope loses digits on paper.
    slope = _decimal([max(high / 65530 - low / 65530, abs(high) * 1e-12, 1e-30)])[0]
    stored = np.rint((array.astype(np.float64) - float(middle)) / float(slope))
    return _Stored(stored.clip(-(2**15), 2**15 - 1).astype(np.int16), slope, middle)


def _axes(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions of the axes, in rows, in LPS, and voxel sizes."""
    columns = (LPS @ affine)[:3, :3]
    sizes = np.linalg.norm(columns, axis=0)
    directions = (columns / sizes).T
    if np.abs(directions @ directions.T - np.eye(3)).max() > 1e-3:
        raise InputError("affine", "axes at right angles", "oblique ones")
    return directions, sizes


def _decimal(values: Iterable[float]) -> list[str]:
    """DICOM's decimal strings: at most 16 characters."""
    return [f"{value:.9g}" for value in values]


def _identifier(text: str) -> str:
    """A unique identifier of the kind made of a UUID (ISO/IEC 9834-8), always the same."""
    return f"2.25.{uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4).int}"

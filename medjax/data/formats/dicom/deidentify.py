"""DICOM without the person: an allow-list of elements, and identifiers that lead nowhere.

By the basic profile of DICOM PS3.15, annex E, and stricter: what is not on the list is
dropped, among it every name, date, time of day, place, free text, overlay and private
element, within sequences too. What remains is what geometry, pixels and the physics of
the acquisition need. Identifiers become others by a keyed hash, the same for the same
key, so that slices of a series and series of a study stay together.

What lies in the pixels is not looked at: a name burned into an ultrasound image, a face
in a head scan, or a comment within a compressed frame stays.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import secrets
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from medjax.core.errors import InputError

from .attributes import GROUPS
from .folder import new_folder
from .frames import open_picture
from .parsing import intact, library, whole
from .pixels import KEYWORDS as _PIXELS

_OTHERS = """
    SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID
    FrameOfReferenceUID Modality ImageType SeriesNumber InstanceNumber AcquisitionNumber
    Manufacturer ManufacturerModelName BodyPartExamined Laterality ImageLaterality
    ViewPosition PatientPosition PatientOrientation BurnedInAnnotation
    LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod

    ImagePositionPatient ImageOrientationPatient PixelSpacing ImagerPixelSpacing
    NominalScannedPixelSpacing PixelAspectRatio SliceThickness SpacingBetweenSlices
    SliceLocation GantryDetectorTilt GridFrameOffsetVector PositionReferenceIndicator
    EstimatedRadiographicMagnificationFactor DistanceSourceToDetector
    DistanceSourceToPatient ReconstructionDiameter

    SmallestImagePixelValue LargestImagePixelValue PixelPaddingValue
    PixelPaddingRangeLimit RescaleSlope RescaleIntercept RescaleType LUTDescriptor LUTData
    ModalityLUTType DoseGridScaling DoseUnits DoseType WindowCenter WindowWidth
    VOILUTFunction PresentationLUTShape PixelIntensityRelationship
    PixelIntensityRelationshipSign PixelPresentation VolumetricProperties
    VolumeBasedCalculationTechnique FloatPixelData DoubleFloatPixelData PixelData
    ExtendedOffsetTable ExtendedOffsetTableLengths

    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    DimensionOrganizationSequence DimensionOrganizationUID DimensionIndexSequence
    DimensionIndexPointer FunctionalGroupPointer DimensionIndexValues StackID
    InStackPositionNumber FrameType ComplexImageComponent AcquisitionContrast
    DetectorInformationSequence SequenceOfUltrasoundRegions RegionSpatialFormat
    RegionDataType RegionFlags RegionLocationMinX0 RegionLocationMinY0
    RegionLocationMaxX1 RegionLocationMaxY1 PhysicalUnitsXDirection
    PhysicalUnitsYDirection PhysicalDeltaX PhysicalDeltaY ReferencePixelX0
    ReferencePixelY0 SegmentSequence SegmentNumber SegmentAlgorithmType
    SegmentationType ReferencedSegmentNumber FrameIncrementPointer

    FrameTime FrameTimeVector CineRate TemporalPositionIdentifier
    NumberOfTemporalPositions TemporalResolution TriggerTime FrameReferenceTime
    ActualFrameDuration NumberOfSlices NumberOfTimeSlices CardiacNumberOfImages

    ScanningSequence SequenceVariant ScanOptions MRAcquisitionType SequenceName
    AngioFlag MagneticFieldStrength RepetitionTime EchoTime EchoNumbers EchoTrainLength
    InversionTime FlipAngle ImagingFrequency ImagedNucleus NumberOfAverages
    NumberOfPhaseEncodingSteps PercentSampling PercentPhaseFieldOfView PixelBandwidth
    AcquisitionMatrix InPlanePhaseEncodingDirection VariableFlipAngleFlag SAR dBdt
    ParallelReductionFactorInPlane DiffusionBValue DiffusionGradientOrientation
    DiffusionDirectionality

    KVP XRayTubeCurrent Exposure ExposureTime FilterType FocalSpots ConvolutionKernel
    DataCollectionDiameter RotationDirection TableHeight TableSpeed
    TableFeedPerRotation SpiralPitchFactor SingleCollimationWidth TotalCollimationWidth
    RevolutionTime CTDIvol Grid AnodeTargetMaterial BodyPartThickness CompressionForce

    Units CountsSource SeriesType ReconstructionMethod AttenuationCorrectionMethod
    ScatterCorrectionMethod DecayCorrection DecayFactor DoseCalibrationFactor
    RadiopharmaceuticalInformationSequence RadionuclideTotalDose RadionuclideHalfLife
    RadionuclidePositronFraction
"""
_DROPPED = {"FrameAcquisitionDateTime"}
_OF_FRAMES = {keyword for group, keywords in GROUPS.items() for keyword in (group, *keywords)}
KEPT = frozenset({*_OTHERS.split(), *_PIXELS, *_OF_FRAMES} - _DROPPED)
"""Keywords of the elements that stay."""

_EMPTY = (
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_OF_THE_STANDARD = "1.2.840.10008."


class Deidentified(NamedTuple):
    """What `deidentify` has done.

    Attributes:
        written: images.
        left_out: files of DICOM without an image, such as reports.
    """

    written: int
    left_out: int


def deidentified(dataset: Any, key: bytes, *, burned_in: bool = False) -> Any:
    """A dataset without the person.

    The patient's identifier and name become one pseudonym by the keyed hash of the
    identifier, so that a subject's images stay together; all else that DICOM requires
    of a person is there and empty.

    Args:
        dataset: of pydicom, with its ``file_meta``; it is left as it is.
        key: a secret of at least 16 bytes; the same key gives the same identifiers.
        burned_in: whether pixels that say to hold a person's data are let through.

    Returns:
        A new dataset, which can be saved.

    Raises:
        InputError: for a short key, or pixels with ``BurnedInAnnotation`` of "YES".
        MissingExtraError: where pydicom is not installed.
    """
    if len(key) < 16:
        raise InputError("key", "at least 16 bytes", len(key))
    if str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES" and not burned_in:
        got = "annotations burned into them"
        raise InputError("dataset", "pixels without a person's data, or burned_in=True", got)
    pydicom = library()
    syntax = dataset.file_meta.TransferSyntaxUID
    found = _kept(dataset, key)
    for keyword in _EMPTY:
        setattr(found, keyword, "")
    pseudonym = _hashed(key, f"patient {dataset.get('PatientID') or ''}").hex()
    found.PatientID = found.PatientName = pseudonym
    found.PatientIdentityRemoved = "YES"
    found.DeidentificationMethod = "Allow-list of elements, after PS3.15 E Basic Profile"
    if "PixelData" in found and not syntax.is_compressed:
        # What follows the last pixel is no part of the image.
        size = pydicom.pixels.utils.get_expected_length(found)
        found["PixelData"].value = found.PixelData[: size + size % 2]
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = syntax
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    return found


def deidentify(
    source: str | Path, target: str | Path, *, key: bytes | None = None, burned_in: bool = False
) -> Deidentified:
    """Write the images of a folder and those below it without the person.

    Files are named by number in a folder for each series, named by its new identifier;
    old names, which may hold a person's, are not kept. The folder is written whole or
    not at all.

    Args:
        source: a folder of DICOM files; hidden ones and a ``DICOMDIR`` are passed over.
        target: to be made; an existing one must be empty.
        key: as for `deidentified`; None for one that is made and forgotten, so that
            nobody can link what is written to what was read.
        burned_in: as for `deidentified`.

    Raises:
        InputError: naming the file, for what is not DICOM, is damaged, or says to have
            annotations burned in; or the target, where it cannot be written.
        MissingExtraError: where pydicom, or what decodes the pixels, is not installed.
    """
    source, key = Path(source), secrets.token_bytes(32) if key is None else key
    if not source.is_dir():
        got = "a file" if source.exists() else "nothing at this path"
        raise InputError(source, "a folder", got)
    paths = sorted(p for p in source.rglob("*") if p.is_file())
    paths = [p for p in paths if p.name != "DICOMDIR" and not p.name.startswith(".")]
    written: dict[str, int] = {}
    with new_folder(Path(target)) as part:
        for path in paths:
            picture = open_picture(path)
            if picture is None:
                continue
            with intact(path):
                try:
                    found = deidentified(whole(picture.file), key, burned_in=burned_in)
                except InputError as error:
                    raise InputError(path, error.expected, error.got) from None
                series = _hashed(key, picture.series).hex()
                written[series] = written.get(series, 0) + 1
                (part / series).mkdir(exist_ok=True)
                found.save_as(
                    part / series / f"{written[series]:05d}.dcm", enforce_file_format=True
                )
    total = sum(written.values())
    return Deidentified(total, len(paths) - total)


def _kept(dataset: Any, key: bytes) -> Any:
    """A dataset of what is on the list, with other identifiers."""
    found = library().Dataset()
    for element in dataset:
        if element.keyword not in KEPT:
            continue
        new = copy.copy(element)
        if element.VR == "SQ":
            new = type(element)(element.tag, "SQ", [_kept(item, key) for item in element.value])
        elif element.VR == "UI" and element.value:
            several = not isinstance(element.value, str)
            values = [
                _identifier(key, str(uid))
                for uid in (element.value if several else [element.value])
            ]
            new = type(element)(element.tag, "UI", values if several else values[0])
        found.add(new)
    return found


def _identifier(key: bytes, uid: str) -> str:
    """Another of the kind made of a UUID; the standard's own, such as classes, stay."""
    if uid.startswith(_OF_THE_STANDARD):
        return uid
    return f"2.25.{uuid.UUID(bytes=_hashed(key, uid)[:16], version=4).int}"


def _hashed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)[:16]

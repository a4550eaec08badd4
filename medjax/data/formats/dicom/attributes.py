"""A frame's attributes: its own, those it shares with its file's others, or its file's.

An enhanced image keeps what belongs to a frame in functional groups (PS3.3 C.7.6.16): a
sequence with an item for each frame and one with what they share. Other images keep the
same elements, some by another name, beside all else.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

GROUPS: Mapping[str, Sequence[str]] = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameContentSequence": (
        "TemporalPositionIndex",
        "FrameAcquisitionDateTime",
        "FrameAcquisitionNumber",
    ),
    "TemporalPositionSequence": ("TemporalPositionTimeOffset",),
    "CardiacSynchronizationSequence": ("NominalCardiacTriggerDelayTime",),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRModifierSequence": ("InversionTimes",),
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle"),
    "MRDiffusionSequence": ("DiffusionBValue", "DiffusionGradientDirectionSequence"),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "PETFrameTypeSequence": ("FrameType",),
    "CTXRayDetailsSequence": ("KVP",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "SegmentIdentificationSequence": ("ReferencedSegmentNumber",),
}
"""Which group of an enhanced image holds what."""

KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "ImageType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "SequenceOfUltrasoundRegions",
    "GridFrameOffsetVector",
    "DoseGridScaling",
    "DetectorInformationSequence",
    "FrameTime",
    "TemporalPositionIdentifier",
    "TemporalResolution",
    "TriggerTime",
    "FrameReferenceTime",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionNumber",
    "EchoTime",
    "InversionTime",
    "DiffusionGradientOrientation",
    "Manufacturer",
    "ManufacturerModelName",
    "BodyPartExamined",
    "MagneticFieldStrength",
    *(keyword for keywords in GROUPS.values() for keyword in keywords),
)
"""What `Attributes` are asked for."""

_HOMES = {keyword: group for group, keywords in GROUPS.items() for keyword in keywords}
_FRAME_TYPES = tuple(group for group in GROUPS if group.endswith("FrameTypeSequence"))


class Attributes:
    """What is known of one frame.

    Args:
        dataset: of pydicom.
        index: of the frame.
        common: what the file's other frames have found that is no frame's own.
    """

    def __init__(self, dataset: Any, index: int, common: dict[str, Any] | None = None):
        self._dataset, self._common = dataset, {} if common is None else common
        frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
        self._own = frames[index] if index < len(frames) else None

    def __call__(self, *keywords: str) -> Any:
        """The first value there is of those keywords; None where there is none."""
        for keyword in keywords:
            value = _in_groups(self._own, keyword)
            if value is None:
                value = self._of_file(keyword)
            if value is not None:
                return value
        return None

    def _of_file(self, keyword: str) -> Any:
        if keyword not in self._common:
            shared = self._dataset.get("SharedFunctionalGroupsSequence") or (None,)
            value = _in_groups(shared[0], keyword)
            if value is None:
                value = self._dataset.get(keyword)
            self._common[keyword] = value if _given(value) else None
        return self._common[keyword]

    def number(self, *keywords: str) -> float | None:
        """The first value there is, as a number; of several, the first."""
        value = self(*keywords)
        if value is None or isinstance(value, str):
            return None if value is None else float(value)
        return float(value[0] if hasattr(value, "__len__") else value)

    def numbers(self, *keywords: str) -> tuple[float, ...] | None:
        """The first value there is, as numbers."""
        value = self(*keywords)
        return None if value is None else tuple(float(n) for n in value)


def _in_groups(groups: Any, keyword: str) -> Any:
    if groups is None:
        return None
    for home in _FRAME_TYPES if keyword == "FrameType" else (_HOMES.get(keyword),):
        items = groups.get(home) if home else None
        if items and _given(value := items[0].get(keyword)):
            return value
    return None


def _given(value: object) -> bool:
    return value is not None and not (hasattr(value, "__len__") and len(value) == 0)


def seconds(date: object, time: object) -> float | None:
    """DICOM's date (``YYYYMMDD``) and time (``HHMMSS.F``) as seconds; None without a time.

    Args:
        date: of the day; without one it is some day.
        time: of the day, or with the date in front where ``date`` is None.
    """
    digits = str(time or "").strip().split("&")[0].split("+")[0].split("-")[0]
    day = str(date or "").strip()
    if date is None and len(digits.split(".")[0]) >= 8:
        day, digits = digits[:8], digits[8:]
    clock = digits.replace(":", "")
    if len(clock.split(".")[0]) < 6:
        return None
    since = int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + float(clock[4:])
    if len(day) == 8:
        since += 86400 * datetime.date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal()
    return since

"""What a header says of the scanner and how it was set, and nothing of a person."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from .attributes import Attributes
from .frames import Picture
from .parsing import intact

_WORDS: Mapping[str, str] = {
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "body_part": "BodyPartExamined",
    "kernel": "ConvolutionKernel",
}
_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "field_strength": ("MagneticFieldStrength",),  # tesla
    "echo_time": ("EffectiveEchoTime", "EchoTime"),  # milliseconds
    "repetition_time": ("RepetitionTime",),  # milliseconds
    "inversion_time": ("InversionTimes", "InversionTime"),  # milliseconds
    "flip_angle": ("FlipAngle",),  # degrees
    "kvp": ("KVP",),  # kilovolts
    "slice_thickness": ("SliceThickness",),  # millimetres
}
_LONGEST = 64  # characters that DICOM allows in such a word


def acquisition(picture: Picture) -> dict[str, str | float]:
    """The facts that a prepared store may keep, of a file's first frame.

    Returns:
        What the header holds of: modality, manufacturer, model, body_part, kernel
        (words) and field_strength (T), echo_time, repetition_time, inversion_time (ms),
        flip_angle (degrees), kvp (kV), slice_thickness (mm).

    Raises:
        InputError: naming the file, for numbers that are none.
    """
    with intact(picture.file.path, "usable settings of the scanner"):
        known = Attributes(picture.file.dataset, 0)
        found: dict[str, str | float] = {}
        for name, keyword in _WORDS.items():
            value = known(keyword)
            if value is not None and (word := _plain(value)):
                found[name] = word
        for name, keywords in _NUMBERS.items():
            number = known.number(*keywords)
            if number is not None and math.isfinite(number):
                found[name] = number
    return found


def _plain(value: object) -> str:
    """One line of printable characters."""
    words = [value] if isinstance(value, str) else list(value)
    text = " ".join(" ".join(map(str, words)).split())
    return re.sub(r"[^\x20-\x7e]", "?", text)[:_LONGEST]

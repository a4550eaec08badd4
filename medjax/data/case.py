"""One examination of one subject, as a manifest or a public data set lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """The files of one examination, and what is known of it.

    Attributes:
        id: the case's name, unique in its data set.
        subject: the person it came from; what splits keep together.
        images: channel or modality name -> file, or folder for a DICOM series.
        session: which of the subject's visits, where there is more than one.
        label: file or folder with the annotation; None where there is none.
        split: the owner's split this case belongs to; None where there is none.
        attributes: what is said in numbers and words: age, sex, site, class labels.
            What is not known of a case is not there.
        boxes: what was marked, a tuple of numbers each, in the card's terms.
    """

    id: str
    subject: str
    images: Mapping[str, Path]
    session: str = ""
    label: Path | None = None
    split: str | None = None
    attributes: Mapping[str, str | float | int] = field(default_factory=dict)
    boxes: tuple[tuple[float, ...], ...] = ()

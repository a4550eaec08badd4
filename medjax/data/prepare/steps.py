"""From a case's files to what is stored: each step small, in one order, with its record.

The order: read, turn to RAS, check that channels and label lie on one grid, deface, crop,
bring intensities to scale, resample. Zero means "nothing here" only on the scan's own
grid, so what asks for it (the box, the foreground) comes before interpolation, as in
nnU-Net. What was done to a case is a JSON object; `medjax.data.prepare.undo` reads it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.image import Image

from .normalise import Normalisation, apply, fit, to_standard
from .reading import read_case
from .resample import INTERPOLATIONS, resample_image, resample_labels
from .statistics import intensities, label_counts

MEDIAN = "median"
VALUES = ("int16", "float32")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is done to every case.

    Args:
        spacing: millimetres along x, y, z; None keeps each image's own; "median" is for
            `medjax.data.prepare.plan` to find.
        interpolation: of images, "cubic" or "linear".
        crop: to the box of what is not 0 in any channel or the label.
        normalise: how intensities are brought to one scale.
        values: how fractions are stored, as the store's `Writer` has it: "int16" for codes
            with slope and intercept, or "float32".
        deface: make the faces of head scans background.
        resample_labels: put labels on their image's grid, where theirs is another.
        channels: to read, in this order; empty for all that any case has.

    Raises:
        InputError: for a value that is none of these.
    """

    spacing: tuple[float, float, float] | str | None = None
    interpolation: str = "cubic"
    crop: bool = False
    normalise: Normalisation = field(default_factory=Normalisation)
    values: str = "int16"
    deface: bool = False
    resample_labels: bool = False
    channels: tuple[str, ...] = ()

    def __post_init__(self):
        lengths = self.spacing
        numbers = isinstance(lengths, tuple) and len(lengths) == 3
        if lengths not in (None, MEDIAN) and not (
            numbers and all(0 < n < math.inf for n in lengths)
        ):
            expected = f"three positive lengths in mm, or {MEDIAN}"
            raise InputError("spacing", expected, lengths)
        if self.interpolation not in INTERPOLATIONS:
            expected = f"one of {', '.join(INTERPOLATIONS)}"
            raise InputError("interpolation", expected, repr(self.interpolation))
        if self.values not in VALUES:
            raise InputError("values", f"one of {', '.join(VALUES)}", repr(self.values))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case as it is stored.

    Attributes:
        image: on RAS axes, or its own where it is flat; None for a case of labels alone.
        label: on the image's grid; None without one.
        record: what was read and done, as JSON: geometry of the source, crop, numbers of
            the normalisation, statistics of the source, a hash of its voxels.
    """

    image: Image | None
    label: Image | None
    record: dict[str, Any]


def prepare_case(
    case: Case, settings: Settings, landmarks: Mapping[str, Sequence[float]] | None = None
) -> Prepared:
    """Read one case and take it through the steps.

    Args:
        case: its files.
        settings: of all cases.
        landmarks: channel -> standard histogram, for the normalisation "histogram".

    Raises:
        InputError: naming file or case, for whatever keeps it from being prepared.
    """
    image, label, source = read_case(case, settings.channels, settings.resample_labels)
    record: dict[str, Any] = {
        "source": source,
        "voxels": digest(image if image is not None else label),
        "statistics": {} if image is None else intensities(image),
        "labels": {} if label is None else label_counts(label.array),
    }
    if settings.deface and image is not None:
        image = defaced(case, image)
    if settings.crop:
        box = nonzero_box(case, image, label)
        record["crop"] = [[int(s.start), int(s.stop)] for s in box]
        image, label = (None if i is None else cropped(i, box) for i in (image, label))
    if image is not None and settings.normalise.method != "none":
        image, record["intensity"] = normalised(case, image, settings, landmarks or {})
    if settings.spacing is not None:
        before = (image if image is not None else label).spacing
        if image is not None:
            image = resample_image(image, settings.spacing, settings.interpolation)
        if label is not None:
            label = resample_labels(label, settings.spacing)
        after = (image if image is not None else label).spacing
        record["steps"] = [new / old for old, new in zip(before, after, strict=True)]
    if len(source["shape"]) == 2:
        image, label = (i and i.replace(array=i.array[:, :, 0]) for i in (image, label))
    stored = image if image is not None else label
    record["shape"] = list(stored.array.shape[: stored.ndim])
    return Prepared(image, label, record)


def defaced(case: Case, image: Image) -> Image:
    """The image without its face; raises `InputError` naming the case, where none is found."""
    from .deface import deface

    try:
        return deface(image)
    except InputError as error:
        raise InputError(f"case {case.id}: {error.what}", error.expected, error.got) from None


def nonzero_box(case: Case, image: Image | None, label: Image | None) -> tuple[slice, ...]:
    """The smallest box with every voxel that is not 0, in any channel or the label.

    Raises:
        InputError: where all is 0.
    """
    full = None
    for part in (image, label):
        if part is None:
            continue
        here = (part.array != 0).any(-1) if part.channels else part.array != 0
        full = here if full is None else full | here
    box = []
    for axis in range(3):
        places = np.flatnonzero(full.any(tuple(a for a in range(3) if a != axis)))
        if not places.size:
            raise InputError(f"case {case.id}", "voxels that are not 0, to crop to", "none")
        box.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(box)


def cropped(image: Image, box: tuple[slice, ...]) -> Image:
    """The part of an image in a box, where it was."""
    moved = image.affine.copy()
    moved[:3, 3] += image.affine[:3, :3] @ [s.start for s in box]
    return image.replace(array=image.array[box], affine=moved)


def normalised(
    case: Case,
    image: Image,
    settings: Settings,
    landmarks: Mapping[str, Sequence[float]],
) -> tuple[Image, list[dict[str, Any]]]:
    """Every channel on the scale that was asked for, and the numbers that brought it there."""
    out, records = [], []
    for name, channel in channels_of(image):
        what = f"case {case.id}" + (f", {name}" if name else "")
        if settings.normalise.method == "histogram":
            record = {}
            out.append(to_standard(what, channel, landmarks[name]))
        else:
            record = fit(what, channel, settings.normalise)
            out.append(apply(channel, record))
        records.append(record)
    return image.replace(array=np.stack(out, -1) if image.channels else out[0]), records


def channels_of(image: Image) -> list[tuple[str, np.ndarray]]:
    """The channels' names and arrays; one without a name where there is no such axis."""
    if not image.channels:
        return [("", image.array)]
    return [(name, image.array[..., c]) for c, name in enumerate(image.channels)]


def digest(image: Image) -> str:
    """A hash of the voxels on their RAS axes, the same whatever file or type held them."""
    array = np.ascontiguousarray(image.array, np.float32) + np.float32(0)  # -0 is 0
    return hashlib.blake2b(array.data, digest_size=16, key=str(array.shape).encode()).hexdigest()

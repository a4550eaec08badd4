"""The description of an OME-TIFF: which plane is what, and how large a voxel is.

Model of 2016-06, https://docs.openmicroscopy.org/ome-model. Nothing but the text itself is
read: without a document type there are no entities to expand and nothing to fetch.
"""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medjax.core.errors import InputError
from medjax.data.image import Image

from .block import COLOURS, NOTES, noted

MILLIMETRES = {
    **dict.fromkeys(("Å",), 1e-7),
    **dict.fromkeys(("nm", "nanometer"), 1e-6),
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer"), 1e-3),
    **dict.fromkeys(("mm", "millimeter"), 1.0),
    **dict.fromkeys(("cm", "centimeter"), 10.0),
    **dict.fromkeys(("m", "meter"), 1e3),
    **dict.fromkeys(("inch", "in"), 25.4),
}
SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_TYPES = {"float32": "float", "float64": "double"}
_LONGEST = 1 << 24


class Layout(NamedTuple):
    """How the pages of a file make an image.

    Attributes:
        order: int ``(n, z)``, the page of each channel or time and slice.
        spacing: millimetres along x, y and z; None where not known.
        names: of channels; empty where they have none.
        interval: seconds between the n, where they are times.
        notes: what `describe` wrote besides.
    """

    order: np.ndarray
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)
    names: tuple[str, ...] = ()
    interval: float | None = None
    notes: dict[str, Any] = {}  # noqa: RUF012  read only


def is_ome(text: str) -> bool:
    """Whether a description is meant as OME-XML."""
    return text.rstrip("\0 \r\n\t").endswith(("</OME>", "</OME:OME>", "</ome:OME>"))


def understand(path: Path, text: str, pages: int, samples: int, shape: tuple[int, int]) -> Layout:
    """Read a description.

    Args:
        path: of the file, for errors.
        text: OME-XML.
        pages: how many the file has.
        samples: of a pixel in each of them.
        shape: rows and columns of each of them.

    Raises:
        InputError: naming the path, for text that is not XML or has a document type, more
            than one image, planes in other files, twice or missing, channels and times at
            once, or a unit of length that is not known.
    """
    text = text.strip("\0 \r\n\t")
    if len(text) > _LONGEST or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(path, "OME-XML of at most 16 MB without a DOCTYPE", "another")
    try:
        root = ElementTree.fromstring(text)
        return _layout(path, root, pages, samples, shape)
    except InputError:
        raise
    except (ElementTree.ParseError, ValueError, KeyError, OverflowError, RecursionError):
        raise InputError(path, "OME-XML in its description", "one that cannot be read") from None


def _layout(
    path: Path, root: ElementTree.Element, pages: int, samples: int, shape: tuple[int, int]
) -> Layout:
    images = root.findall("{*}Image")
    pixels = images[0].find("{*}Pixels") if len(images) == 1 else None
    if pixels is None:
        raise InputError(path, "an OME-TIFF of one image", f"{len(images)}")
    if (int(pixels.get("SizeY", 0)), int(pixels.get("SizeX", 0))) != shape:
        raise InputError(path, f"SizeX and SizeY of its pages, {shape[::-1]}", "others")
    sizes = {letter: int(pixels.get(f"Size{letter}", 1)) for letter in "ZCT"}
    sizes["C"], rest = divmod(sizes["C"], samples)
    if min(sizes.values()) < 1 or rest or math.prod(sizes.values()) > pages:
        got = f"{pages} pages of {samples} samples"
        raise InputError(path, "as many planes as its description says", got)
    times, channels = sizes["T"], sizes["C"]
    if times > 1 and channels * samples > 1:
        raise InputError(path, "channels or times", f"{channels * samples} and {times}")
    order = _order(path, pixels, sizes, pages)
    names = [c.get("Name", str(i)) for i, c in enumerate(pixels.findall("{*}Channel"))]
    if samples in (3, 4) and len(names) != samples:
        names = list(COLOURS[:samples])
    found = names if times == 1 and len(names) == channels * samples > 1 else ()
    step = float(pixels.get("TimeIncrement", "nan"))
    unit = SECONDS.get(pixels.get("TimeIncrementUnit", "s"), math.nan)
    interval = step * unit if times > 1 and 0 < step * unit < math.inf else None
    x, y, z = (_size(path, pixels, letter) for letter in "XYZ")
    return Layout(order, (x, y, z), tuple(found), interval, _notes(root))


def _order(
    path: Path, pixels: ElementTree.Element, sizes: dict[str, int], pages: int
) -> np.ndarray:
    """The page of each plane, ``(channel or time, z)``."""
    letters = pixels.get("DimensionOrder", "")[2:]
    if sorted(letters) != ["C", "T", "Z"]:
        raise ValueError("no order of dimensions")
    shape = [sizes[letter] for letter in reversed(letters)]
    order = np.full(math.prod(shape), -1)
    for data in pixels.findall("{*}TiffData"):
        if data.find("{*}UUID[@FileName]") is not None:
            name = data.find("{*}UUID").get("FileName")  # type: ignore[union-attr]
            if name != path.name:
                raise InputError(path, "all planes in one file", "some in others")
        first = [int(data.get(f"First{letter}", 0)) for letter in reversed(letters)]
        start = int(np.ravel_multi_index(first, shape))
        page, told = int(data.get("IFD", 0)), "IFD" in data.attrib
        count = int(data.get("PlaneCount", 1 if told else order.size - start))
        if not (0 <= page <= page + count <= pages and 0 < count <= order.size - start):
            raise InputError(path, f"planes among its {pages} pages", "others")
        if (order[start : start + count] >= 0).any():
            raise InputError(path, "each plane once", "one that comes twice")
        order[start : start + count] = np.arange(page, page + count)
    if pixels.find("{*}TiffData") is None:
        order = np.arange(order.size)
    if (order < 0).any():
        raise InputError(path, "all planes that its description says", "some without a page")
    places = [letters[::-1].index(letter) for letter in "TCZ"]
    return order.reshape(shape).transpose(places).reshape(-1, sizes["Z"])


def _size(path: Path, pixels: ElementTree.Element, letter: str) -> float | None:
    """Millimetres from voxel to voxel; None where not told."""
    name = f"PhysicalSize{letter}"
    unit = pixels.get(f"{name}Unit", "µm")
    if name not in pixels.attrib or unit in ("pixel", "reference frame"):
        return None
    if unit not in MILLIMETRES:
        raise InputError(path, f"{name} in a metric unit", "another")
    size = float(pixels.attrib[name]) * MILLIMETRES[unit]
    if not 0 < size < math.inf:
        raise InputError(path, f"a positive {name}", size)
    return size


def _notes(root: ElementTree.Element) -> dict[str, Any]:
    for comment in root.iterfind("{*}StructuredAnnotations/{*}CommentAnnotation"):
        if comment.get("Namespace") == NOTES:
            return noted(comment.findtext("{*}Value", ""))
    return {}


def describe(image: Image, samples: int) -> bytes:
    """OME-XML for planes in the order XYZCT (or XYZTC for times), in ASCII.

    The affine, the modality and the names go into an annotation too, as OME has no place
    for the first two.
    """
    ElementTree.register_namespace("", _NAMESPACE)
    x, y, z = (*image.array.shape[: image.ndim], 1)[:3]
    n = max(len(image.channels), 1)
    times = n if image.interval is not None else 1
    spacing = [float(s) for s in np.linalg.norm(image.affine[:3, :3], axis=0)]
    root = ElementTree.Element(f"{{{_NAMESPACE}}}OME")

    def inside(parent: ElementTree.Element, name: str, **attributes: str) -> ElementTree.Element:
        return ElementTree.SubElement(parent, f"{{{_NAMESPACE}}}{name}", attributes)

    found = inside(root, "Image", ID="Image:0")
    dtype = image.array.dtype.name
    attributes = {
        "ID": "Pixels:0",
        "DimensionOrder": "XYZCT",
        "Type": _TYPES.get(dtype, dtype),
        **{f"Size{k}": str(v) for k, v in zip("XYZCT", (x, y, z, n // times, times), strict=True)},
    }
    for letter, size in zip("XYZ", spacing, strict=True):
        attributes |= {f"PhysicalSize{letter}": repr(size), f"PhysicalSize{letter}Unit": "mm"}
    if image.interval is not None:
        attributes |= {"TimeIncrement": repr(float(image.interval)), "TimeIncrementUnit": "s"}
    pixels = inside(found, "Pixels", **attributes)
    names = image.channels if times == 1 else ()
    for i in range(n // times // samples):
        name = {"Name": names[i]} if names and samples == 1 else {}
        inside(pixels, "Channel", ID=f"Channel:0:{i}", SamplesPerPixel=str(samples), **name)
    inside(pixels, "TiffData")
    inside(found, "AnnotationRef", ID="Annotation:0")
    annotations = inside(root, "StructuredAnnotations")
    notes = {
        "ndim": image.ndim,
        "affine": image.affine.tolist(),
        "channels": list(image.channels),
        "modality": image.modality,
    }
    comment = inside(annotations, "CommentAnnotation", ID="Annotation:0", Namespace=NOTES)
    inside(comment, "Value").text = json.dumps(notes)
    return ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)

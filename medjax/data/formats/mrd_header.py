"""The XML header of ISMRMRD, which fastMRI's files carry too."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from medjax.core.errors import InputError

from .hdf5 import require_sound_heaps

_BYTES = 1 << 20

Sizes = tuple[float, float, float]


class Encoding(NamedTuple):
    """How one encoding space is sampled. Axes are ISMRMRD's x, y, z: x is the readout.

    Attributes:
        trajectory: "cartesian", "radial", "spiral", ...
        encoded: samples of k-space along x, y and z.
        encoded_mm: field of view of the encoded space in millimetres.
        recon: voxels of the reconstructed image along x, y and z.
        recon_mm: its field of view.
        centers: the counters of zero frequency along y and z; None where not given.
    """

    trajectory: str
    encoded: tuple[int, int, int]
    encoded_mm: Sizes
    recon: tuple[int, int, int]
    recon_mm: Sizes
    centers: tuple[int | None, int | None]

    @property
    def spacing(self) -> Sizes:
        """Millimetres between samples of the encoded grid's image along x, y and z."""
        x, y, z = (mm / n for mm, n in zip(self.encoded_mm, self.encoded, strict=True))
        return x, y, z


def read_header(path: Path, dataset: h5py.Dataset) -> list[Encoding]:
    """Parse the header: one entry an encoding space; none where the header has none.

    Args:
        path: of the file, for errors.
        dataset: a string, of any of the shapes that writers use: () or (1,).

    Raises:
        InputError: for text that is not XML, larger than a megabyte or has a document
            type, and for sizes that are not positive numbers.
    """
    text: Any = None
    if dataset.shape in ((), (1,)) and dataset.nbytes <= _BYTES:
        kind = h5py.check_string_dtype(dataset.dtype)
        if kind is not None and kind.length is None:
            require_sound_heaps(path, dataset)
        text = dataset[()] if dataset.shape == () else dataset[0]
    if not isinstance(text, bytes) or len(text) > _BYTES:
        raise InputError(path, f"an ISMRMRD header of at most {_BYTES} bytes", "another")
    try:
        text = text.decode("utf-8")
        # Entities need a document type, and ISMRMRD has none: without it nothing can expand.
        if "<!DOCTYPE" in text:
            raise InputError(path, "an ISMRMRD header without a DOCTYPE", "one that has it")
        found = ElementTree.fromstring(text).findall("{*}encoding")
        encodings = [_encoding(element) for element in found]
    except InputError:
        raise
    except (ElementTree.ParseError, ValueError):
        raise InputError(path, "an ISMRMRD header in XML", "one that cannot be read") from None
    for encoding in encodings:
        sizes = encoding.encoded_mm + encoding.recon_mm
        if not all(math.isfinite(size) and size > 0 for size in sizes):
            raise InputError(path, "positive voxel sizes in its ISMRMRD header", sizes)
    return encodings


def _encoding(element: ElementTree.Element) -> Encoding:
    encoded, encoded_mm = _space(element.find("{*}encodedSpace"))
    recon = element.find("{*}reconSpace")
    # fastMRI needs no more than the encoded one.
    size, size_mm = (encoded, encoded_mm) if recon is None else _space(recon)
    limits = "{*}encodingLimits/{*}kspace_encoding_step_"
    y, z = (_center(element.find(f"{limits}{i}")) for i in (1, 2))
    trajectory = element.findtext("{*}trajectory", "cartesian").strip().lower()
    return Encoding(trajectory, encoded, encoded_mm, size, size_mm, (y, z))


def _space(space: ElementTree.Element | None) -> tuple[tuple[int, int, int], Sizes]:
    if space is None:
        raise ValueError
    x, y, z = (int(space.findtext(f"{{*}}matrixSize/{{*}}{axis}", "")) for axis in "xyz")
    if min(x, y, z) < 1:
        raise ValueError
    u, v, w = (float(space.findtext(f"{{*}}fieldOfView_mm/{{*}}{axis}", "")) for axis in "xyz")
    return (x, y, z), (u, v, w)


def _center(limits: ElementTree.Element | None) -> int | None:
    text = None if limits is None else limits.findtext("{*}center")
    return None if text is None else int(text)

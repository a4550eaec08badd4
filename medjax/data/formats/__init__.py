"""One file a format; each optional library is imported in one of them only.

A format is a module with ``read(path) -> Image``, ``header(path) -> Header``, which
reads no voxels, and, where it can be written, ``write(path, image)``, which writes the
file whole or not at all. `ENDINGS` says which format a name means.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from medjax.core.errors import InputError
from medjax.core.registry import Registry
from medjax.data.image import Header, Image

FORMATS = Registry(
    "formats",
    {
        "nifti": "medjax.data.formats:nifti",
        "dicom": "medjax.data.formats:dicom",
        "nrrd": "medjax.data.formats:nrrd",
        "metaimage": "medjax.data.formats:metaimage",
        "picture": "medjax.data.formats:picture",
        "tiff": "medjax.data.formats:tiff",
        "ome_zarr": "medjax.data.formats:ome_zarr",
        "fastmri": "medjax.data.formats:fastmri",
        "ismrmrd": "medjax.data.formats:ismrmrd",
        "bart": "medjax.data.formats:bart",
        "slide": "medjax.data.formats:slide",
    },
)

ENDINGS = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".dcm": "dicom",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".zarr": "ome_zarr",
    **dict.fromkeys(
        (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide"), "slide"
    ),
}
"""Which format holds an image, by the end of its name. A folder of another name is a DICOM
series, and so is a file with DICOM's mark, whatever its name."""


def __getattr__(name: str) -> ModuleType:
    if name not in FORMATS.targets:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def read_image(path: str | Path) -> Image:
    """Read an image, whatever its format.

    Args:
        path: of a file of one of `ENDINGS`, or of a folder with one DICOM series.

    Raises:
        InputError: naming the path, for another format or whatever is wrong with it.
        MissingExtraError: where the format's library is not installed.
    """
    return _module(Path(path)).read(path)


def read_header(path: str | Path) -> Header:
    """What `read_image` would give, without the voxels.

    Raises:
        InputError: as `read_image`, for whatever a header shows.
        MissingExtraError: where the format's library is not installed.
    """
    return _module(Path(path)).header(path)


def write_image(path: str | Path, image: Image) -> None:
    """Write an image in the format that the name means, whole or not at all.

    Raises:
        InputError: for a name or an image that no format can hold.
        MissingExtraError: where the format's library is not installed.
    """
    path = Path(path)
    name = _format(path) or ("dicom" if not path.suffix else None)
    module = FORMATS[name] if name else None
    if not hasattr(module, "write"):
        raise InputError(path, f"a name ending in {', '.join(ENDINGS)}", f"'{path.suffix}'")
    module.write(path, image)


def is_image(path: Path) -> bool:
    """Whether `read_image` would try a file or folder, by its name."""
    return _format(path) is not None


def _format(path: Path) -> str | None:
    name = path.name.lower()
    return next((ENDINGS[end] for end in ENDINGS if name.endswith(end)), None)


def _module(path: Path) -> ModuleType:
    name = _format(path)
    if name is None:
        if not path.exists():
            raise InputError(path, "an image", "nothing at this path")
        if not path.is_dir() and not _marked(path):
            endings = ", ".join(ENDINGS)
            raise InputError(path, f"an image: {endings}, DICOM", f"a file '{path.suffix}'")
        name = "dicom"
    return FORMATS[name]


def _marked(path: Path) -> bool:
    """Whether a file has DICOM's mark after its preamble."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False

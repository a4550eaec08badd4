"""Everything the host does: formats, sources, splits, pipelines, prepared sets.

Nothing here imports JAX, as worker processes read it; and a library (nibabel,
h5py, grain, TFDS) is imported only with the name that needs it.
"""

from medjax.core.lazy import on_first_use
from medjax.core.registry import Registry

from .sources import (
    FastMRISlices,
    ImageSlices,
    RandomSource,
    ScanSlices,
    Source,
    Subset,
    VolumeSlices,
    discover,
    subject,
)
from .splits import Splits, by_group, k_fold, leave_out, official, slabs

SOURCES = Registry(
    "sources",
    {
        "icbm152": "medjax.data.icbm152:slices",
        "volumes": "medjax.data.volumes:Volumes",
        "patches": "medjax.data.volumes:Patches",
        "grid_patches": "medjax.data.volumes:GridPatches",
        "slices": "medjax.data.volumes:Slices",
        "series": "medjax.data.volumes:Series",
        "pairs": "medjax.data.volumes:Pairs",
        "described": "medjax.data.volumes:Described",
        "tiles": "medjax.data.slides:Tiles",
        "prepared": "medjax.data.tfds_builder:TfdsSource",
        "images": "medjax.data.sources:ImageSlices",
        "fastmri": "medjax.data.sources:FastMRISlices",
        "ismrmrd": "medjax.data.sources:ScanSlices",
        "bart": "medjax.data.sources:ScanSlices",
    },
)

_LAZY = {
    "Archive": "archive",
    "Case": "case",
    "SourceBuilder": "tfds_builder",
    "TfdsSource": "tfds_builder",
    "Header": "image",
    "Image": "image",
    "to_ras": "geometry",
    "read_header": "formats",
    "read_image": "formats",
    "write_image": "formats",
    "KSpace": "formats.fastmri",
    "open_kspace": "formats.fastmri",
    "read_kspace": "formats.fastmri",
    "write_kspace": "formats.fastmri",
    "read_scan": "formats.scan",
    "read_cartesian": "formats.ismrmrd",
    "read_trajectory": "formats.ismrmrd",
    "read_cfl": "formats.bart",
    "write_cfl": "formats.bart",
    "Slide": "formats.slide",
    "open_slide": "formats.slide",
    "Tiles": "slides",
    "prepare_slide": "slides",
    "find_tissue": "slides",
    "tissue_mask": "slides",
    "open_level": "formats.ome_zarr",
    "Store": "store",
    "Writer": "store",
    "Volumes": "volumes",
    "Patches": "volumes",
    "GridPatches": "volumes",
    "Slices": "volumes",
    "Series": "volumes",
    "Pairs": "volumes",
    "Described": "volumes",
    "Mixture": "order",
    "evaluation": "pipeline",
    "training": "pipeline",
}

__all__ = [
    "SOURCES",
    "FastMRISlices",
    "ImageSlices",
    "RandomSource",
    "ScanSlices",
    "Source",
    "Splits",
    "Subset",
    "VolumeSlices",
    "by_group",
    "discover",
    "k_fold",
    "leave_out",
    "official",
    "slabs",
    "subject",
    *_LAZY,
]

__getattr__, __dir__ = on_first_use(__name__, _LAZY)
